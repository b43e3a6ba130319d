"""Crash drills of the figures and of the alert: whole days or none, and every alert told, at most once more than once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from govern.approvals import service as approvals
from govern.bootstrap import Govern
from govern.budgets import service as budgets
from govern.budgets.models import Delivery
from govern.checkpoints import queries as checkpoints
from govern.core.clock import utcnow
from govern.fakes.openai import FakeOpenAI
from govern.notices.models import DeliveryState
from govern.people.models import Assignment
from govern.policies import asking
from govern.usage import cells
from govern.usage.models import DailySpend, SpendCell, SpendStretch
from govern.worker.runner import run_job
from tests.drill.children import due_now, hurried
from tests.drill.points import MONEY_FLOWS, flow_of, points
from tests.drill.stage import Stage
from tests.given import ADMIN, EVE, World
from tests.peers.mail import MailSink, mail_sink
from tests.stories.conftest import stage_for
from tests.usage.reported import MODEL

pytestmark = pytest.mark.drill


Figures = dict[date, Counter[tuple[Any, ...]]]


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
def drill(point: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Drill]:
    """The databases take turns."""
    stage = stage_for(request, ("sqlite", "postgresql")[points().index(point) % 2])
    world = stage.fresh()
    with mail_sink() as mails:
        mail = {
            "host": mails.host, "port": mails.port, "security": "none", "sender": "govern@acme.example",
            "admins": ["fin@acme.example"],
        }  # fmt: skip
        order = stage.order | {"mail": mail, "audit": {"file": str(tmp_path / "checkpoints.jsonl")}}
        govern = hurried(order | {"openai": "http://openai.test/v1"}, httpx.WSGITransport(app=stage.gate))
        yield Drill(World(govern, world.openai), stage, order, mails)
        govern.close()


def spend(openai: FakeOpenAI) -> None:
    for days, usd in ((0, "1.25"), (1, "20"), (2, "0.5"), (4, "3")):
        openai.spend(project="Search", usd=usd, on=(utcnow() - timedelta(days=days)).date(), model=MODEL)


def figures(govern: Govern) -> Counter[tuple[Any, ...]]:
    """What is put down to whom, without the ids of this database."""
    table = DailySpend.__table__
    columns = [
        table.c[name] for name in ("day", "clock", "project_remote_id", "api_key_remote_id", "model", "amount", "requests")
    ]
    with govern.engine.connect() as connection:
        return Counter(tuple(row) for row in connection.execute(sa.select(*columns)))


@pytest.fixture(scope="module")
def undisturbed() -> Figures:
    """The figures of a day as a sync leaves them that nobody killed."""
    return {}


@pytest.mark.parametrize(("point", "nth"), [(point, index % 2 + 1) for index, point in enumerate(of("usage.sync"))])
def test_a_sync_killed_there_is_made_up_for(drill: Drill, point: str, nth: int, undisturbed: Figures) -> None:
    today = utcnow().date()
    if today not in undisturbed:
        spend(drill.world.openai)
        undisturbed[today] = bring_up(drill.world.govern)
        drill.world.govern.engine.dispose()
        drill.world = replace(drill.world, openai=drill.stage.fresh().openai)
    spend(drill.world.openai)
    assert drill.worker(f"{point}:{nth}", job="usage.sync") == "SIGKILL"
    assert bring_up(drill.world.govern) == undisturbed[today] != Counter()
    assert drill.world.audit_holds()


def bring_up(govern: Govern) -> Counter[tuple[Any, ...]]:
    """The figures once both jobs have run to their end."""
    for job in ("usage.sync", "costs.sync"):
        run_job(govern, job)
    return figures(govern)


def rollups(govern: Govern) -> Counter[tuple[Any, ...]]:
    """Every cell of every stretch, and which stretches are called made."""
    with govern.engine.connect() as connection:
        kept = [column for column in SpendCell.__table__.columns if column.name != "id"]
        made = sa.select(SpendStretch.level, SpendStretch.first_day)
        return Counter(tuple(row) for query in (sa.select(*kept), made) for row in connection.execute(query))


def moved(world: World) -> None:
    """Eve spent on several days, and only now it turns out that she was with another team all the time."""
    for ago in range(5):
        on = (utcnow() - timedelta(days=ago)).date()
        world.openai.spend(project="Search", usd="2", on=on, user_id=world.member(EVE).remote_id, model=MODEL)
    for job in ("usage.sync", "costs.sync", "usage.roll_up"):
        run_job(world.govern, job)
    with world.govern.unit_of_work(ADMIN) as uow:
        since = (utcnow() - timedelta(days=90)).date()
        eve = world.person(EVE).id
        uow.session.add(Assignment(id=uow.new_id("asg"), person_id=eve, team="Moved", cost_centre="7", from_on=since))


@pytest.mark.parametrize("point", of("usage.roll_up"))
def test_rollups_whose_making_is_killed_there_are_whole_afterwards(drill: Drill, point: str) -> None:
    world = drill.world
    moved(world)
    assert drill.worker(f"{point}:1", job="usage.roll_up") == "SIGKILL"
    run_job(world.govern, "usage.roll_up")
    mended = rollups(world.govern)
    with world.govern.unit_of_work(ADMIN) as uow:
        cells.remake(uow.session, set(uow.session.scalars(sa.select(SpendStretch.first_day).where(SpendStretch.level == 0))))
    run_job(world.govern, "usage.roll_up")
    assert mended == rollups(world.govern)
    assert sum(row[0] == "teams" and row[1] == 0 and "Moved" in row for row in mended) == 5
    assert any(len(row) == 2 and row[0] > 0 for row in mended)


@pytest.mark.parametrize(("point", "nth"), [(point, index % 2 + 1) for index, point in enumerate(of("delivery"))])
def test_an_alert_whose_delivery_is_killed_there_is_told(drill: Drill, point: str, nth: int) -> None:
    """Whether the mail went out before the worker died nobody knows: it is sent again under the same id."""
    world = drill.world
    with world.govern.unit_of_work(ADMIN) as uow:
        project = world.project("Search").id
        for name in ("One", "Two"):
            budgets.create_budget(uow, name=name, scope="project", scope_id=project, amount_usd=Decimal(1), thresholds=[80])
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


@pytest.mark.parametrize("point", of("approval.tell"))
def test_whoever_is_asked_for_a_yes_is_told(drill: Drill, point: str) -> None:
    world = drill.world
    with world.govern.unit_of_work(ADMIN) as uow:
        approvals.ask(
            uow, asking.ISSUE, ("people", world.person(EVE).id), summary="A key for Search", facts={}, reason="to search",
            lifetime=timedelta(days=1),
        )  # fmt: skip
    assert drill.worker(f"{point}:1") == "SIGKILL"
    while due_now(world.govern.engine, dead=True):
        world.drain()
    told = [str(mail["Message-ID"]) for mail in drill.mails.messages]
    assert len(told) == (1 if point.endswith("before_send") else 2)
    assert len(set(told)) == 1
    assert world.dead() == []


@pytest.mark.parametrize("point", of("audit.push"))
def test_checkpoints_whose_push_is_killed_there_get_out(drill: Drill, point: str) -> None:
    world = drill.world
    run_job(world.govern, "audit.checkpoint")
    assert drill.worker(f"{point}:1") == "SIGKILL"
    while due_now(world.govern.engine, dead=True):
        world.drain()
    with world.govern.unit_of_work.reading() as session:
        [checkpoint] = checkpoints.recent(session)
        [standing] = checkpoints.standings(session, ["file"])
    kept = Path(drill.order["audit"]["file"]).read_text(encoding="utf-8").splitlines(keepends=True)
    assert kept == [checkpoint.line] * (1 if point.endswith("before_push") else 2)
    assert (standing.seq, standing.lacks, standing.problem) == (checkpoint.seq, 0, None)
    assert world.audit_holds()


def test_every_point_belongs_to_a_flow() -> None:
    assert {flow_of(point) for point in points() if flow_of(point) in MONEY_FLOWS} == set(MONEY_FLOWS)
