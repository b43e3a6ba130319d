"""Commands on keys. They promise; `effects` keeps the promises after the commit."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session, undefer

from govern.audit import service as audit
from govern.core import outbox
from govern.core.crypto import Place, Secret
from govern.core.errors import Conflict, Gone, NotFound
from govern.core.uow import UnitOfWork
from govern.keys import queries, rules
from govern.keys.models import ENDED_STATES, ENDING_STATES, Key, KeyState, KeyVersion, Reveal
from govern.people import service as people
from govern.people.models import PersonState
from govern.ports import IssuedCredential
from govern.projects import queries as projects


def request_key(uow: UnitOfWork, person_id: str, project_id: str, *, name: str, lifetime: timedelta, most_per_person: int) -> Key:
    """Promise the person a key in the project. Raises InvalidInput, NotFound, PolicyViolation."""
    name = rules.check_name(name)
    rules.check_lifetime(lifetime)
    person, project = people.lock(uow.session, person_id), projects.get(uow.session, project_id)
    rules.check_may_hold(person, project, held=queries.held(uow.session, person.id), most_per_person=most_per_person)
    key = Key(
        id=uow.new_id("key"), person_id=person.id, project_id=project.id, name=name, state=KeyState.REQUESTED,
        requested_by=uow.actor.id, requested_at=uow.now,
    )  # fmt: skip
    version = KeyVersion(
        id=uow.new_id("kv"), key_id=key.id, number=1, state=KeyState.REQUESTED,
        lifetime_seconds=int(lifetime.total_seconds()), created_at=uow.now,
    )  # fmt: skip
    uow.session.add(key)
    uow.session.flush()
    uow.session.add(version)
    audit.record(uow, "key.requested", key, person=person.email, project=project.name, days=lifetime // timedelta(days=1))
    outbox.enqueue(uow, "key.issue", version.id)
    return key


class NoLongerWanted(Exception):
    """While the credential was being made, its key was revoked or its person began to leave: take it back."""


def record_issued(uow: UnitOfWork, version_id: str, credential: IssuedCredential) -> None:
    """Write down what was made, sealed. Raises NoLongerWanted."""
    key = uow.session.scalars(sa.select(Key).join(KeyVersion).where(KeyVersion.id == version_id)).one()
    # Always person, then key, then version: a removal locks in the same order, so the two cannot wait for each other.
    person = people.lock(uow.session, key.person_id)
    version = _lock_version(uow.session, version_id)
    if version.state is not KeyState.REQUESTED or person.state is not PersonState.ACTIVE:
        raise NoLongerWanted(version_id)
    version.service_account_remote_id, version.remote_id = credential.service_account_id, credential.key_id
    version.redacted = credential.redacted
    version.fingerprint = uow.box.fingerprint("key", credential.value.reveal())
    version.sealed = uow.box.seal(credential.value, _place(version.id))
    version.issued_at = uow.now
    # A generation of the API without expiry returns none; then ours ends the key (`expire_due`).
    version.expires_at = credential.expires_at or uow.now + timedelta(seconds=version.lifetime_seconds)
    version.state = key.state = KeyState.LIVE
    audit.record(uow, "key.issued", key, version=version.id, service_account=credential.service_account_id)


def record_refused(uow: UnitOfWork, version_id: str, problem: str) -> None:
    """OpenAI refused to make it: the promise ends, and `key.revoke` proves that nothing stayed behind."""
    version = _lock_version(uow.session, version_id)
    key = uow.session.get_one(Key, version.key_id)
    key.problem = problem[:300]
    audit.record(uow, "key.refused", key, problem=key.problem)
    _begin_end(uow, key, version)


def revoke_key(uow: UnitOfWork, key_id: str, *, reason: str) -> Key:
    """End the key. Contained at once: its sealed value is destroyed. Repeating it changes nothing. Raises NotFound."""
    key = uow.session.get(Key, key_id, with_for_update=True, populate_existing=True)
    if key is None:
        raise NotFound(f"There is no key {key_id!r}.")
    if key.state in ENDED_STATES + ENDING_STATES:
        return key
    key.revoke_reason, key.revoked_by, key.revoke_requested_at = reason[:500], uow.actor.id, uow.now
    audit.record(uow, "key.revoke_requested", key, reason=reason[:500])
    open_ones = sa.select(KeyVersion).where(KeyVersion.key_id == key.id, KeyVersion.state.not_in(ENDED_STATES))
    for version in uow.session.scalars(open_ones.with_for_update()):
        _begin_end(uow, key, version)
    return key


def _begin_end(uow: UnitOfWork, key: Key, version: KeyVersion) -> None:
    promised = version.state is KeyState.REQUESTED
    if version.state in (KeyState.REQUESTED, KeyState.LIVE):
        version.state = KeyState.ABORTING if promised else KeyState.REVOKING
    key.state = version.state
    _shred(uow, version)
    outbox.enqueue(uow, "key.revoke", version.id)


def record_ended(uow: UnitOfWork, version_id: str) -> None:
    """Complete listings show it no more: the word *revoked* may be used."""
    version = _lock_version(uow.session, version_id)
    key = uow.session.get_one(Key, version.key_id)
    if version.state in ENDED_STATES:
        return
    version.state = KeyState.ABORTED if version.state is KeyState.ABORTING else KeyState.REVOKED
    version.ended_at = uow.now
    newest = queries.newest_version(uow.session, key.id)
    if newest.id == version.id:
        key.state, key.ended_at = version.state, uow.now
    audit.record(uow, "key.revoked" if version.state is KeyState.REVOKED else "key.aborted", key, version=version.id)


def record_vanished(uow: UnitOfWork, version_id: str) -> bool:
    """A live version that OpenAI lists no longer: someone ended it elsewhere. Whether anything changed."""
    version = _lock_version(uow.session, version_id)
    if version.state is not KeyState.LIVE:
        return False
    key = uow.session.get_one(Key, version.key_id)
    _shred(uow, version)
    version.state = key.state = KeyState.REVOKED
    version.ended_at = key.ended_at = uow.now
    key.problem = "It was ended at OpenAI, not through this service."
    audit.record(uow, "key.vanished", key, version=version.id)
    return True


def reveal(uow: UnitOfWork, key_id: str, *, repeat_key: str | None, window: timedelta) -> Secret:
    """The value, once, to whom it belongs.

    `repeat_key` names the request (its Idempotency-Key): the same actor may repeat the same request within `window`, in
    case the answer was lost on the way. Without one the sealed value is destroyed at once. Raises NotAllowed, Conflict, Gone.
    """
    key = uow.session.get(Key, key_id, with_for_update=True, populate_existing=True)
    if key is None:
        raise NotFound(f"There is no key {key_id!r}.")
    rules.check_may_reveal(key, uow.actor)
    newest = queries.newest_version(uow.session, key.id)
    version = uow.session.scalars(
        sa.select(KeyVersion)
        .where(KeyVersion.id == newest.id)
        .options(undefer(KeyVersion.sealed))
        .execution_options(populate_existing=True)
    ).one()
    if version.state is KeyState.REQUESTED:
        raise Conflict("The key is still being made. Try again in a moment.")
    if version.state is not KeyState.LIVE:
        raise Gone("The key was revoked; there is nothing to show.")
    mark = uow.box.fingerprint("reveal", f"{uow.actor.id}|{repeat_key}") if repeat_key else None
    if version.sealed is None or (version.revealed_at is not None and not _same_request(uow, version, mark, window)):
        raise Gone("The value was shown once already and is not kept. Revoke the key and ask for a new one.")
    value = uow.box.open(version.sealed, _place(version.id))
    ledger = Reveal(
        id=uow.new_id("rev"), key_id=key.id, version_id=version.id, actor_id=uow.actor.id, actor_label=uow.actor.label,
        ip=uow.actor.ip, at=uow.now, repeat_mark=mark,
    )  # fmt: skip
    uow.session.add(ledger)
    audit.record(uow, "key.revealed", key, version=version.id, again=version.revealed_at is not None)
    version.revealed_at = version.revealed_at or uow.now
    if mark is None or window <= timedelta(0):
        _shred(uow, version)
    return value


def _same_request(uow: UnitOfWork, version: KeyVersion, mark: str | None, window: timedelta) -> bool:
    if mark is None or version.revealed_at is None or uow.now - version.revealed_at > window:
        return False
    earlier = sa.select(Reveal.id).where(Reveal.version_id == version.id, Reveal.repeat_mark == mark).limit(1)
    return uow.session.scalar(earlier) is not None


def expire_due(uow: UnitOfWork, *, unseen: timedelta) -> dict[str, int]:
    """Begin the end of keys that expired or that nobody opened within `unseen`."""
    due = queries.due_for_expiry(uow.session, uow.now, unseen_before=uow.now - unseen)
    for key, reason in due:
        revoke_key(uow, key.id, reason=reason)
    return {"ended": len(due)}


def shred_due(uow: UnitOfWork, *, window: timedelta) -> dict[str, int]:
    """Destroy sealed values whose time to be shown again is over."""
    due = sa.select(KeyVersion).where(
        KeyVersion.revealed_at <= uow.now - window, KeyVersion.shredded_at.is_(None), KeyVersion.issued_at.is_not(None)
    )
    versions = uow.session.scalars(due.with_for_update()).all()
    for version in versions:
        _shred(uow, version)
        audit.record(uow, "key.value_destroyed", ("keys", version.key_id), version=version.id)
    return {"destroyed": len(versions)}


def _shred(uow: UnitOfWork, version: KeyVersion) -> None:
    version.sealed = None
    if version.issued_at is not None and version.shredded_at is None:
        version.shredded_at = uow.now


def _lock_version(session: Session, version_id: str) -> KeyVersion:
    return session.get_one(KeyVersion, version_id, with_for_update=True, populate_existing=True)


def _place(version_id: str) -> Place:
    return Place("key_versions", "sealed", version_id)
