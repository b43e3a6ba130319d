"""Crash drills: a worker process is killed (or frozen and overtaken) at every named point of every flow, over real HTTP.

Afterwards another worker finishes, and OpenAI must hold exactly what is recorded: one live account per live key and none
besides, no pending invite that was cancelled, nothing of anybody who was removed, and nothing done twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import pytest
import sqlalchemy as sa

from govern.audit.models import AuditEvent
from govern.batches.models import Batch, BatchRow, RowState
from govern.fakes.openai import FakeOpenAI
from govern.fakes.server import serve
from govern.keys import sync
from govern.keys.freezing import FROZEN_SCOPES
from govern.keys.models import ENDED_STATES, Freeze, FreezeState, Key, KeyState, KeyVersion
from govern.members.models import Invite, InviteState
from govern.offboarding.models import Offboarding, OffboardingState
from tests.given import EVE, MAX, World
from tests.stories.conftest import DRILL_KEY, SEALING_KEYS, drill_govern, drill_organization
from tests.stories.crash_points import MONEY_FLOWS, flow_of, points
from tests.stories.workers import ROUNDS, Nursery, due_now

pytestmark = pytest.mark.drill

PROJECT: Final = "Search"
GUESTS: Final = ("nina@acme.example", "otto@acme.example")
DRILLED: Final = [point for point in points() if flow_of(point) not in MONEY_FLOWS]


@dataclass
class Drill:
    """One schedule: a world, an address at which workers reach it, and the clean process that forks them."""

    world: World
    nursery: Nursery
    order: dict[str, str]
    foreign: set[str] = field(default_factory=set)

    def worker(self, crash: str = "") -> tuple[int, str]:
        """A worker that carries out everything that is owed, or dies on the way."""
        return self.nursery.run(self.order, crash)

    def finish(self) -> None:
        """Time passes, and another worker carries out what is left."""
        for _ in range(ROUNDS):
            if not due_now(self.world.govern.engine, dead=True):
                return
            self.world.drain()
        raise AssertionError(f"still owed: {[(e.kind, e.attempt, e.last_error) for e in self.world.owed()]}")


@pytest.fixture
def drill(drill_url: str, worker_nursery: Nursery) -> Iterator[Drill]:
    openai = drill_organization()
    govern = drill_govern(drill_url, openai)
    world = World(govern, openai)
    with serve(openai.app) as server:
        order = {"database": drill_url, "openai": f"{server.url}/v1", "admin_key": DRILL_KEY, "sealing": SEALING_KEYS}
        yield Drill(world, worker_nursery, order, {account.id for account in openai.oracle().service_accounts()})
    govern.close()


# What is owed when the worker starts. Two of each, so that a point has a first and a second passing.


def issue(world: World) -> None:
    for email in (EVE, MAX):
        world.requested_key(email, project=PROJECT, scopes=("api.responses.write",))


def revoke(world: World) -> None:
    keys = [world.key(email, project=PROJECT) for email in (EVE, MAX)]
    for key in keys:
        # A late creation of the same name, which only a sweep finds.
        world.govern.need_outside().issuer.create(world.project(PROJECT).remote_id, world.version(key).remote_name, 3600)
        world.revoke(key)


def freeze(world: World) -> None:
    from govern.keys import freezing
    from tests.given import ADMIN

    for email in (EVE, MAX):
        key = world.key(email, project=PROJECT)
        with world.govern.unit_of_work(ADMIN) as uow:
            freezing.freeze_key(uow, key.id, reason="a scare", generation="auto")


def thaw(world: World) -> None:
    from govern.keys import freezing
    from govern.keys.models import Key
    from tests.given import ADMIN

    freeze(world)
    world.drain()
    with world.govern.unit_of_work(ADMIN) as uow:
        for key_id in uow.session.scalars(sa.select(Key.id)).all():
            freezing.thaw_key(uow, key_id, reason="harmless")


def send(world: World) -> None:
    for guest in GUESTS:
        world.invite(guest, "reader", (PROJECT, "member"))


def cancel(world: World) -> None:
    from govern.members import service
    from tests.given import ADMIN

    invites = [world.invite(guest) for guest in GUESTS]
    world.drain()
    for invite in invites:
        with world.govern.unit_of_work(ADMIN) as uow:
            service.cancel_invite(uow, invite.id)


def remove(world: World) -> None:
    for email in (EVE, MAX):
        world.key(email, project=PROJECT)
        world.openai.make_personal_key(email, PROJECT)
    world.invite(GUESTS[0], "reader", (PROJECT, "member"))
    world.drain()
    for email in (EVE, MAX, GUESTS[0]):
        world.remove(email)


def lists(world: World) -> None:
    """Two lists of people: one to remove, one to invite."""
    from govern.batches import rules, service
    from govern.batches.models import BatchKind
    from govern.batches.plan import limits
    from tests.given import ADMIN

    for email in (EVE, MAX):
        world.openai.make_personal_key(email, PROJECT)
    for kind, people in ((BatchKind.REMOVE, (EVE, MAX)), (BatchKind.INVITE, GUESTS)):
        with world.govern.unit_of_work(ADMIN) as uow:
            lines = rules.read(kind, "\n".join(people))
            service.begin(uow, kind, lines, reason="all at once", limits=limits(world.govern.settings, kind))


FLOWS: Final[dict[str, Callable[[World], None]]] = {
    "key.issue": issue, "key.revoke": revoke, "key.freeze": freeze, "key.thaw": thaw, "invite.send": send,
    "invite.cancel": cancel, "offboarding": remove, "batch.row": lists,
}  # fmt: skip

# A point that is passed only after something else went wrong: how that comes about.
BEFORE: Final = {"key.issue.sweep": "key.issue.created:1"}
FROZEN_FIRST: Final = {"key.issue.fenced": "key.issue.narrowed:1:stop"}


def prepared(drill: Drill, point: str) -> None:
    FLOWS[flow_of(point)](drill.world)
    if point in BEFORE:
        assert drill.worker(BEFORE[point])[1] == "SIGKILL"
        due_now(drill.world.govern.engine, dead=True)


def crashed(drill: Drill, point: str, nth: int) -> bool:
    """Let a worker run into the point; whether it came by."""
    order = f"{point}:{nth}"
    if point in FROZEN_FIRST:
        pid, ended = drill.worker(f"{FROZEN_FIRST[point]},{order}")
        assert ended == "stopped"
        drill.finish()
        ended = drill.nursery.wake(pid)
    else:
        _, ended = drill.worker(order)
    assert ended in ("SIGKILL", "done"), ended
    return ended == "SIGKILL"


@pytest.mark.parametrize("point", DRILLED)
def test_killed_there_the_first_time(drill: Drill, point: str) -> None:
    prepared(drill, point)
    assert crashed(drill, point, 1), f"{point} was never passed"
    drill.finish()
    check(drill, after_comparison=point in FROZEN_FIRST)


# A removal is long, and much of it lies between the same two commits: for the further schedules some points stand for all.
STANDING_FOR_ALL: Final = {
    f"offboarding.{name}" for name in ("keys.before", "personal_keys.after", "seat.after", "verify.after", "recorded")
}
CHOSEN: Final = [point for point in DRILLED if flow_of(point) != "offboarding" or point in STANDING_FOR_ALL]


def test_the_chosen_points_exist() -> None:
    assert set(DRILLED) >= STANDING_FOR_ALL


@pytest.mark.one_database
@pytest.mark.parametrize("point", CHOSEN)
def test_killed_there_the_second_time(drill: Drill, point: str) -> None:
    prepared(drill, point)
    crashed(drill, point, 2)  # not every point is passed twice; the outcome must be right all the same
    drill.finish()
    check(drill, after_comparison=point in FROZEN_FIRST)


# Inside a transaction a frozen worker holds the database's locks: others wait for it, they do not overtake.
OVERTAKEN: Final = [point for point in CHOSEN if not point.endswith("before_commit") and point not in FROZEN_FIRST]


@pytest.mark.parametrize("point", OVERTAKEN)
def test_frozen_there_and_overtaken(drill: Drill, point: str) -> None:
    """Killing alone does not find a missing fence: the frozen worker must come back and find that it is too late."""
    prepared(drill, point)
    pid, ended = drill.worker(f"{point}:1:stop")
    assert ended == "stopped", f"{point} was never passed"
    drill.finish()
    assert drill.nursery.wake(pid) == "done"
    drill.finish()
    check(drill)


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("key.issue.created", "key.issue.created"), ("key.issue.created", "key.issue.before_create"),
        ("key.issue.before_commit", "key.issue.sweep"), ("key.issue.before_commit", "key.issue.before_commit"),
        ("key.revoke.deleted", "key.revoke.sweep"), ("key.revoke.absent", "key.revoke.before_commit"),
        ("invite.send.created", "invite.send.before_commit"), ("invite.cancel.deleted", "invite.cancel.deleted"),
        ("offboarding.seat.after", "offboarding.seat.after"), ("offboarding.keys.before", "offboarding.verify.after"),
    ],
)  # fmt: skip
def test_killed_again_while_mending(drill: Drill, first: str, second: str) -> None:
    prepared(drill, first)
    for point in (first, second):
        assert drill.worker(f"{point}:1")[1] == "SIGKILL", point
        due_now(drill.world.govern.engine, dead=True)
    drill.finish()
    check(drill)


TROUBLE: Final = ("500_after", "drop_after")  # a throttle would only make the drill wait
# Trouble at any call of a removal is tested with the removal.
SHORT: Final = [point for point in DRILLED if flow_of(point) not in ("offboarding", "batch.row") and point not in FROZEN_FIRST]


@pytest.mark.one_database
@pytest.mark.parametrize(("point", "kind"), [(point, TROUBLE[index % len(TROUBLE)]) for index, point in enumerate(SHORT)])
def test_killed_there_while_openai_is_in_trouble_too(drill: Drill, point: str, kind: str) -> None:
    prepared(drill, point)
    for operation in ("*.create", "*.delete"):
        drill.world.openai.fault(operation, kind=kind)
    crashed(drill, point, 1)
    drill.finish()
    check(drill)


def test_every_point_belongs_to_a_flow() -> None:
    assert {flow_of(point) for point in DRILLED} == set(FLOWS)


# -- the oracle --------------------------------------------------------------------------------------------------------


def check(drill: Drill, *, after_comparison: bool = False) -> None:
    """Compare the rows with what OpenAI really holds. The hourly comparison would hide what a worker left, so it runs only
    where nobody but it can find that: a worker killed between losing its claim and taking back what it had made."""
    world, outside = drill.world, drill.world.govern.need_outside()
    if after_comparison:
        sync.reconcile(world.govern.unit_of_work, outside.directory, outside.issuer)
    assert world.owed() == []
    assert world.dead() == []
    assert world.audit_holds()
    events = sa.select(AuditEvent.action, AuditEvent.subject_id)
    with world.govern.unit_of_work.reading() as session:
        done = Counter((row.action, row.subject_id) for row in session.execute(events))
        keys = list(session.scalars(sa.select(Key)))
        versions = {version.key_id: version for version in session.scalars(sa.select(KeyVersion))}
        invites = list(session.scalars(sa.select(Invite)))
        removals = list(session.scalars(sa.select(Offboarding)))
        freezes = list(session.scalars(sa.select(Freeze)))
        batches = list(session.scalars(sa.select(Batch)))
        rows = list(session.scalars(sa.select(BatchRow)))
    check_keys(drill, keys, versions, done)
    check_invites(world.openai, invites, done)
    check_removals(world.openai, removals, done)
    check_freezes(drill, freezes)
    check_batches(batches, rows, done)


def check_keys(drill: Drill, keys: list[Key], versions: dict[str, KeyVersion], done: Counter[tuple[str, str]]) -> None:
    oracle, live = drill.world.openai.oracle(), set()
    allowed = {row.id: row.scopes for row in drill.world.native_keys()}
    for key in keys:
        version = versions[key.id]
        assert key.state is version.state
        assert key.state in (KeyState.LIVE, *ENDED_STATES)
        if key.state is KeyState.LIVE:
            live.add(version.service_account_remote_id)
            assert oracle.authenticates(drill.world.peek(key))
            assert version.remote_id in allowed
            if version.scopes != "all":  # never more than was asked for; what a freeze does is looked at apart
                assert list(allowed[version.remote_id]) == version.scopes
        assert done["key.issued", key.id] == (key.state is not KeyState.ABORTED)
        assert done["key.revoked", key.id] == (key.state is KeyState.REVOKED)
        assert done["key.aborted", key.id] == (key.state is KeyState.ABORTED)
        assert done["key.vanished", key.id] == 0
    ours = [account.id for account in oracle.service_accounts() if account.name.startswith("govern:")]
    assert sorted(ours) == sorted(live)
    assert {account.id for account in oracle.service_accounts()} == drill.foreign | live


def check_batches(batches: list[Batch], rows: list[BatchRow], done: Counter[tuple[str, str]]) -> None:
    """Each row began what it asks for, once; that nothing was done twice, the invites and removals say."""
    assert {row.state for row in rows} <= {RowState.STARTED}
    assert len({row.subject_id for row in rows}) == len(rows)
    assert all(done["batch.finished", batch.id] == 1 for batch in batches)


def check_freezes(drill: Drill, freezes: list[Freeze]) -> None:
    """OpenAI allows each key exactly what is recorded, whoever spoke last."""
    scopes = {key.id: key.scopes for key in drill.world.native_keys()}
    for freeze in freezes:
        assert freeze.state in (FreezeState.FROZEN, FreezeState.THAWED)
        assert scopes[freeze.remote_id] == (FROZEN_SCOPES if freeze.state is FreezeState.FROZEN else ())


def check_invites(openai: FakeOpenAI, invites: list[Invite], done: Counter[tuple[str, str]]) -> None:
    pending = [invite.id for invite in openai.oracle().invites() if invite.status == "pending"]
    assert sorted(pending) == sorted(invite.remote_id for invite in invites if invite.state is InviteState.PENDING)
    for invite in invites:
        assert invite.state in (InviteState.PENDING, InviteState.CANCELLED)
        assert done["invite.sent", invite.id] == 1
        assert done["invite.cancelled", invite.id] == (invite.state is InviteState.CANCELLED)
    sent = [call for call in openai.oracle().requests if call.method == "POST" and call.path.endswith("/invites")]
    assert len([call for call in sent if call.status == 200]) <= len(invites)


def check_removals(openai: FakeOpenAI, removals: list[Offboarding], done: Counter[tuple[str, str]]) -> None:
    for removal in removals:
        assert removal.state is OffboardingState.DONE
        assert done["member.revoked", removal.id] == 1
        assert done["member.contained", removal.id] == 1
        oracle = openai.oracle()
        assert removal.email not in {member.email for member in oracle.members()}
        assert removal.email not in {place.email for place in oracle.project_users()}
        assert removal.email not in {invite.email for invite in oracle.invites() if invite.status == "pending"}
        personal = {key.id for key in openai.org.tables.keys.values() if key.owner_user_id == removal.member_remote_id}
        if removal.member_remote_id:
            assert personal
            assert all(openai.org.tables.keys[key].deleted_at is not None for key in personal)
