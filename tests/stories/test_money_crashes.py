"""Crash drills of the figures and of the alert: whole days or none, and every alert told, at most once more than once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from govern.bootstrap import Govern
from govern.budgets import service as budgets
from govern.budgets.models import Delivery, DeliveryState
from govern.core.clock import utcnow
from govern.fakes.openai import FakeOpenAI
from govern.usage.models import DailySpend
from govern.worker.runner import run_job
from tests.drill.children import due_now, hurried
from tests.drill.points import MONEY_FLOWS, flow_of, points
from tests.drill.stage import Stage
from tests.given import ADMIN, World
from tests.peers.mail import MailSink, mail_sink
from tests.usage.reported import MODEL

pytestmark = pytest.mark.drill


def of(flow: str) -> list[str]:
    return [point for point in points() if flow_of(point) == flow]


@dataclass
class Drill:
    world: World
    stage: Stage
    order: dict[str, Any]
    mails: MailSink

    def worker(self, crash: str, **more: Any) -> str:
        return self.stage.worker(crash, settings=self.order, **more)[1]


@pytest.fixture
def drill(drill_stage: Stage) -> Iterator[Drill]:
    world = drill_stage.fresh()
    with mail_sink() as mails:
        mail = {
            "host": mails.host, "port": mails.port, "security": "none", "sender": "govern@acme.example",
            "admins": ["fin@acme.example"],
        }  # fmt: skip
        order = drill_stage.order | {"mail": mail}
        govern = hurried(order | {"openai": "http://openai.test/v1"}, httpx.WSGITransport(app=drill_stage.gate))
        yield Drill(World(govern, world.openai), drill_stage, order, mails)
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
def test_a_sync_killed_there_is_made_up_for(drill: Drill, point: str, nth: int) -> None:
    spend(drill.world.openai)
    assert drill.worker(f"{point}:{nth}", job="usage.sync") == "SIGKILL"
    killed = bring_up(drill.world.govern)
    audited = drill.world.audit_holds()
    drill.world.govern.engine.dispose()
    drill.stage.database.reset()
    assert killed == bring_up(drill.world.govern) != Counter()
    assert audited


def bring_up(govern: Govern) -> Counter[tuple[Any, ...]]:
    """The figures once both jobs have run to their end."""
    for job in ("usage.sync", "costs.sync"):
        run_job(govern, job)
    return figures(govern)


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("point", of("alert.deliver"))
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
    assert drill.worker(f"{point}:{nth}") == "SIGKILL"
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
