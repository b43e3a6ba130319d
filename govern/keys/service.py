"""Commands on keys. They promise; `effects` keeps the promises after the commit."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.audit import service as audit
from govern.core import outbox
from govern.core.crypto import Place, redact
from govern.core.errors import NotFound
from govern.core.uow import UnitOfWork
from govern.keys import queries, rules
from govern.keys.models import ENDED_STATES, ENDING_STATES, OPEN_STATES, Freeze, FreezeState, Key, KeyKind, KeyState, KeyVersion
from govern.people import service as people
from govern.people.models import PersonState
from govern.ports import ALL_SCOPES, IssuedCredential, Scopes, stored_scopes
from govern.projects import queries as projects


def request_key(
    uow: UnitOfWork,
    person_id: str,
    project_id: str,
    *,
    name: str,
    lifetime: timedelta,
    most_per_person: int,
    kind: KeyKind = KeyKind.PERSONAL,
    rotate_every_days: int | None = None,
    scopes: Scopes = ALL_SCOPES,
    generation: str = "auto",
    requested_by: str | None = None,
) -> Key:
    """Promise the person a key in the project: their own, or a shared one that they own.

    `scopes`: what it may do. `requested_by` is who asked, where that is not who acts (an approver does): whoever asked may see
    the value. Raises InvalidInput, NotFound, PolicyViolation, Conflict (`generation` of the API cannot narrow a key).
    """
    name = rules.check_name(name)
    rules.check_lifetime(lifetime)
    rules.check_may_narrow(scopes, generation)
    person, project = people.lock(uow.session, person_id), projects.get(uow.session, project_id)
    rules.check_rotation(rotate_every_days, lifetime)
    # Shared keys are an application's, so they do not count against what their owner may hold.
    held = queries.held(uow.session, person.id) if kind is KeyKind.PERSONAL else 0
    rules.check_may_hold(person, project, held=held, most_per_person=most_per_person)
    key = Key(
        id=uow.new_id("key"), person_id=person.id, project_id=project.id, kind=kind, name=name, state=KeyState.REQUESTED,
        rotate_every_days=rotate_every_days, requested_by=requested_by or uow.actor.id, requested_at=uow.now,
    )  # fmt: skip
    uow.session.add(key)
    uow.session.flush()
    days = lifetime // timedelta(days=1)
    audit.record(
        uow, "key.requested", key, person=person.email, project=project.name, days=days, kind=kind,
        scopes=stored_scopes(scopes), asked_by=key.requested_by,
    )  # fmt: skip
    promise_version(uow, key, number=1, lifetime_seconds=int(lifetime.total_seconds()), scopes=scopes)
    return key


def promise_version(
    uow: UnitOfWork, key: Key, *, number: int, lifetime_seconds: int, scopes: Scopes, reason: str | None = None
) -> KeyVersion:
    """Owe one native credential of the key, that may do these things."""
    version = KeyVersion(
        id=uow.new_id("kv"), key_id=key.id, number=number, state=KeyState.REQUESTED, lifetime_seconds=lifetime_seconds,
        scopes=stored_scopes(scopes), reason=reason, created_at=uow.now,
    )  # fmt: skip
    uow.session.add(version)
    outbox.enqueue(uow, "key.issue", version.id)
    return version


class NoLongerWanted(Exception):
    """While the credential was being made, its key was revoked or its person began to leave: take it back."""


def record_issued(uow: UnitOfWork, version_id: str, credential: IssuedCredential) -> None:
    """Write down what was made, sealed. Raises NoLongerWanted."""
    key = uow.session.scalars(sa.select(Key).join(KeyVersion).where(KeyVersion.id == version_id)).one()
    # Always person, then key, then version: a removal locks in the same order, so the two cannot wait for each other.
    person = people.lock(uow.session, key.person_id)
    version = _lock_version(uow.session, version_id)
    # A shared key outlives its owner: applications go on using it, and a removal rotates it just then.
    left = key.kind is KeyKind.PERSONAL and person.state is not PersonState.ACTIVE
    if version.state is not KeyState.REQUESTED or left:
        raise NoLongerWanted(version_id)
    version.service_account_remote_id, version.remote_id = credential.service_account_id, credential.key_id
    version.redacted = credential.redacted
    version.fingerprint = uow.box.fingerprint("key", credential.value.reveal())
    version.sealed = uow.box.seal(credential.value, place_of(version.id))
    version.issued_at = uow.now
    # A generation of the API without expiry returns none; then ours ends the key (`expire_due`).
    version.expires_at = credential.expires_at or uow.now + timedelta(seconds=version.lifetime_seconds)
    version.state = key.state = KeyState.LIVE
    audit.record(uow, "key.issued", key, version=version.id, number=version.number, service_account=credential.service_account_id)
    for older in queries.live_versions(uow.session, key.id):
        if older.number < version.number and older.retire_at is None:  # an overlap that the rotation did not set is none
            older.retire_at = uow.now


def record_refused(uow: UnitOfWork, version_id: str, problem: str) -> None:
    """OpenAI refused to make it: the promise ends, and `key.revoke` proves that nothing stayed behind."""
    version = _lock_version(uow.session, version_id)
    key = uow.session.get_one(Key, version.key_id)
    key.problem = problem[:300]
    audit.record(uow, "key.refused", key, version=version.id, problem=key.problem)
    for older in queries.live_versions(uow.session, key.id):
        older.retire_at = None  # nothing takes its place, so it stays
    end_version(uow, key, version)


def revoke_key(uow: UnitOfWork, key_id: str, *, reason: str, by_itself_after: timedelta = timedelta(0)) -> Key:
    """End the key. Contained at once: its sealed value is destroyed. Repeating it changes nothing. Raises NotFound.

    `by_itself_after`: whoever asks ends it at OpenAI, with others; `key.revoke` does only what is left after so long.
    """
    key = uow.session.get(Key, key_id, with_for_update=True, populate_existing=True)
    if key is None:
        raise NotFound(f"There is no key {key_id!r}.")
    if key.state in ENDED_STATES + ENDING_STATES:
        return key
    reason = redact(reason)[:500]
    key.revoke_reason, key.revoked_by, key.revoke_requested_at = reason, uow.actor.id, uow.now
    audit.record(uow, "key.revoke_requested", key, reason=reason)
    open_ones = sa.select(KeyVersion).where(KeyVersion.key_id == key.id, KeyVersion.state.not_in(ENDED_STATES))
    for version in uow.session.scalars(open_ones.with_for_update()):
        end_version(uow, key, version, by_itself_after=by_itself_after)
    return key


def end_version(uow: UnitOfWork, key: Key, version: KeyVersion, *, by_itself_after: timedelta = timedelta(0)) -> None:
    """Contain one version and owe its end. The key itself goes on while another version of it is promised or live."""
    if version.state in OPEN_STATES:
        version.state = KeyState.ABORTING if version.state is KeyState.REQUESTED else KeyState.REVOKING
    shred(uow, version)
    outbox.enqueue(uow, "key.revoke", version.id, delay=by_itself_after)
    uow.session.flush()
    _follow_versions(uow, key)


def _follow_versions(uow: UnitOfWork, key: Key) -> None:
    """The key's state, from its versions': live while one is, then on its way out, ended when all are."""
    versions = uow.session.scalars(sa.select(KeyVersion).where(KeyVersion.key_id == key.id)).all()
    states = {version.state for version in versions}
    ever_live = any(version.issued_at is not None for version in versions)
    if KeyState.LIVE in states:
        key.state = KeyState.LIVE
    elif KeyState.REQUESTED in states:
        key.state = KeyState.REQUESTED
    elif states & set(ENDING_STATES):
        key.state = KeyState.REVOKING if ever_live else KeyState.ABORTING
    else:
        key.state = KeyState.REVOKED if ever_live else KeyState.ABORTED
        key.ended_at = key.ended_at or uow.now


def record_ended(uow: UnitOfWork, version_id: str) -> None:
    """Complete listings show it no more: the word *revoked* may be used."""
    version = _lock_version(uow.session, version_id)
    key = uow.session.get_one(Key, version.key_id)
    if version.state in ENDED_STATES:
        return
    version.state = KeyState.ABORTED if version.state is KeyState.ABORTING else KeyState.REVOKED
    version.ended_at = uow.now
    _end_freeze(uow, version)
    uow.session.flush()
    _follow_versions(uow, key)
    # A key that once lived was revoked, even where the last version to end was one that never came to be.
    ended = f"key.{key.state.value}" if key.state in ENDED_STATES else f"key.version_{version.state.value}"
    audit.record(uow, ended, key, version=version.id)


def record_absence(uow: UnitOfWork, version_id: str, *, gone: bool, second_look: timedelta) -> bool:
    """Whether OpenAI's complete listing lacks a live version. Missing twice, `second_look` apart: someone ended it elsewhere.

    Once is not enough, because a listing may lag and the value is destroyed here. Returns whether it is believed gone.
    """
    version = _lock_version(uow.session, version_id)
    if version.state is not KeyState.LIVE:
        return False
    key = uow.session.get_one(Key, version.key_id)
    if not gone:
        version.absent_since = None
        audit.record(uow, "key.listed_again", key, version=version.id)
        return False
    version.absent_since = version.absent_since or uow.now
    if uow.now - version.absent_since < second_look:
        audit.record(uow, "key.not_listed", key, version=version.id)
        return False
    shred(uow, version)
    version.state, version.ended_at = KeyState.REVOKED, uow.now
    _end_freeze(uow, version)
    uow.session.flush()
    _follow_versions(uow, key)
    key.problem = "It was ended at OpenAI, not through this service."
    audit.record(uow, "key.vanished", key, version=version.id)
    return True


def expire_due(uow: UnitOfWork, *, unseen: timedelta) -> dict[str, int]:
    """Begin the end of versions that expired or that nobody opened within `unseen`; of keys, when no other version lives."""
    due = queries.due_for_expiry(uow.session, uow.now, unseen_before=uow.now - unseen)
    for key, version, reason in due:
        if any(other.id != version.id for other in queries.open_versions_of(uow.session, key.id)):
            audit.record(uow, "key.version_ended", key, version=version.id, reason=reason)
            end_version(uow, key, version)
        else:
            revoke_key(uow, key.id, reason=reason)
    return {"ended": len(due)}


def shred(uow: UnitOfWork, version: KeyVersion) -> None:
    """Destroy the sealed value."""
    version.sealed = None
    if version.issued_at is not None and version.shredded_at is None:
        version.shredded_at = uow.now


def _end_freeze(uow: UnitOfWork, version: KeyVersion) -> None:
    """What is gone is frozen no more."""
    lasting = sa.update(Freeze).where(Freeze.version_id == version.id, Freeze.ended_at.is_(None))
    uow.session.execute(lasting.values(state=FreezeState.GONE, ended_at=uow.now))


def _lock_version(session: Session, version_id: str) -> KeyVersion:
    return session.get_one(KeyVersion, version_id, with_for_update=True, populate_existing=True)


def place_of(version_id: str) -> Place:
    """Where a version's sealed value stands."""
    return Place("key_versions", "sealed", version_id)
