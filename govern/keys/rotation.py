"""Replace a key's native credential without a gap: the new version first, an overlap, then the old one ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from govern.audit import service as audit
from govern.core.crypto import redact
from govern.core.errors import GovernError, NotFound
from govern.core.uow import UnitOfWork
from govern.keys import queries, rules
from govern.keys.models import Key, KeyState, KeyVersion, ObservedKey
from govern.keys.service import end_version, promise_version


def rotate(uow: UnitOfWork, key_id: str, *, reason: str, overlap: timedelta, lifetime: timedelta | None = None) -> Key:
    """Promise a new version. The old one works on until the new one is seen in use, at most `overlap` from when that exists.

    The new version lives for `lifetime`, without it for as long as the old one did.

    Raises NotFound, Conflict (not live, or rotating already).
    """
    key = uow.session.get(Key, key_id, with_for_update=True, populate_existing=True)
    if key is None:
        raise NotFound(f"There is no key {key_id!r}.")
    open_versions = queries.open_versions_of(uow.session, key.id)
    rules.check_may_rotate(key, open_versions)
    old = open_versions[0]
    newest = queries.newest_version(uow.session, key.id)
    seconds = old.lifetime_seconds if lifetime is None else int(lifetime.total_seconds())
    version = promise_version(
        uow, key, number=newest.number + 1, lifetime_seconds=seconds, scopes=rules.scopes_of(old),
        reason=redact(reason)[:500],
    )  # fmt: skip
    # Counted from now, not from the day on which OpenAI answers: a deadline that moves is none. `retire_due` waits for the
    # new version in any case.
    old.retire_at = uow.now + overlap
    key.problem = None
    audit.record(uow, "key.rotation_requested", key, reason=reason[:500], version=version.id, old=old.id, until=old.retire_at)
    return key


def rotate_many(uow: UnitOfWork, key_ids: Sequence[str], *, reason: str, overlap: timedelta) -> dict[str, str | None]:
    """Rotate each; key id → None, or the sentence that says why not. One that cannot does not stop the others."""
    outcomes: dict[str, str | None] = {}
    for key_id in dict.fromkeys(key_ids):
        try:
            rotate(uow, key_id, reason=reason, overlap=overlap)
            outcomes[key_id] = None
        except GovernError as error:
            outcomes[key_id] = error.sentence
    return outcomes


def rotate_due(uow: UnitOfWork, *, overlap: timedelta) -> dict[str, int]:
    """Rotate the keys whose interval has passed."""
    due = queries.due_for_rotation(uow.session, uow.now)
    for key in due:
        rotate(uow, key.id, reason="Its rotation is due.", overlap=overlap)
    return {"rotating": len(due)}


def note_use(uow: UnitOfWork, used: Mapping[str, datetime]) -> None:
    """Note that versions were seen in use. `used` maps OpenAI's key id → the last use known; listings are asked as well."""
    live = sa.select(KeyVersion).where(KeyVersion.state == KeyState.LIVE, KeyVersion.seen_in_use_at.is_(None))
    # Only versions of a rotation matter, and there are few.
    rotating = sa.select(KeyVersion.key_id).where(KeyVersion.state == KeyState.LIVE, KeyVersion.retire_at.is_not(None))
    for version in uow.session.scalars(live.where(KeyVersion.key_id.in_(rotating), KeyVersion.retire_at.is_(None))):
        listed = uow.session.scalar(sa.select(ObservedKey.last_used_at).where(ObservedKey.remote_id == version.remote_id))
        seen = max(filter(None, (listed, used.get(version.remote_id or ""))), default=None)
        if seen is not None:
            version.seen_in_use_at = seen
            audit.record(uow, "key.version_in_use", ("keys", version.key_id), version=version.id, seen=seen)


def waiting_for_use(uow: UnitOfWork) -> Sequence[str]:
    """OpenAI's ids of new versions that nobody has been seen using yet, while an old one waits to end."""
    rotating = sa.select(KeyVersion.key_id).where(KeyVersion.state == KeyState.LIVE, KeyVersion.retire_at.is_not(None))
    query = sa.select(KeyVersion.remote_id).where(
        KeyVersion.state == KeyState.LIVE, KeyVersion.retire_at.is_(None), KeyVersion.seen_in_use_at.is_(None),
        KeyVersion.key_id.in_(rotating), KeyVersion.remote_id.is_not(None),
    )  # fmt: skip
    return [remote_id for remote_id in uow.session.scalars(query) if remote_id]


def retire_due(uow: UnitOfWork) -> dict[str, int]:
    """Begin the end of old versions whose successor was seen in use, or whose overlap is over."""
    due = queries.due_for_retirement(uow.session, uow.now)
    for key, version in due:
        end_version(uow, key, version)
        audit.record(uow, "key.version_retired", key, version=version.id, number=version.number)
    return {"retired": len(due)}
