"""What people decide about a finding: fixed means that a later look shows it no more; accepted ends on a day."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from freezegun.api import FrozenDateTimeFactory

from govern.bootstrap import Govern
from govern.core.errors import Conflict, InvalidInput, PolicyViolation
from govern.fakes.openai import FakeOpenAI
from govern.fakes.openai.admin_keys import make
from govern.findings import service
from govern.findings.models import Finding, FindingState
from govern.inventory.models import AdminKey
from govern.worker.runner import run_job
from tests.given import ADMIN, EVE, World

OVERLAP = timedelta(hours=24)


@pytest.fixture
def looked(clock: FrozenDateTimeFactory, govern: Govern, openai: FakeOpenAI, world: World) -> World:
    """A world with unmanaged keys, an old key of ours to come, and an admin key of nobody's; looked at once."""
    make(openai.org, "forgotten", [], "user-nobody")
    openai.make_personal_key(EVE, "Search", "eve's own")
    look(govern, world)
    return world


def look(govern: Govern, world: World) -> dict[str, int]:
    world.synced()
    run_job(govern, "inventory.sync")
    return dict(run_job(govern, "findings.evaluate"))


def one(govern: Govern, type_: str, label: str = "") -> Finding:
    with govern.unit_of_work.reading() as session:
        rows = session.scalars(sa.select(Finding).where(Finding.type == type_).order_by(Finding.id))
        return next(row for row in rows if label in row.label)


def fixed(govern: Govern, finding: Finding) -> Finding:
    with govern.unit_of_work(ADMIN) as uow:
        return service.fix(uow, finding.id, reason="nobody needs it", overlap=OVERLAP)


@pytest.mark.one_database
def test_a_key_is_deleted_and_called_fixed_by_the_next_look(govern: Govern, openai: FakeOpenAI, looked: World) -> None:
    finding = one(govern, "unmanaged_key", "eve's own")
    assert fixed(govern, finding).state is FindingState.FIXING
    fixed(govern, finding)
    look(govern, looked)
    assert looked.reload(finding).state is FindingState.FIXING, "its end is owed still"
    looked.drain()
    assert "eve's own" not in {row.name for row in looked.native_keys()}
    assert look(govern, looked)["fixed"] >= 1
    assert looked.reload(finding).state is FindingState.FIXED
    assert not looked.dead()
    assert looked.audited("finding.") == ["finding.fix_requested", "finding.subject_ended"]
    assert looked.audit_holds()


@pytest.mark.one_database
def test_a_deletion_that_lies_is_not_called_fixed(govern: Govern, openai: FakeOpenAI, looked: World) -> None:
    finding = one(govern, "unmanaged_key", "eve's own")
    openai.fault("projects.api_keys.delete", kind="lie_200")
    fixed(govern, finding)
    looked.drain()
    assert looked.reload(finding).state is FindingState.FIXING
    assert [effect.kind for effect in looked.owed()] == ["observed_key.delete"]


@pytest.mark.one_database
def test_an_admin_key_is_deleted_but_never_our_own(govern: Govern, looked: World, clock: FrozenDateTimeFactory) -> None:
    fixed(govern, one(govern, "admin_key_unowned_or_old", "forgotten"))
    looked.drain()
    clock.tick(timedelta(days=200))
    look(govern, looked)
    with govern.unit_of_work.reading() as session:
        rows = {row.name: row for row in session.scalars(sa.select(AdminKey))}
    assert rows.pop("forgotten").vanished_at is not None
    [ours] = rows.values()
    finding = one(govern, "admin_key_unowned_or_old", ours.redacted)
    assert finding.fix == "none"
    with pytest.raises(Conflict):
        fixed(govern, finding)
    assert ours.vanished_at is None


def test_accepted_until_a_day_assigned_and_taken_under_management(
    govern: Govern, looked: World, clock: FrozenDateTimeFactory
) -> None:
    finding, today = one(govern, "unmanaged_key", "eve's own"), clock().date()
    with pytest.raises(InvalidInput), govern.unit_of_work(ADMIN) as uow:
        service.accept(uow, finding.id, reason="ok for now", until=today)
    with govern.unit_of_work(ADMIN) as uow:
        service.accept(uow, finding.id, reason="ok for now", until=today + timedelta(days=3))
    look(govern, looked)
    assert looked.reload(finding).state is FindingState.ACCEPTED
    clock.tick(timedelta(days=3))
    look(govern, looked)
    assert looked.reload(finding).state is FindingState.OPEN
    with govern.unit_of_work(ADMIN) as uow:
        assert service.assign(uow, finding.id, EVE).state is FindingState.ASSIGNED
    with govern.unit_of_work(ADMIN) as uow:
        service.adopt(uow, finding.id, EVE, reason="her batch job")
    assert look(govern, looked)["reopened"] == 0
    looked.remove(EVE)
    with pytest.raises(PolicyViolation), govern.unit_of_work(ADMIN) as uow:
        service.adopt(uow, one(govern, "unmanaged_key", "Secret Key").id, EVE, reason="her batch job")


def test_many_at_once_have_an_outcome_each_and_what_comes_back_is_a_new_generation(
    govern: Govern, openai: FakeOpenAI, looked: World
) -> None:
    key, ours = one(govern, "unmanaged_key", "eve's own"), one(govern, "admin_key_unowned_or_old", "forgotten")
    with govern.unit_of_work(ADMIN) as uow:
        outcomes = service.fix_many(uow, [key.id, "fin_none", ours.id], reason="cleaning up", overlap=OVERLAP)
    assert [problem is None for problem in outcomes.values()] == [True, False, True]
    looked.drain()
    look(govern, looked)
    gone = openai.org.tables.keys
    row = next(row for row in gone.values() if row.name == "eve's own")
    row.deleted_at = None  # OpenAI shows it again
    look(govern, looked)
    again = looked.reload(key)
    assert (again.state, again.generation) == (FindingState.OPEN, 2)
