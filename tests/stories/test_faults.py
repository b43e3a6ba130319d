"""What the client of OpenAI and the effects do about each fault that OpenAI or the network may have: nothing is lost, nothing
is made or believed twice, and whoever looks meanwhile is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import NamedTuple

import httpx
import pytest
import sqlalchemy as sa
from freezegun.api import FrozenDateTimeFactory

from govern.bootstrap import Govern, build
from govern.core import sealing
from govern.core.errors import ProviderError
from govern.core.lanes import Lane, in_lane
from govern.fakes.openai import FakeOpenAI
from govern.keys import sync
from govern.keys.models import KeyState, ObservedKey
from govern.members.models import InviteState, Member
from govern.openai.pacing import Pace
from govern.projects.models import ServiceAccount
from govern.settings import Settings
from tests.drill.children import Hurry
from tests.drill.oracle import Ledger, check
from tests.given import ADMIN, EVE, PROJECT, World

pytestmark = pytest.mark.one_database

CREATE, DELETE = "projects.service_accounts.create", "projects.service_accounts.delete"
ACCOUNTS, KEYS, USERS = "projects.service_accounts.list", "projects.api_keys.list", "users.list"


class Case(NamedTuple):
    """The fault, what it strikes, and a word of the sentence that whoever looks meanwhile is told (none: healed at once)."""

    kind: str
    operation: str
    told: str = ""

    def __str__(self) -> str:
        return f"{self.operation}-{self.kind}"


# A refusal for haste comes last: it slows down what follows.
CREATING = [
    Case(kind, CREATE, told) for kind, told in (
        ("status:500", "500"), ("status:503", "503"), ("drop_before", "broke"), ("html", "502"),
        ("late:90", "504"), ("500_after", "500"), ("drop_after", "broke"), ("truncate", "broke"), ("bad_json", "not JSON"),
        ("missing:api_key", "lacks"), ("null:api_key", "lacks"), ("missing:id", "lacks"), ("extra:surprise", ""),
        ("redirect:http://elsewhere.test/", "307"), ("admin_key_401", "does not accept"), ("bare_403", "does not accept"),
        ("gzip_bomb:12", "longer"), ("delay:0.01", ""), ("status:429:7", ""),
    )
]  # fmt: skip


@pytest.fixture
def govern(settings: Settings, openai: FakeOpenAI) -> Iterator[Govern]:
    """The service with a client that never really waits."""
    ahead = Hurry()
    transport = httpx.WSGITransport(app=openai.app)
    govern = build(settings, outside=True, transport=transport, pace=Pace(clock=ahead, sleep=ahead.sleep))
    with govern.unit_of_work(ADMIN) as uow:
        sealing.note_ring(uow)
    yield govern
    govern.close()


@pytest.fixture
def known(clock: FrozenDateTimeFactory, world: World) -> World:
    world.openai.behaviour.longest_page = 2
    world.openai.make_personal_key(EVE, PROJECT)
    return world.synced()


def told(world: World) -> list[str]:
    return [effect.last_error or "" for effect in world.owed()]


def reconciled(world: World, clock: FrozenDateTimeFactory) -> None:
    """Everything late has come, and the hourly comparison has run."""
    world.finish(clock)
    clock.tick(timedelta(minutes=10))
    outside = world.govern.need_outside()
    with in_lane(Lane.BACKGROUND):  # as the timetable does it: what OpenAI refused once makes it slower
        sync.reconcile(world.govern.unit_of_work, outside.directory, outside.issuer)
    world.finish(clock)


def test_a_key_is_made_once(known: World, clock: FrozenDateTimeFactory) -> None:
    for case in CREATING:
        ledger = Ledger.at(known.openai)
        known.openai.fault(case.operation, kind=case.kind)
        key = known.requested_key(EVE, name=str(case), project=PROJECT)
        ledger.asked, ledger.acknowledged = {key.name}, {key.name}
        known.drain()
        assert all(case.told in sentence for sentence in told(known)), (case, told(known))
        assert bool(told(known)) == bool(case.told), case
        reconciled(known, clock)
        assert check(known, ledger) == [], case
        assert known.reload(key).state is KeyState.LIVE, case
        known.revoke(key)
        reconciled(known, clock)


def test_a_creation_that_lies_is_found_out(known: World, clock: FrozenDateTimeFactory) -> None:
    known.openai.fault(CREATE, kind="lie_200")
    key = known.key(EVE, project=PROJECT)
    clock.tick(1)
    reconciled(known, clock)
    assert (known.reload(key).state, known.reload(key).problem) == (
        KeyState.REVOKED, "It was ended at OpenAI, not through this service."
    )  # fmt: skip


def test_a_sweep_looks_whether_it_is_gone(known: World, clock: FrozenDateTimeFactory) -> None:
    """An earlier attempt's account that OpenAI only pretends to delete does not stay behind."""
    ledger = Ledger.at(known.openai)
    known.openai.fault(CREATE, kind="drop_after")
    known.openai.fault(DELETE, kind="lie_200")
    key = known.requested_key(EVE, project=PROJECT)
    known.finish(clock)
    assert check(known, ledger) == []
    assert known.reload(key).state is KeyState.LIVE


def test_an_invite_that_a_listing_misses_is_adopted_all_the_same(known: World, clock: FrozenDateTimeFactory) -> None:
    ledger = Ledger.at(known.openai)
    known.openai.fault("invites.create", kind="drop_after")
    known.openai.fault("invites.list", kind="skip_item", nth=2)
    invite = known.invite("nina@acme.example")
    known.finish(clock)
    assert check(known, ledger) == []
    assert known.reload(invite).state is InviteState.PENDING


ENDING = [
    *(Case(kind, DELETE, told) for kind, told in (
        ("status:500", ""), ("status:404", ""), ("status:400", "error"), ("drop_before", ""), ("html", ""),
        ("500_after", ""), ("drop_after", ""), ("truncate", ""), ("bad_json", "not JSON"), ("lie_200", ""), ("late:20", "lists"),
        ("admin_key_401", "does not accept"), ("extra:surprise", ""),
    )),
    *(Case(kind, operation, "") for operation in (ACCOUNTS, KEYS) for kind in (
        "status:500", "drop_before", "drop_after", "truncate", "html", "dup_page", "reorder", "skip_item", "cursor_400",
        "stuck_cursor", "stale_list:20", "extra:surprise",
    )),
    *(Case(kind, operation, "lacks") for operation in (ACCOUNTS, KEYS) for kind in ("missing:id", "null:id")),
    *(Case("bad_json", operation, "not JSON") for operation in (ACCOUNTS, KEYS)),
    Case("status:429:7", DELETE),
]  # fmt: skip


def test_a_key_is_called_revoked_only_when_it_is(known: World, clock: FrozenDateTimeFactory) -> None:
    for case in ENDING:
        key = known.key(EVE, name=str(case), project=PROJECT)
        ledger = Ledger.at(known.openai)
        version, value = known.version(key), known.peek(key)
        ledger.doomed, ledger.ending = {str(version.service_account_remote_id), str(version.remote_id)}, {key.name}
        known.openai.fault(case.operation, kind=case.kind)
        known.revoke(key)
        known.drain()
        assert known.reload(key).state is (KeyState.REVOKING if told(known) else KeyState.REVOKED), case
        assert known.openai.oracle().authenticates(value) <= bool(told(known)), f"{case}: called revoked while it works"
        assert all(case.told in sentence for sentence in told(known)), (case, told(known))
        reconciled(known, clock)
        assert check(known, ledger) == [], case
        assert known.reload(key).state is KeyState.REVOKED, case
        known.openai.clear_faults()


LISTING = [
    "status:500", "drop_before", "drop_after", "truncate", "bad_json", "html", "500_after", "dup_page", "reorder",
    "cursor_400", "stuck_cursor", "missing:id", "null:id", "extra:surprise", "set:role:emperor", "admin_key_401", "bare_403",
    "status:429:7",
]  # fmt: skip


def test_a_listing_is_whole_or_says_that_it_failed(known: World, clock: FrozenDateTimeFactory) -> None:
    """Nothing that is there is ever called gone, whatever a listing looked like."""
    for kind in LISTING:
        for operation in (USERS, ACCOUNTS, KEYS):
            known.openai.fault(operation, kind=kind)
            with suppress(ProviderError):
                known.synced()
            assert vanished(known) == 0, (kind, operation)
            known.openai.clear_faults()
            clock.tick(timedelta(minutes=10))


def vanished(world: World) -> int:
    with world.govern.unit_of_work.reading() as session:
        return sum(
            len(session.scalars(sa.select(table).where(table.vanished_at.is_not(None))).all())
            for table in (Member, ServiceAccount, ObservedKey)
        )


def test_what_is_ended_or_renamed_around_us_is_noticed(known: World, clock: FrozenDateTimeFactory) -> None:
    """OpenAI ends a key that it found in public, and somebody renames an account: the first is told, the second is no matter."""
    ended, renamed = known.key(EVE, name="ended", project=PROJECT), known.key(EVE, name="renamed", project=PROJECT)
    known.openai.fault(USERS, kind="rename_sa:somebody's")
    known.synced()
    known.revoke(renamed)
    known.finish(clock)
    assert known.reload(renamed).state is KeyState.REVOKED
    known.openai.fault(USERS, kind="disable_key")
    known.synced()
    clock.tick(1)
    known.synced()
    reconciled(known, clock)
    reconciled(known, clock)
    assert known.reload(ended).state is KeyState.REVOKED
    assert known.reload(ended).problem == "It was ended at OpenAI, not through this service."
    assert known.our_accounts() == []
