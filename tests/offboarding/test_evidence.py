"""Evidence of a removal: what it says, that every byte of it counts, and the seal a day later."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from freezegun.api import FrozenDateTimeFactory

from govern.core.clock import utcnow
from govern.core.crypto import contains_secret
from govern.evidence import queries, rules
from govern.evidence.rules import EvidenceBroken
from govern.inventory import events
from govern.offboarding import service, witnesses
from govern.offboarding.models import Offboarding, Stage
from govern.usage import sync
from tests.given import ADMIN, EVE, MAX, PROJECT, World


def removed(known: World, clock: FrozenDateTimeFactory, who: str = EVE) -> Offboarding:
    removal = known.remove(who)
    known.finish(clock)
    return known.reload(removal)


def file_of(known: World, evidence_id: str | None) -> tuple[bytes, bytes]:
    """The file, and the public key as it is published."""
    with known.govern.unit_of_work.reading() as session:
        return queries.get(session, evidence_id).file.encode(), queries.public_key(session).public_pem.encode()


@pytest.mark.one_database
def test_evidence_says_what_was_found_ended_and_verified(known: World, clock: FrozenDateTimeFactory) -> None:
    key = known.key(project=PROJECT)
    version = known.version(key)
    own, _ = known.openai.make_personal_key(EVE, PROJECT)
    removal = removed(known, clock)
    file, pem = file_of(known, removal.evidence_id)
    document = rules.check(file, rules.read_public(pem))
    assert (document["id"], document["email"], document["reason"]) == (removal.evidence_id, EVE, "has left the company")
    assert (document["started_by"], document["subject"]) == (ADMIN.id, removal.id)
    assert [(held["api_key"], held["state"]) for held in document["keys"]] == [(version.remote_id, "revoked")]
    assert {step["name"]: step["ended"] for step in document["steps"]}["personal_keys"] == 1
    assert len(document["witnesses"]["complete_listings"]) == 2
    made = {(call["method"], call["path"].rpartition("/")[2]): call for call in document["changes_at_openai"]}
    for ended in (version.service_account_remote_id, own, removal.member_remote_id):
        call = made["DELETE", ended]
        assert (call["status"], bool(call["request_id"])) == (200, True)
    assert not contains_secret(file.decode())
    # Nothing changes it any more, and nobody else's changes stand in it.
    assert known.remove(EVE, "asked again").evidence_id == removal.evidence_id
    other = removed(known, clock, MAX)
    assert file_of(known, removal.evidence_id) == (file, pem)
    assert removal.member_remote_id not in file_of(known, other.evidence_id)[0].decode()


@pytest.mark.one_database
def test_every_byte_counts(known: World, clock: FrozenDateTimeFactory) -> None:
    file, pem = file_of(known, removed(known, clock).evidence_id)
    public = rules.read_public(pem)
    for place in range(len(file)):
        for changed in (file[place] ^ 1, file[place] ^ 32):
            with pytest.raises(EvidenceBroken):
                rules.check(file[:place] + bytes([changed]) + file[place + 1 :], public)
    for other in (file + b" ", file[:-1], b"", json.dumps(json.loads(file)).encode(), b"[" * 100_000):
        with pytest.raises(EvidenceBroken):
            rules.check(other, public)


@pytest.mark.one_database
def test_another_key_is_noticed(known: World, clock: FrozenDateTimeFactory) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    file, _ = file_of(known, removed(known, clock).evidence_id)
    forged = rules.signed_file(json.loads(file)["document"], Ed25519PrivateKey.generate())
    _, pem = file_of(known, known.reload(known.remove(EVE)).evidence_id)
    with pytest.raises(EvidenceBroken):
        rules.check(forged, rules.read_public(pem))


def seal(known: World) -> dict[str, int]:
    with known.govern.unit_of_work(ADMIN) as uow:
        return service.seal_due(uow, after=timedelta(hours=24))


def test_the_seal_comes_a_day_later_and_only_when_usage_and_events_were_read(known: World, clock: FrozenDateTimeFactory) -> None:
    version = known.version(known.key(project=PROJECT))
    removal, outside = removed(known, clock), known.govern.need_outside()
    assert (removal.stage, seal(known)["sealed"]) == (Stage.REVOKED, 0)
    clock.tick(timedelta(hours=26))
    assert seal(known)["sealed"] == 0, "no usage was read, so nobody can say that there was none"
    sync.run_usage(known.govern.unit_of_work, outside.usage, trailing_days=2, backfill_days=2)
    events.pull(known.govern.unit_of_work, outside.events)
    assert seal(known) == {"sealed": 1, "used_after_removal": 0}
    sealed = known.reload(removal)
    assert (sealed.stage, sealed.evidence_id) == (Stage.SEALED, removal.evidence_id)
    file, pem = file_of(known, sealed.seal_id)
    document = rules.check(file, rules.read_public(pem))
    assert (document["evidence"], document["keys_watched"]) == (removal.evidence_id, [version.remote_id])
    told = {event["resource"] for event in document["openai_audit_log"]["events"]}
    assert (document["openai_audit_log"]["state"], document["openai_audit_log"]["not_told"]) == ("read", [])
    assert {version.service_account_remote_id, removal.member_remote_id} <= told
    assert seal(known)["sealed"] == 0


@pytest.mark.one_database
def test_use_after_the_end_is_told_and_never_sealed(known: World, clock: FrozenDateTimeFactory) -> None:
    version = known.version(known.key(project=PROJECT))
    removal, outside = removed(known, clock), known.govern.need_outside()
    clock.tick(timedelta(hours=3))
    known.openai.spend(usd=1, project=PROJECT, api_key_id=version.remote_id)
    clock.tick(timedelta(hours=26))
    sync.run_usage(known.govern.unit_of_work, outside.usage, trailing_days=2, backfill_days=2)
    for _ in range(2):
        assert seal(known) == {"sealed": 0, "used_after_removal": 1}
    assert known.reload(removal).waiting_for == "OpenAI reports use of 1 of the removed keys after their end."
    assert known.audited("member.use_reported") == ["member.use_reported"]


def heard(known: World, removal: Offboarding) -> dict[str, tuple[str, int, int]]:
    with known.govern.unit_of_work.reading() as session:
        row = session.get_one(Offboarding, removal.id)
        return {each.name: (each.state.value, each.proven, each.of) for each in witnesses.heard(session, row, utcnow())}


def test_each_witness_speaks_for_itself(known: World, clock: FrozenDateTimeFactory) -> None:
    """n of m, from the moment of containment to the seal; the log only of what it tells, never of what a listing showed."""
    known.key(project=PROJECT)
    known.openai.make_personal_key(EVE, PROJECT)
    removal, outside = known.remove(EVE), known.govern.need_outside()
    assert heard(known, removal) == {
        "complete_listings": ("pending", 0, 3), "openai_audit_log": ("silent", 0, 2), "no_usage": ("pending", 0, 1),
    }  # fmt: skip
    known.finish(clock)
    # The place in the project is no business of the log's: it does not say whose it was.
    assert heard(known, removal)["complete_listings"] == ("proven", 4, 4)
    assert heard(known, removal)["openai_audit_log"] == ("silent", 0, 3)
    tables = known.openai.org.tables
    lost = next(event for event in tables.events if event.type == "service_account.deleted")
    tables.events.remove(lost)
    events.pull(known.govern.unit_of_work, outside.events)
    assert heard(known, removal)["openai_audit_log"] == ("pending", 2, 3)
    tables.events.append(lost)
    clock.tick(timedelta(hours=26))
    events.pull(known.govern.unit_of_work, outside.events)
    sync.run_usage(known.govern.unit_of_work, outside.usage, trailing_days=2, backfill_days=2)
    assert heard(known, removal)["no_usage"] == ("pending", 0, 2)
    assert seal(known)["sealed"] == 1
    assert heard(known, removal) == {
        "complete_listings": ("proven", 4, 4), "openai_audit_log": ("proven", 3, 3), "no_usage": ("proven", 2, 2),
    }  # fmt: skip


@pytest.mark.one_database
def test_a_log_that_is_off_is_said_to_prove_nothing(known: World, clock: FrozenDateTimeFactory) -> None:
    known.key(project=PROJECT)
    removal, outside = removed(known, clock), known.govern.need_outside()
    known.openai.fault("audit_logs.list", kind="status:403", times=0)
    clock.tick(timedelta(hours=26))
    sync.run_usage(known.govern.unit_of_work, outside.usage, trailing_days=2, backfill_days=2)
    events.pull(known.govern.unit_of_work, outside.events)
    assert heard(known, removal)["openai_audit_log"] == ("silent", 0, 2)
    assert seal(known)["sealed"] == 1
    file, pem = file_of(known, known.reload(removal).seal_id)
    told = rules.check(file, rules.read_public(pem))["openai_audit_log"]
    assert (told["state"], told["events"]) == ("log off: it proves nothing", [])
    assert len(told["not_told"]) == 2


@pytest.mark.one_database
def test_a_log_without_one_of_the_ends_is_waited_for_and_then_told(known: World, clock: FrozenDateTimeFactory) -> None:
    version = known.version(known.key(project=PROJECT))
    removal, outside = removed(known, clock), known.govern.need_outside()
    known.openai.org.tables.events[:] = [e for e in known.openai.org.tables.events if e.type != "service_account.deleted"]
    clock.tick(timedelta(hours=26))
    sync.run_usage(known.govern.unit_of_work, outside.usage, trailing_days=2, backfill_days=2)
    events.pull(known.govern.unit_of_work, outside.events)
    state = heard(known, removal)["openai_audit_log"]
    assert state[1:] == (1, 2)
    clock.tick(timedelta(days=3))
    events.pull(known.govern.unit_of_work, outside.events)
    sync.run_usage(known.govern.unit_of_work, outside.usage, trailing_days=2, backfill_days=7)
    seal(known)
    file, pem = file_of(known, known.reload(removal).seal_id)
    told = rules.check(file, rules.read_public(pem))["openai_audit_log"]
    assert told["not_told"] == [version.service_account_remote_id]
