"""The audit log: recorded with the change, without gaps and secrets, and no edit of it goes unnoticed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum

import pytest
import sqlalchemy as sa
from freezegun import freeze_time

from govern.audit import chain, queries
from govern.audit import service as audit
from govern.audit.models import AuditEvent, AuditHead
from govern.audit.queries import Search
from govern.audit.rules import Change, Outcome, changes
from govern.audit.service import Verdict, verify
from govern.core.crypto import Secret, SecretBox, new_token
from govern.core.uow import Actor, ActorKind, UnitsOfWork

ADA = Actor(ActorKind.PERSON, "per_ada", "Ada Admin", ip="192.0.2.7", request_id="req-1")


def record(unit_of_work: UnitsOfWork, *actions: str) -> None:
    with unit_of_work(ADA) as uow:
        for action in actions:
            audit.record(uow, action, ("keys", "key_1"), reason="because")


def check(unit_of_work: UnitsOfWork) -> Verdict:
    with unit_of_work.reading() as session:
        return verify(session, unit_of_work.box)


def stored(unit_of_work: UnitsOfWork) -> list[AuditEvent]:
    with unit_of_work.reading() as session:
        return list(session.scalars(sa.select(AuditEvent).order_by(AuditEvent.seq)))


def tamper(unit_of_work: UnitsOfWork, *statements: sa.Executable) -> None:
    """As someone who owns the database would: without the triggers."""
    with unit_of_work.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")  # no trigger runs
        else:
            connection.exec_driver_sql("DROP TRIGGER audit_events_keep_update")
            connection.exec_driver_sql("DROP TRIGGER audit_events_keep_delete")
        for statement in statements:
            assert connection.execute(statement).rowcount != 0
        connection.commit()


@pytest.mark.one_database
class TestRecording:
    def test_an_event_says_who_did_what_to_what_when_why_and_from_where(self, unit_of_work: UnitsOfWork) -> None:
        with freeze_time("2026-03-10 12:00:00.123456"):
            record(unit_of_work, "key.revoked")
        [event] = stored(unit_of_work)
        assert (event.seq, event.action, event.actor_kind, event.actor_id, event.actor_label) == (
            1, "key.revoked", "person", "per_ada", "Ada Admin",
        )  # fmt: skip
        assert (event.subject_kind, event.subject_id, event.reason) == ("keys", "key_1", "because")
        assert (event.ip, event.request_id) == ("192.0.2.7", "req-1")
        assert event.at == datetime(2026, 3, 10, 12, 0, 0, 123456, tzinfo=UTC)

    def test_is_part_of_the_change(self, unit_of_work: UnitsOfWork) -> None:
        with pytest.raises(RuntimeError), unit_of_work(ADA) as uow:  # noqa: PT012
            audit.record(uow, "key.revoked", ("keys", "key_1"))
            raise RuntimeError
        assert stored(unit_of_work) == []
        record(unit_of_work, "key.issued")
        assert [event.seq for event in stored(unit_of_work)] == [1]

    def test_keeps_the_order_within_a_change(self, unit_of_work: UnitsOfWork) -> None:
        record(unit_of_work, "a", "b", "c")
        record(unit_of_work, "d")
        assert [(event.seq, event.action) for event in stored(unit_of_work)] == [(1, "a"), (2, "b"), (3, "c"), (4, "d")]
        assert check(unit_of_work) == Verdict(4, None, None)

    def test_takes_plain_facts_and_keeps_them_exactly(self, unit_of_work: UnitsOfWork) -> None:
        class Colour(StrEnum):
            RED = "red"

        with unit_of_work(ADA) as uow:
            audit.record(
                uow, "budget.changed", ("budgets", "bud_1"), usd=Decimal("10.000000001"), on=date(2026, 3, 1), colour=Colour.RED,
                steps=(50, 80), nested={"a": [True, None, "ü\u2028\u202e"]}, big=2**60,
            )  # fmt: skip
        [event] = stored(unit_of_work)
        assert event.facts == {
            "usd": "10.000000001", "on": "2026-03-01", "colour": "red", "steps": [50, 80],
            "nested": {"a": [True, None, "ü\u2028\u202e"]}, "big": 2**60,
        }  # fmt: skip
        assert check(unit_of_work).broken_at is None

    @pytest.mark.parametrize(
        "fact",
        [
            "sk-proj-abcdefghijklmnop012345", {"deep": ["sk-svcacct-abcdefghijklmnop0123"]}, new_token().reveal(),
            new_token("govs").reveal(), "Bearer sk-abcdefghijklmnopqrst\n",
        ],
        ids=["key", "nested", "token", "session", "header"],
    )  # fmt: skip
    def test_refuses_what_looks_like_a_secret(self, unit_of_work: UnitsOfWork, fact: object) -> None:
        with pytest.raises(ValueError, match="secret") as caught, unit_of_work(ADA) as uow:
            audit.record(uow, "key.issued", ("keys", "key_1"), value=fact)
        assert str(fact) not in str(caught.value)
        assert stored(unit_of_work) == []

    def test_strikes_a_secret_out_of_somebodys_own_words(self, unit_of_work: UnitsOfWork) -> None:
        token = new_token().reveal()
        with unit_of_work(ADA) as uow:
            audit.record(uow, "key.revoke_requested", ("keys", "key_1"), reason=f"found {token} in a chat")
        assert [event.reason for event in stored(unit_of_work)] == ["found [secret] in a chat"]

    @pytest.mark.parametrize("fact", [Secret("x"), [Secret("x")], 1.5, object(), b"bytes"])
    def test_refuses_what_is_no_plain_value(self, unit_of_work: UnitsOfWork, fact: object) -> None:
        with pytest.raises(TypeError), unit_of_work(ADA) as uow:
            audit.record(uow, "key.issued", ("keys", "key_1"), value=fact)
        assert stored(unit_of_work) == []

    def test_commits_at_the_same_time_leave_no_gap(self, unit_of_work: UnitsOfWork) -> None:
        threads, rounds = 8, 12
        start = threading.Barrier(threads)

        def work(number: int) -> None:
            start.wait()
            for turn in range(rounds):
                if turn % 3 == 2:
                    with pytest.raises(RuntimeError), unit_of_work(ADA) as uow:  # noqa: PT012
                        audit.record(uow, f"lost.{number}", ("keys", "key_1"))
                        raise RuntimeError
                else:
                    record(unit_of_work, f"kept.{number}", f"kept.{number}")

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, range(threads)))
        events = stored(unit_of_work)
        assert [event.seq for event in events] == list(range(1, threads * 16 + 1))
        assert not any(event.action.startswith("lost") for event in events)
        assert check(unit_of_work) == Verdict(threads * 16, None, None)

    def test_a_log_that_grows_while_it_is_verified_holds(self, unit_of_work: UnitsOfWork) -> None:
        record(unit_of_work, *(["a"] * 600))  # more than is read at a time
        done = threading.Event()

        def write() -> None:
            while not done.is_set():
                record(unit_of_work, "b", "c")

        with ThreadPoolExecutor(2) as pool:
            writers = [pool.submit(write) for _ in range(2)]
            verdicts = [check(unit_of_work) for _ in range(4)]
            done.set()
            for writer in writers:
                writer.result()
        assert [verdict for verdict in verdicts if verdict.problem] == []
        assert verdicts[-1].events > 600


class TestTheDatabaseItselfRefuses:
    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE audit_events SET actor_id = 'nobody' WHERE seq = 2", "DELETE FROM audit_events WHERE seq = 2",
            "DELETE FROM audit_events", "UPDATE audit_events SET facts = '{}'",
        ],
    )  # fmt: skip
    def test_to_change_or_delete(self, unit_of_work: UnitsOfWork, statement: str) -> None:
        record(unit_of_work, "a", "b", "c")
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), unit_of_work.engine.begin() as connection:
            connection.exec_driver_sql(statement)
        assert check(unit_of_work) == Verdict(3, None, None)

    def test_to_empty_the_table(self, unit_of_work: UnitsOfWork) -> None:
        record(unit_of_work, "a")
        verb = "TRUNCATE audit_events" if unit_of_work.engine.dialect.name == "postgresql" else "DELETE FROM audit_events"
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), unit_of_work.engine.begin() as connection:
            connection.exec_driver_sql(verb)

    def test_to_replace_through_the_orm(self, unit_of_work: UnitsOfWork) -> None:
        record(unit_of_work, "a")
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), unit_of_work(ADA) as uow:
            uow.session.scalars(sa.select(AuditEvent)).one().reason = "another"


EDITS: dict[str, Callable[[AuditEvent], dict[str, object]]] = {
    "id": lambda e: {"id": "aud_other"},
    "at": lambda e: {"at": e.at.replace(microsecond=(e.at.microsecond + 1) % 1_000_000)},
    "action": lambda e: {"action": "key.viewed"},
    "actor_kind": lambda e: {"actor_kind": "job"},
    "actor_id": lambda e: {"actor_id": "per_eve"},
    "actor_label": lambda e: {"actor_label": "Eve"},
    "subject_kind": lambda e: {"subject_kind": "members"},
    "subject_id": lambda e: {"subject_id": "key_2"},
    "facts": lambda e: {"facts": {"a": 2}},
    "facts, one added": lambda e: {"facts": {"a": 1, "b": None}},
    "reason": lambda e: {"reason": "because!"},
    "reason removed": lambda e: {"reason": None},
    "ip": lambda e: {"ip": "192.0.2.8"},
    "request_id": lambda e: {"request_id": None},
    "digest": lambda e: {"digest": "0" * 64},
    "through": lambda e: {"through": "tok_other"},
    "a text moved to its neighbour": lambda e: {
        "subject_kind": e.subject_kind + "key",
        "subject_id": e.subject_id.removeprefix("key"),
    },
}


class TestTampering:
    @pytest.fixture
    def log(self, unit_of_work: UnitsOfWork) -> UnitsOfWork:
        with unit_of_work(ADA) as uow:
            for action in ("key.requested", "key.issued", "key.revealed", "key.revoked"):
                audit.record(uow, action, ("keys", "key_1"), reason="because", a=1)
        assert check(unit_of_work) == Verdict(4, None, None)
        return unit_of_work

    @pytest.mark.parametrize("edit", EDITS)
    @pytest.mark.parametrize("seq", [1, 3, 4])
    def test_an_edit_of_any_column_is_found_where_it_is(self, log: UnitsOfWork, edit: str, seq: int) -> None:
        event = stored(log)[seq - 1]
        tamper(log, sa.update(AuditEvent).where(AuditEvent.seq == seq).values(EDITS[edit](event)))
        verdict = check(log)
        assert (verdict.events, verdict.broken_at) == (seq - 1, seq)
        assert "changed" in (verdict.problem or "")

    def test_every_column_is_covered_above(self) -> None:
        changed = {name for edit in EDITS.values() for name in edit(AuditEvent(
            seq=1, id="aud_1", at=datetime.now(UTC), subject_kind="k", subject_id="key_1"))}  # fmt: skip
        assert changed == {column.key for column in sa.inspect(AuditEvent).columns} - {"seq"}

    @pytest.mark.one_database
    @pytest.mark.parametrize("seq", [1, 2, 3])
    def test_a_deleted_event_is_missed(self, log: UnitsOfWork, seq: int) -> None:
        tamper(log, sa.delete(AuditEvent).where(AuditEvent.seq == seq))
        assert check(log) == Verdict(seq - 1, seq, f"Event {seq} is missing.")

    def test_a_deletion_that_closes_the_gap_is_found(self, log: UnitsOfWork) -> None:
        tamper(
            log,
            sa.delete(AuditEvent).where(AuditEvent.seq == 2),
            sa.update(AuditEvent).where(AuditEvent.seq == 3).values(seq=2),
            sa.update(AuditEvent).where(AuditEvent.seq == 4).values(seq=3),
            sa.update(AuditHead).values(seq=3),
        )
        assert check(log).broken_at == 2

    @pytest.mark.one_database
    def test_events_that_changed_places_are_found(self, log: UnitsOfWork) -> None:
        tamper(
            log,
            sa.update(AuditEvent).where(AuditEvent.seq == 2).values(seq=99),
            sa.update(AuditEvent).where(AuditEvent.seq == 3).values(seq=2),
            sa.update(AuditEvent).where(AuditEvent.seq == 99).values(seq=3),
        )
        assert check(log).broken_at == 2

    @pytest.mark.one_database
    def test_a_cut_tail_is_found(self, log: UnitsOfWork) -> None:
        tamper(log, sa.delete(AuditEvent).where(AuditEvent.seq == 4))
        verdict = check(log)
        assert (verdict.events, verdict.broken_at) == (3, 4)
        assert verdict.problem == "The log ends at 3, but 4 events were written."

    @pytest.mark.one_database
    def test_an_emptied_log_is_found(self, log: UnitsOfWork) -> None:
        tamper(log, *(sa.delete(AuditEvent).where(AuditEvent.seq == seq) for seq in (1, 2, 3, 4)))
        assert check(log).broken_at == 1

    def test_a_forged_event_at_the_end_is_found(self, log: UnitsOfWork) -> None:
        last = stored(log)[-1]
        forged = {column.key: getattr(last, column.key) for column in sa.inspect(AuditEvent).columns}
        tamper(log, sa.insert(AuditEvent).values(forged | {"seq": 5, "id": "aud_forged"}))
        assert check(log).broken_at == 5

    def test_a_chain_computed_anew_without_the_ring_is_found(self, log: UnitsOfWork) -> None:
        """Whoever owns the database but not the ring cannot make the digests that belong to a changed history."""
        mallory = SecretBox({"mine": b"m" * 32})
        events, previous, statements = stored(log), "", []
        events[1].actor_id = "per_somebody_else"
        for event in events:
            previous = chain.digest(mallory, previous, audit.link_of(event))
            values = {"actor_id": event.actor_id, "digest": previous}
            statements.append(sa.update(AuditEvent).where(AuditEvent.seq == event.seq).values(values))
        tamper(log, *statements, sa.update(AuditHead).values(digest=previous))
        assert check(log).broken_at == 1
        with log.reading() as session:
            assert verify(session, mallory).broken_at is None  # the forgery itself is sound


class TestReading:
    @pytest.fixture
    def log(self, unit_of_work: UnitsOfWork) -> UnitsOfWork:
        eve = Actor(ActorKind.PERSON, "per_eve", "Eve Émile", request_id="req-2")
        with freeze_time("2026-03-10 12:00:00"), unit_of_work(ADA) as uow:
            audit.record(uow, "key.requested", ("keys", "key_1"), reason="for 100 % of Search")
            audit.record(uow, "key.issued", ("keys", "key_1"))
        with freeze_time("2026-03-11 12:00:00"), unit_of_work(eve) as uow:
            audit.record(uow, "key.freeze_refused", ("keys", "key_1"))
            audit.record(uow, "keyring.changed", ("rings", "ring_1"), before={"a": 1}, after={"a": 2})
        return unit_of_work

    def test_newest_first_and_searched_by_anything(self, log: UnitsOfWork) -> None:
        noon = datetime(2026, 3, 11, 12, tzinfo=UTC)
        cases: list[tuple[Search, list[int]]] = [
            (Search(), [4, 3, 2, 1]), (Search(action="key.issued"), [2]), (Search(action="key."), [3, 2, 1]),
            (Search(action="key"), []), (Search(action="k_y."), []), (Search(action="%."), []),
            (Search(actor_id="per_eve"), [4, 3]), (Search(subject_id="key_1"), [3, 2, 1]), (Search(request_id="req-2"), [4, 3]),
            (Search(reason="SEARCH"), [1]), (Search(reason="100 % o"), [1]), (Search(reason="%"), [1]), (Search(reason="_"), []),
            (Search(text="eve"), [4, 3]), (Search(text="ring_"), [4]), (Search(text="per_a"), [2, 1]),
            (Search(text="search"), [1]),
            (Search(outcome=Outcome.ASKED), [1]), (Search(outcome=Outcome.REFUSED), [3]), (Search(outcome=Outcome.DONE), [4, 2]),
            (Search(since=noon), [4, 3]), (Search(until=noon), [2, 1]), (Search(since=noon, until=noon), []),
            (Search(subject_id="key_1", actor_id="per_eve", action="key.", text="Eve", outcome=Outcome.REFUSED), [3]),
        ]  # fmt: skip
        with log.reading() as session:
            for search, seqs in cases:
                assert [event.seq for event in queries.events(session, search)] == seqs, search
            assert [event.seq for event in queries.events(session, limit=2)] == [4, 3]
            assert [event.seq for event in queries.events(session, Search(action="key."), before=3)] == [2, 1]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"a": 1}, []), ({"before": 1, "after": 2}, [Change("", 1, 2)]), ({"after": ["admin"]}, [Change("", None, ["admin"])]),
        ({"before": {"a": 1, "b": 2}, "after": {"a": 1, "b": 3, "c": 4}}, [Change("b", 2, 3), Change("c", None, 4)]),
        ({"before": None, "after": {"a": 1}}, [Change("a", None, 1)]), ({"before": {"a": 1}}, [Change("a", 1, None)]),
        ({"before": {"a": 1}, "after": 2}, [Change("", {"a": 1}, 2)]), ({"before": {}, "after": {}}, []),
    ],
)  # fmt: skip
def test_what_changed_is_told_value_by_value(facts: dict[str, object], expected: list[Change]) -> None:
    assert changes(facts) == expected
