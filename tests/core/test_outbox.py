"""Effects: who may carry one out, in which order, and what a worker finds that comes back too late."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import sqlalchemy as sa
from freezegun import freeze_time

from govern.core import outbox
from govern.core.crypto import SecretBox
from govern.core.db import make_engine
from govern.core.lanes import Lane
from govern.core.outbox import LEASE, Claim, ClaimLost, Effect, EffectState
from govern.core.uow import Actor, ActorKind, UnitOfWork, UnitsOfWork
from tests.peers.reuse import ReusedDatabase

ADA = Actor(ActorKind.PERSON, "per_ada", "Ada Admin")
BOTH = (Lane.INTERACTIVE, Lane.BACKGROUND)
NOON = "2026-03-10 12:00:00"


def owe(
    unit_of_work: UnitsOfWork,
    subject: str,
    *,
    kind: str = "key.issue",
    lane: Lane = Lane.INTERACTIVE,
    delay: timedelta = timedelta(0),
    payload: dict[str, object] | None = None,
) -> str:
    with unit_of_work(ADA) as uow:
        return outbox.enqueue(uow, kind, subject, payload, lane=lane, delay=delay).id


def claim(unit_of_work: UnitsOfWork, lanes: tuple[Lane, ...] = BOTH, kinds: tuple[str, ...] | None = None) -> Claim | None:
    with unit_of_work(ADA) as uow:
        return outbox.claim_next(uow, lanes, kinds)


def must_claim(unit_of_work: UnitsOfWork) -> Claim:
    found = claim(unit_of_work)
    assert found is not None
    return found


def settle(unit_of_work: UnitsOfWork, held: Claim) -> None:
    with unit_of_work(ADA) as uow:
        outbox.settle(uow, held)


def effects(unit_of_work: UnitsOfWork) -> list[Effect]:
    with unit_of_work.reading() as session:
        return list(session.scalars(sa.select(Effect).order_by(Effect.id)))


class TestClaiming:
    def test_nothing_owed_nothing_claimed(self, unit_of_work: UnitsOfWork) -> None:
        assert claim(unit_of_work) is None

    def test_a_claim_says_what_for_whom_and_for_the_how_manieth_time(self, unit_of_work: UnitsOfWork) -> None:
        effect_id = owe(unit_of_work, "kv_1", payload={"a": [1, "ü"]})
        held = must_claim(unit_of_work)
        assert (held.id, held.kind, held.subject_id, held.attempt) == (effect_id, "key.issue", "kv_1", 1)
        assert held.payload == {"a": [1, "ü"]}
        # What is done is done on behalf of whoever asked for it, and can be traced to the effect.
        assert held.actor == Actor(ActorKind.EFFECT, "per_ada", "Ada Admin", request_id=effect_id)

    def test_what_is_claimed_is_not_claimed_again_before_its_lease_ends(self, unit_of_work: UnitsOfWork) -> None:
        with freeze_time(NOON) as clock:
            owe(unit_of_work, "kv_1")
            assert must_claim(unit_of_work).attempt == 1
            clock.tick(LEASE - timedelta(microseconds=1))
            assert claim(unit_of_work) is None
            clock.tick(timedelta(microseconds=1))
            assert must_claim(unit_of_work).attempt == 2

    def test_a_delayed_effect_waits(self, unit_of_work: UnitsOfWork) -> None:
        with freeze_time(NOON) as clock:
            owe(unit_of_work, "kv_1", delay=timedelta(minutes=5))
            assert claim(unit_of_work) is None
            clock.tick(timedelta(minutes=5))
            assert claim(unit_of_work) is not None

    def test_a_rolled_back_enqueue_owes_nothing(self, unit_of_work: UnitsOfWork) -> None:
        with pytest.raises(RuntimeError), unit_of_work(ADA) as uow:  # noqa: PT012
            outbox.enqueue(uow, "key.issue", "kv_1")
            raise RuntimeError
        assert claim(unit_of_work) is None

    def test_a_rolled_back_claim_leaves_the_effect_to_others(self, unit_of_work: UnitsOfWork) -> None:
        owe(unit_of_work, "kv_1")
        with pytest.raises(RuntimeError), unit_of_work(ADA) as uow:  # noqa: PT012
            assert outbox.claim_next(uow, BOTH) is not None
            raise RuntimeError
        assert must_claim(unit_of_work).attempt == 1

    def test_each_effect_goes_to_one_of_many_claimers(self, unit_of_work: UnitsOfWork) -> None:
        wanted = {f"kv_{number}" for number in range(24)}
        for subject in wanted:
            owe(unit_of_work, subject)
        start, won = threading.Barrier(8), []

        def take() -> None:
            start.wait()
            misses = 0
            while misses < 3:  # a claimer that lost a race may see nothing although there is more
                held = claim(unit_of_work)
                if held is None:
                    misses += 1
                else:
                    won.append(held.subject_id)

        with ThreadPoolExecutor(8) as pool:
            for future in [pool.submit(take) for _ in range(8)]:
                future.result()
        assert sorted(won) == sorted(wanted)

    def test_kinds_narrow_the_choice(self, unit_of_work: UnitsOfWork) -> None:
        owe(unit_of_work, "kv_1", kind="key.issue")
        assert claim(unit_of_work, kinds=("key.revoke",)) is None
        assert claim(unit_of_work, kinds=("key.issue",)) is not None


class TestOrder:
    def test_interactive_before_background_then_by_due_time(self, unit_of_work: UnitsOfWork) -> None:
        with freeze_time(NOON) as clock:
            owe(unit_of_work, "background, oldest", lane=Lane.BACKGROUND)
            clock.tick(1)
            owe(unit_of_work, "interactive, due last", delay=timedelta(seconds=5))
            owe(unit_of_work, "interactive, due second")
            clock.tick(10)
            order = [must_claim(unit_of_work).subject_id for _ in range(3)]
        assert order == ["interactive, due second", "interactive, due last", "background, oldest"]

    def test_a_lane_serves_only_itself(self, unit_of_work: UnitsOfWork) -> None:
        owe(unit_of_work, "slow", lane=Lane.BACKGROUND)
        assert claim(unit_of_work, (Lane.INTERACTIVE,)) is None
        assert claim(unit_of_work, (Lane.BACKGROUND,)) is not None


class TestOneOpenEffectPerSubject:
    def test_owing_twice_is_owing_once(self, unit_of_work: UnitsOfWork) -> None:
        assert owe(unit_of_work, "kv_1") == owe(unit_of_work, "kv_1")
        assert len(effects(unit_of_work)) == 1

    def test_other_kinds_and_subjects_are_separate(self, unit_of_work: UnitsOfWork) -> None:
        owe(unit_of_work, "kv_1"), owe(unit_of_work, "kv_2"), owe(unit_of_work, "kv_1", kind="key.revoke")
        assert len(effects(unit_of_work)) == 3

    def test_owing_again_makes_it_due_sooner_never_later(self, unit_of_work: UnitsOfWork) -> None:
        with freeze_time(NOON):
            owe(unit_of_work, "kv_1", lane=Lane.BACKGROUND, delay=timedelta(hours=1))
            owe(unit_of_work, "kv_1", lane=Lane.BACKGROUND, delay=timedelta(hours=2))
            assert effects(unit_of_work)[0].not_before == datetime(2026, 3, 10, 13, tzinfo=UTC)
            owe(unit_of_work, "kv_1")
            [effect] = effects(unit_of_work)
        assert effect.not_before == datetime(2026, 3, 10, 12, tzinfo=UTC)
        assert effect.lane is Lane.INTERACTIVE  # somebody waits for it now

    def test_a_settled_effect_can_be_owed_anew(self, unit_of_work: UnitsOfWork) -> None:
        first = owe(unit_of_work, "kv_1")
        settle(unit_of_work, must_claim(unit_of_work))
        second = owe(unit_of_work, "kv_1")
        assert first != second
        assert must_claim(unit_of_work).attempt == 1

    def test_the_database_itself_refuses_a_second_open_one(self, unit_of_work: UnitsOfWork) -> None:
        owe(unit_of_work, "kv_1")
        [effect] = effects(unit_of_work)
        copy = {column.key: getattr(effect, column.key) for column in sa.inspect(Effect).columns} | {"id": "eff_copy"}
        with pytest.raises(sa.exc.IntegrityError), unit_of_work(ADA) as uow:
            uow.session.execute(sa.insert(Effect).values(copy))


class TestSettling:
    def test_settled_is_done_and_never_claimed_again(self, unit_of_work: UnitsOfWork) -> None:
        with freeze_time(NOON) as clock:
            owe(unit_of_work, "kv_1")
            settle(unit_of_work, must_claim(unit_of_work))
            clock.tick(timedelta(days=1))
            assert claim(unit_of_work) is None
        [effect] = effects(unit_of_work)
        assert (effect.state, effect.settled_at) == (EffectState.DONE, datetime(2026, 3, 10, 12, tzinfo=UTC))

    def test_a_rolled_back_settlement_settles_nothing(self, unit_of_work: UnitsOfWork) -> None:
        owe(unit_of_work, "kv_1")
        held = must_claim(unit_of_work)
        with pytest.raises(RuntimeError), unit_of_work(ADA) as uow:  # noqa: PT012
            outbox.settle(uow, held)
            raise RuntimeError
        settle(unit_of_work, held)

    @pytest.mark.parametrize(
        "act",
        [
            lambda uow, held: outbox.settle(uow, held),
            lambda uow, held: outbox.bury(uow, held, "no"),
            lambda uow, held: outbox.postpone(uow, held, timedelta(0), None),
            lambda uow, held: outbox.extend(uow, held),
        ],
        ids=["settle", "bury", "postpone", "extend"],
    )
    def test_whoever_was_overtaken_can_record_nothing(
        self, unit_of_work: UnitsOfWork, act: Callable[[UnitOfWork, Claim], None]
    ) -> None:
        """The fence: a worker frozen for longer than its lease wakes up and must not undo what its successor did."""
        with freeze_time(NOON) as clock:
            owe(unit_of_work, "kv_1")
            frozen = must_claim(unit_of_work)
            clock.tick(LEASE)
            successor = must_claim(unit_of_work)
            with pytest.raises(ClaimLost), unit_of_work(ADA) as uow:
                act(uow, frozen)
            settle(unit_of_work, successor)
            with pytest.raises(ClaimLost), unit_of_work(ADA) as uow:
                act(uow, frozen)

    def test_nothing_is_settled_twice(self, unit_of_work: UnitsOfWork) -> None:
        owe(unit_of_work, "kv_1")
        held = must_claim(unit_of_work)
        settle(unit_of_work, held)
        with pytest.raises(ClaimLost):
            settle(unit_of_work, held)

    def test_a_late_settlement_without_a_successor_counts(self, unit_of_work: UnitsOfWork) -> None:
        """The lease alone does not take a claim away; only a newer attempt does."""
        with freeze_time(NOON) as clock:
            owe(unit_of_work, "kv_1")
            held = must_claim(unit_of_work)
            clock.tick(LEASE * 3)
            settle(unit_of_work, held)
        assert effects(unit_of_work)[0].state is EffectState.DONE

    def test_an_extended_lease_keeps_others_away(self, unit_of_work: UnitsOfWork) -> None:
        with freeze_time(NOON) as clock:
            owe(unit_of_work, "kv_1")
            held = must_claim(unit_of_work)
            clock.tick(LEASE - timedelta(seconds=1))
            with unit_of_work(ADA) as uow:
                outbox.extend(uow, held)
            clock.tick(LEASE - timedelta(seconds=1))
            assert claim(unit_of_work) is None


class TestPuttingOff:
    def test_postponed_comes_back_with_the_next_attempt_and_the_reason_without_secrets(self, unit_of_work: UnitsOfWork) -> None:
        secret = "sk-proj-abcdefghijklmnop0123456789"
        with freeze_time(NOON) as clock:
            owe(unit_of_work, "kv_1")
            with unit_of_work(ADA) as uow:
                outbox.postpone(uow, must_claim(unit_of_work), timedelta(seconds=30), f"OpenAI said {secret}")
            [effect] = effects(unit_of_work)
            assert effect.last_error == "OpenAI said [secret]"
            assert claim(unit_of_work) is None
            clock.tick(30)
            assert must_claim(unit_of_work).attempt == 2

    def test_what_is_asked_for_during_an_attempt_is_still_owed_afterwards(self, unit_of_work: UnitsOfWork) -> None:
        """Somebody asks again while an attempt runs: the attempt may have looked before the change."""
        with freeze_time(NOON) as clock:
            owe(unit_of_work, "kv_1")
            held = must_claim(unit_of_work)
            clock.tick(1)
            owe(unit_of_work, "kv_1")
            with unit_of_work(ADA) as uow:
                outbox.postpone(uow, held, timedelta(seconds=5), "later")
            clock.tick(5)
            assert claim(unit_of_work) is not None

    def test_buried_is_kept_for_people_and_can_be_replayed(self, unit_of_work: UnitsOfWork) -> None:
        with freeze_time(NOON) as clock:
            effect_id = owe(unit_of_work, "kv_1")
            with unit_of_work(ADA) as uow:
                outbox.bury(uow, must_claim(unit_of_work), "refused: sk-abcdefghijklmnopqrst")
            [dead] = effects(unit_of_work)
            assert (dead.state, dead.last_error) == (EffectState.DEAD, "refused: [secret]")
            clock.tick(timedelta(days=1))
            assert claim(unit_of_work) is None
            with unit_of_work(ADA) as uow:
                outbox.replay(uow, effect_id)
            again = must_claim(unit_of_work)
            assert again.attempt == 2  # so a sweep knows that something may have been left behind
            settle(unit_of_work, again)

    def test_only_the_dead_are_replayed(self, unit_of_work: UnitsOfWork) -> None:
        effect_id = owe(unit_of_work, "kv_1")
        settle(unit_of_work, must_claim(unit_of_work))
        with unit_of_work(ADA) as uow:
            outbox.replay(uow, effect_id)
        assert claim(unit_of_work) is None

    def test_backoff_grows_and_ends_at_five_minutes(self) -> None:
        waits = [outbox.backoff(attempt).total_seconds() for attempt in (1, 2, 3, 8, 9, 50, 10_000)]
        assert waits == [2, 4, 8, 256, 300, 300, 300]


class TestWaking:
    """PostgreSQL only: SQLite has no notifications, the worker polls there."""

    @pytest.fixture
    def unit_of_work(self, postgres_database: ReusedDatabase, box: SecretBox) -> Iterator[UnitsOfWork]:
        engine = make_engine(postgres_database.fresh())
        yield UnitsOfWork(engine, box)
        engine.dispose()

    @pytest.fixture
    def listener(self, unit_of_work: UnitsOfWork) -> Iterator[psycopg.Connection]:
        url = unit_of_work.engine.url
        with psycopg.connect(host=url.host, port=url.port, user=url.username, dbname=url.database, autocommit=True) as connection:
            connection.execute(f"LISTEN {outbox.CHANNEL}")
            yield connection

    def test_a_commit_wakes_the_worker_and_a_rollback_does_not(
        self, unit_of_work: UnitsOfWork, listener: psycopg.Connection
    ) -> None:
        with pytest.raises(RuntimeError), unit_of_work(ADA) as uow:  # noqa: PT012
            outbox.enqueue(uow, "key.issue", "kv_0")
            raise RuntimeError
        assert list(listener.notifies(timeout=0.2)) == []
        with unit_of_work(ADA) as uow:
            outbox.enqueue(uow, "key.issue", "kv_1")
            uow.session.flush()
            assert list(listener.notifies(timeout=0.2)) == []
        assert len(list(listener.notifies(timeout=5, stop_after=1))) == 1


def test_what_somebody_else_has_done_is_withdrawn(unit_of_work: UnitsOfWork) -> None:
    """Whoever is at it just then finds its claim lost; what is not owed is nobody's business."""
    owe(unit_of_work, "kv_1", kind="key.revoke")
    with unit_of_work(ADA) as uow:
        claim = outbox.claim_next(uow, BOTH)
        assert claim is not None
    with unit_of_work(ADA) as uow:
        outbox.withdraw(uow, "key.revoke", "kv_1")
        outbox.withdraw(uow, "key.revoke", "kv_2")
    with pytest.raises(ClaimLost), unit_of_work(ADA) as uow:
        outbox.settle(uow, claim)
    with unit_of_work(ADA) as uow:
        assert outbox.open_effect(uow.session, "key.revoke", "kv_1") is None
        assert outbox.claim_next(uow, BOTH) is None
