"""Crash drills of the figures and of the alert: whole days or none, and every alert told, at most once more than once."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from govern.bootstrap import Govern
from govern.budgets import service as budgets
from govern.budgets.models import Delivery
from govern.core.clock import utcnow
from govern.fakes.openai import FakeOpenAI
from govern.fakes.server import serve
from govern.notices.models import DeliveryState
from govern.settings import Mail
from govern.usage.models import DailySpend
from govern.worker.runner import run_job
from tests.given import ADMIN, World
from tests.peers.mail import MailSink, mail_sink
from tests.stories.conftest import DRILL_KEY, SEALING_KEYS, drill_govern, drill_organization
from tests.stories.crash_points import MONEY_FLOWS, flow_of, points
from tests.stories.workers import Nursery, due_now
from tests.usage.reported import MODEL

pytestmark = pytest.mark.drill


def of(flow: str) -> list[str]:
    return [point for point in points() if flow_of(point) == flow]


@dataclass
class Drill:
    world: World
    nursery: Nursery
    order: dict[str, Any]
    mails: MailSink


@pytest.fixture
def drill(drill_url: str, worker_nursery: Nursery) -> Iterator[Drill]:
    openai = drill_organization()
    with mail_sink() as mails, serve(openai.app) as server:
        mail = {"host": mails.host, "port": mails.port, "security": "none", "sender": "govern@acme.example"}
        govern = drill_govern(drill_url, openai, Mail(**mail, admins=("fin@acme.example",)))
        order = {
            "database": drill_url, "openai": f"{server.url}/v1", "admin_key": DRILL_KEY, "sealing": SEALING_KEYS,
            "mail": mail | {"admins": ["fin@acme.example"]},
        }  # fmt: skip
        yield Drill(World(govern, openai), worker_nursery, order, mails)
        govern.close()


def spend(openai: FakeOpenAI) -> None:
    for days, usd in ((0, "1.25"), (1, "20"), (2, "0.5"), (40, "3")):
        openai.spend(project="Search", usd=usd, on=(utcnow() - timedelta(days=days)).date(), model=MODEL)


def figures(govern: Govern) -> Counter[tuple[Any, ...]]:
    """What is put down to whom, without the ids of this database."""
    table = DailySpend.__table__
    columns = [
        table.c[name] for name in ("day", "clock", "project_remote_id", "api_key_remote_id", "model", "amount", "requests")
    ]
    with govern.engine.connect() as connection:
        return Counter(tuple(row) for row in connection.execute(sa.select(*columns)))


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("point", of("usage.sync"))
def test_a_sync_killed_there_is_made_up_for(drill: Drill, point: str, nth: int, sqlite_acquainted: Path, tmp_path: Path) -> None:
    spend(drill.world.openai)
    path = tmp_path / "undisturbed.db"
    shutil.copy(sqlite_acquainted, path)
    undisturbed = drill_govern(f"sqlite:///{path}", drill.world.openai)
    for govern in (undisturbed, drill.world.govern):
        if govern is drill.world.govern:
            assert drill.nursery.run(drill.order | {"job": "usage.sync"}, f"{point}:{nth}")[1] == "SIGKILL"
        run_job(govern, "usage.sync")
        run_job(govern, "costs.sync")
    assert figures(drill.world.govern) == figures(undisturbed)
    assert figures(undisturbed)
    assert drill.world.audit_holds()
    undisturbed.close()


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("point", of("delivery"))
def test_an_alert_whose_delivery_is_killed_there_is_told(drill: Drill, point: str, nth: int) -> None:
    """Whether the mail went out before the worker died nobody knows: it is sent again under the same id."""
    world = drill.world
    with world.govern.unit_of_work(ADMIN) as uow:
        project = world.project("Search").id
        for name in ("One", "Two"):
            budgets.create_budget(uow, name=name, scope="project", scope_id=project, monthly_usd=Decimal(1), thresholds=[80])
    world.openai.spend(project="Search", usd="0.9", model=MODEL)
    for job in ("usage.sync", "costs.sync", "budgets.evaluate"):
        run_job(world.govern, job)
    assert drill.nursery.run(drill.order, f"{point}:{nth}")[1] == "SIGKILL"
    while due_now(world.govern.engine, dead=True):
        world.drain()
    told = Counter(str(mail["Message-ID"]) for mail in drill.mails.messages)
    assert len(told) == 2
    assert sum(told.values()) == (2 if point.endswith("before_send") else 3)
    with world.govern.unit_of_work.reading() as session:
        assert set(session.scalars(sa.select(Delivery.state))) == {DeliveryState.SENT}
    assert world.audited("alert.") == ["alert.raised"] * 2 + ["alert.delivered"] * 2
    assert world.audit_holds()


def test_every_point_belongs_to_a_flow() -> None:
    assert {flow_of(point) for point in points() if flow_of(point) in MONEY_FLOWS} == set(MONEY_FLOWS)
