"""The exported log: exact, in constant memory, gone on with anywhere; and valid OCSF."""

from __future__ import annotations

import json
import tracemalloc
from itertools import product
from typing import Any

import jsonschema
import pytest
import sqlalchemy as sa
from freezegun import freeze_time
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from govern.audit import chain, export, ocsf, queries
from govern.audit import service as audit
from govern.audit.chain import Link
from govern.audit.rules import Outcome, outcome
from govern.audit.walk import Verdict, verify_lines
from govern.core.uow import Actor, ActorKind, UnitsOfWork

ADA = Actor(ActorKind.PERSON, "per_ada", "Ada Admin", ip="192.0.2.7", request_id="req-1")
WORDS = {"a": [True, None, 'ü\u2028\u202e "quoted"\n'], "big": 2**60}


def record(units: UnitsOfWork, count: int, *, actor: Actor = ADA) -> None:
    with units(actor) as uow:
        for number in range(count):
            audit.record(uow, "key.revoked", ("keys", f"key_{number}"), reason="because", words=WORDS)


def exported(units: UnitsOfWork, form: str = "jsonl", *, after: int = 0) -> bytes:
    return b"".join(export.chunks(units, form, after=after))


class TestLines:
    def test_every_column_is_there_and_the_digest_can_be_computed_from_the_line_alone(self, unit_of_work: UnitsOfWork) -> None:
        with freeze_time("2026-03-10 12:00:00"):
            record(unit_of_work, 1)
        record(unit_of_work, 2)
        previous = ""
        for seq, line in enumerate(exported(unit_of_work).splitlines(), 1):
            told = json.loads(line)
            assert set(told) == set(Link.__struct_fields__) - {"through"}
            assert (told["seq"], told["facts"], told["ip"]) == (seq, {"words": WORDS}, "192.0.2.7")
            link = Link(**told)
            assert chain.line(link) == line + b"\n"
            assert chain.read(line) == link
            assert chain.digest(unit_of_work.box, previous, link) == link.digest
            previous = link.digest

    def test_a_token_is_told_beside_the_one_it_acts_for(self, unit_of_work: UnitsOfWork) -> None:
        record(unit_of_work, 1)
        record(unit_of_work, 1, actor=Actor(ActorKind.TOKEN, "per_ada", "ci of Ada", through="tok_1"))
        first, second = exported(unit_of_work).splitlines(keepends=True)
        assert (b"through" in first, json.loads(second)["through"], json.loads(second)["actor_id"]) == (False, "tok_1", "per_ada")
        assert verify_lines([first, second], {}, unit_of_work.box) == Verdict(2, None, None)
        forged = second.replace(b"tok_1", b"tok_2")
        assert verify_lines([first, forged], {}, unit_of_work.box).broken_at == 2
        assert ocsf.event(chain.read(second))["unmapped"]["through"] == "tok_1"

    def test_parts_put_together_are_the_whole(self, unit_of_work: UnitsOfWork, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(queries, "STEP", 3)
        record(unit_of_work, 8)
        whole = exported(unit_of_work).splitlines(keepends=True)
        assert len(whole) == 8
        for after in range(10):
            assert exported(unit_of_work, after=after).splitlines(keepends=True) == whole[after:]
        assert exported(unit_of_work, after=2**63 - 1) == b""

    @pytest.mark.one_database
    def test_memory_does_not_grow_with_the_log(self, unit_of_work: UnitsOfWork, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(queries, "STEP", 100)
        copied = sa.text(
            "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO audit_events "
            "SELECT n.i, 'aud_' || n.i, at, action, actor_kind, actor_id, actor_label, subject_kind, subject_id, facts, reason, "
            "ip, request_id, digest, through FROM audit_events, n"
        )
        record(unit_of_work, 1)
        with unit_of_work.engine.begin() as connection:
            connection.execute(copied)
            connection.exec_driver_sql("UPDATE audit_head SET seq = 3000")
        tracemalloc.start()
        size = sum(len(chunk) for chunk in export.chunks(unit_of_work, "jsonl"))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert size > 1_000_000
        assert peak < size / 2


ACTIONS = (
    "key.issued",
    "key.revealed",
    "policy.set",
    "key.revoked",
    "person.suspended",
    "key.thawed",
    "key.freeze_refused",
    "x.y",
)


class TestOcsf:
    @pytest.mark.parametrize("version", [ocsf.VERSION, "1.8.0"])
    def test_every_line_is_what_the_published_schema_says(self, version: str) -> None:
        schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=version)).get_class_schema("entity_management", profiles=[])
        validator = jsonschema.Draft202012Validator(schema)
        actors = (ADA, Actor(ActorKind.JOB, "job", "keys.expire"), Actor(ActorKind.TOKEN, "tok_1", "ci"))
        for seq, (action, subject, actor) in enumerate(product(ACTIONS, ("keys", "people", "policies"), actors), 1):
            told = json.loads(ocsf.line(_link(seq, action, subject, actor)))
            assert [error.message for error in validator.iter_errors(told)] == []
        del told["entity"]
        assert not validator.is_valid(told)

    def test_the_fields_are_those_of_the_reference(self) -> None:
        told = ocsf.event(_link(7, "key.revoked", "keys", ADA))
        expected: dict[str, Any] = {
            "class_uid": 3004, "category_uid": 3, "activity_id": 4, "type_uid": 300404, "time": 1773144000123, "status_id": 1,
            "severity_id": 1, "comment": "because", "src_endpoint": {"ip": "192.0.2.7"}, "http_request": {"uid": "req-1"},
            "actor": {"user": {"uid": "per_ada", "name": "Ada Admin", "type_id": 1, "type": "User"}},
            "entity": {"uid": "key_1", "type_id": 99, "type": "keys", "data": {"a": 1}},
        }  # fmt: skip
        assert {name: told[name] for name in expected} == expected
        meta = told["metadata"]
        assert (meta["version"], meta["sequence"], meta["uid"], meta["event_code"]) == ("1.4.0", 7, "aud_7", "key.revoked")
        assert told["unmapped"] == {"area": "key", "actor_kind": "person", "digest": "d" * 64}

    @pytest.mark.parametrize(
        ("action", "activity", "name", "status"),
        [
            ("key.issued", 1, "Create", 1), ("key.revealed", 2, "Read", 1), ("budget.changed", 3, "Update", 1),
            ("key.frozen", 12, "Suspend", 1), ("member.resumed", 13, "Resume", 1), ("costs.restated", 99, "costs.restated", 1),
            ("key.freeze_refused", 99, "key.freeze_refused", 2), ("key.revoke_requested", 99, "key.revoke_requested", 1),
        ],
    )  # fmt: skip
    def test_the_action_becomes_an_activity(self, action: str, activity: int, name: str, status: int) -> None:
        told = ocsf.event(_link(1, action, "keys", ADA))
        assert (told["activity_id"], told["activity_name"], told["status_id"]) == (activity, name, status)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("key.revoked", Outcome.DONE), ("key.requested", Outcome.ASKED), ("key.freeze_requested", Outcome.ASKED),
        ("approval.asked", Outcome.ASKED), ("key.refused", Outcome.REFUSED), ("member.proof_failed", Outcome.REFUSED),
        ("batch.not_approved", Outcome.REFUSED), ("batch.approved", Outcome.DONE), ("key.unrefused", Outcome.DONE),
    ],
)  # fmt: skip
def test_the_outcome_is_the_last_word_of_the_action(action: str, expected: Outcome) -> None:
    assert outcome(action) is expected


def _link(seq: int, action: str, subject: str, actor: Actor) -> Link:
    return Link(
        seq, f"aud_{seq}", "2026-03-10T12:00:00.123456+00:00", action, actor.kind.value, actor.id, actor.label, subject, "key_1",
        {"a": 1}, "because" if seq % 2 else None, actor.ip, actor.request_id, "d" * 64,
    )  # fmt: skip
