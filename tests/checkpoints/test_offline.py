"""An exported log, far from the database: nothing in it can be changed, moved, taken out or cut off unnoticed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from govern.audit import export as log
from govern.audit import service as audit
from govern.audit.models import AuditHead
from govern.audit.service import AuditBroken
from govern.audit.walk import Anchor, Verdict, verify_lines
from govern.checkpoints import export, forgetting, rules, signing
from govern.checkpoints.models import Checkpoint
from govern.core.crypto import SecretBox
from govern.core.uow import Actor, ActorKind, UnitsOfWork
from govern.evidence import queries as evidence
from govern.evidence import service as evidence_service
from govern.evidence.rules import EvidenceBroken, read_public

ADA = Actor(ActorKind.PERSON, "per_ada", "Ada", ip="192.0.2.7", request_id="req-1")
JOB = Actor(ActorKind.JOB, "audit.checkpoint", "audit.checkpoint")
Judge = Callable[[bytes], Verdict]


def record(units: UnitsOfWork, *actions: str) -> None:
    with units(ADA) as uow:
        for action in actions:
            audit.record(uow, action, ("keys", "key_1"), reason="wäre", a=1)


def split(file: bytes) -> list[bytes]:
    return file.splitlines(keepends=True)


@dataclass(frozen=True)
class Files:
    """What an auditor was given."""

    log: bytes
    checkpoints: bytes
    public: Ed25519PublicKey
    box: SecretBox

    @property
    def anchors(self) -> dict[int, Anchor]:
        return rules.anchors_of(split(self.checkpoints), self.public)

    def by_key(self, log: bytes) -> Verdict:
        return verify_lines(split(log), self.anchors, None)

    def by_ring(self, log: bytes) -> Verdict:
        return verify_lines(split(log), {}, self.box)


@pytest.fixture
def files(unit_of_work: UnitsOfWork) -> Files:
    """Five events, signed behind the second and the last."""
    record(unit_of_work, "key.requested")
    assert signing.sign_newest(unit_of_work, JOB) is not None  # it makes the key, which is an event of its own
    record(unit_of_work, "key.issued", "key.revealed", "key.revoked")
    assert signing.sign_newest(unit_of_work, JOB) is not None
    assert signing.sign_newest(unit_of_work, JOB) is None  # nothing happened since
    with unit_of_work.reading() as session:
        pem = evidence.public_key(session).public_pem
    lines, signed = (b"".join(part) for part in (log.chunks(unit_of_work, "jsonl"), export.chunks(unit_of_work)))
    return Files(lines, signed, read_public(pem.encode()), unit_of_work.box)


def mutations(file: bytes) -> Iterator[bytes]:
    """The file with each byte changed once: another letter or digit of its kind where that can be, so that it stays JSON."""
    for place, byte in enumerate(file):
        other = byte ^ 1 if chr(byte).isalnum() else 0x20 if byte != 0x20 else 0x5F
        yield file[:place] + bytes([other]) + file[place + 1 :]


@pytest.mark.one_database
class TestAnExport:
    def test_holds_by_the_ring_and_by_the_key_alone(self, files: Files) -> None:
        assert sorted(files.anchors) == [1, 5]
        assert files.by_ring(files.log) == files.by_key(files.log) == Verdict(5, None, None)

    @pytest.mark.parametrize("way", ["by_ring", "by_key"])
    def test_each_byte_changed_once_is_found(self, files: Files, way: str) -> None:
        anchors = files.anchors
        box, known = (files.box, {}) if way == "by_ring" else (None, anchors)
        changed = list(mutations(files.log))
        assert len(changed) > 1_500
        assert [log for log in changed if verify_lines(split(log), known, box).problem is None] == []

    def test_the_place_is_named(self, files: Files) -> None:
        lines = split(files.log)
        lines[3] = lines[3].replace("wäre".encode(), b"waere")
        assert files.by_ring(b"".join(lines)) == Verdict(3, 4, "Event 4 was changed.")
        by_key = files.by_key(b"".join(lines))
        assert by_key == Verdict(1, 2, "Events 2 to 5 are not those that were signed: one of them was changed.")

    @pytest.mark.parametrize("way", ["by_ring", "by_key"])
    def test_a_line_taken_out_moved_or_doubled_is_found(self, files: Files, way: str) -> None:
        judge: Judge = getattr(files, way)
        for place in range(4):
            lines = split(files.log)
            line = lines.pop(place)
            assert judge(b"".join(lines)).broken_at == place + 1
            assert judge(b"".join([*lines[: place + 1], line, *lines[place + 1 :]])).problem is not None
            assert judge(b"".join([*lines[:place], line, line, *lines[place:]])).problem is not None

    def test_a_cut_tail_is_found_by_the_checkpoints(self, files: Files) -> None:
        for kept in range(5):
            verdict = files.by_key(b"".join(split(files.log)[:kept]))
            assert verdict.problem == f"The log ends at {kept}, but a checkpoint of event 5 was signed."
        assert files.by_ring(b"".join(split(files.log)[:3])) == Verdict(3, None, None)  # the ring alone cannot see it
        assert verify_lines(split(files.log)[:3], files.anchors, files.box).broken_at == 4
        assert files.by_ring(files.log[:-1]).broken_at == 5  # a line without its end is none

    def test_what_no_checkpoint_covers_is_not_called_proven(self, files: Files, unit_of_work: UnitsOfWork) -> None:
        record(unit_of_work, "key.rotated")
        longer = b"".join(log.chunks(unit_of_work, "jsonl"))
        assert files.by_ring(longer) == Verdict(6, None, None)
        verdict = files.by_key(longer)
        assert (verdict.events, verdict.broken_at) == (5, 6)
        assert "behind the newest checkpoint" in (verdict.problem or "")

    def test_a_part_holds_from_a_checkpoint_on(self, files: Files, unit_of_work: UnitsOfWork) -> None:
        part = split(b"".join(log.chunks(unit_of_work, "jsonl", after=1)))
        for box in (None, files.box):
            assert verify_lines(part, files.anchors, box, after=1) == Verdict(4, None, None)
            assert verify_lines(part, files.anchors, box).broken_at == 1  # it was not said to be a part
            assert verify_lines(part[1:], files.anchors, box, after=1).broken_at == 2
            assert "No checkpoint of event 2" in (verify_lines(part[1:], files.anchors, box, after=2).problem or "")

    def test_another_ring_does_not_fit(self, files: Files) -> None:
        assert verify_lines(split(files.log), {}, SecretBox({"mine": b"m" * 32})).broken_at == 1


@pytest.mark.one_database
class TestAFileOfCheckpoints:
    def test_each_byte_changed_once_is_found(self, files: Files) -> None:
        first = split(files.checkpoints)[0]
        for changed in mutations(first):
            with pytest.raises(EvidenceBroken):
                rules.anchors_of([changed], files.public)

    def test_another_key_did_not_sign_it(self, files: Files) -> None:
        with pytest.raises(EvidenceBroken, match="Line 1"):
            rules.anchors_of(split(files.checkpoints), Ed25519PrivateKey.generate().public_key())

    def test_may_hold_one_twice_but_not_two_of_one_event(self, files: Files, unit_of_work: UnitsOfWork) -> None:
        lines = split(files.checkpoints)
        assert rules.anchors_of(lines * 2, files.public) == files.anchors
        with unit_of_work(JOB) as uow:
            _, private = evidence_service.signing_key(uow)
            forked = rules.signed(Anchor(5, "0" * 64, "0" * 64), uow.now, private)
        with pytest.raises(EvidenceBroken, match="Two checkpoints of event 5 differ"):
            rules.anchors_of([*lines, forked.encode()], files.public)


def tamper(units: UnitsOfWork, table: str, statement: str) -> None:
    """As someone who owns the database would: without the triggers."""
    with units.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")  # no trigger runs
        else:
            for verb in ("update", "delete"):
                connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {table}_keep_{verb}")
        connection.exec_driver_sql(statement)


class TestSigning:
    def test_what_was_changed_in_the_database_is_not_signed(self, files: Files, unit_of_work: UnitsOfWork) -> None:
        record(unit_of_work, "key.rotated")
        tamper(unit_of_work, "audit_events", "UPDATE audit_events SET actor_id = 'per_eve' WHERE seq = 6")
        with pytest.raises(AuditBroken, match="Event 6 was changed"):
            signing.sign_newest(unit_of_work, JOB)

    def test_a_cut_log_is_not_signed_and_not_called_whole(self, files: Files, unit_of_work: UnitsOfWork) -> None:
        record(unit_of_work, "key.rotated", "key.issued")
        tamper(unit_of_work, "audit_events", "DELETE FROM audit_events WHERE seq = 7")
        with pytest.raises(AuditBroken, match="7 events are to be there, not 6"):
            signing.sign_newest(unit_of_work, JOB)
        last = split(files.log)[2]
        with unit_of_work.engine.begin() as connection:  # back to the third event, with the head: a whole chain, but shorter
            values = {"seq": 3, "digest": json.loads(last)["digest"]}
            connection.execute(sa.update(AuditHead).values(values))
        tamper(unit_of_work, "audit_events", "DELETE FROM audit_events WHERE seq > 3")
        with pytest.raises(AuditBroken, match="3 events are to be there, not 5"):
            signing.sign_newest(unit_of_work, JOB)
        with unit_of_work.reading() as session:
            assert audit.verify(session, files.box).problem is None
            found = forgetting.verify(session, files.box)
        assert (found.broken_at, found.problem) == (4, "The log ends at 3, but event 5 was signed.")

    def test_nothing_is_built_on_a_changed_checkpoint(self, files: Files, unit_of_work: UnitsOfWork) -> None:
        record(unit_of_work, "key.rotated")
        tamper(unit_of_work, "audit_checkpoints", f"UPDATE audit_checkpoints SET root = '{'0' * 64}' WHERE seq = 5")
        with pytest.raises(EvidenceBroken, match="event 5 was changed"):
            signing.sign_newest(unit_of_work, JOB)

    @pytest.mark.parametrize("statement", ["UPDATE audit_checkpoints SET root = 'x'", "DELETE FROM audit_checkpoints"])
    def test_the_database_itself_keeps_checkpoints(self, files: Files, unit_of_work: UnitsOfWork, statement: str) -> None:
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), unit_of_work.engine.begin() as connection:
            connection.exec_driver_sql(statement)
        with unit_of_work.reading() as session:
            assert len(session.scalars(sa.select(Checkpoint)).all()) == 2

    def test_a_database_put_back_to_an_older_state_is_found_from_outside(self, files: Files, unit_of_work: UnitsOfWork) -> None:
        with unit_of_work.reading() as session:
            assert audit.verify(session, files.box, files.anchors) == Verdict(5, None, None)
            ahead = files.anchors | {9: Anchor(9, "0" * 64, "0" * 64)}
            assert "ends at 5, but a checkpoint of event 9" in (audit.verify(session, files.box, ahead).problem or "")
            other = files.anchors | {4: Anchor(4, "0" * 64, "0" * 64)}
            assert audit.verify(session, files.box, other).broken_at == 2
