"""Stop a key without ending it, and let it go on exactly as before. Any key that OpenAI lists, ours or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from govern.audit import service as audit
from govern.core import outbox
from govern.core.errors import Conflict, InvalidInput, NotFound
from govern.core.uow import UnitOfWork
from govern.keys import queries, rules
from govern.keys.models import Freeze, FreezeState, Key, KeyVersion, ObservedKey, ScopesSource
from govern.ports import Scopes, read_scopes, stored_scopes

FROZEN_SCOPES: Final[Scopes] = ("api.model.read",)
"""What a frozen key may still do: ask for the list of models. There is no word for "nothing"; this costs nothing."""

CANNOT_FREEZE: Final = (
    "This organization's API (generation 2026-08) cannot narrow a key, so it cannot be frozen. Revoke it or rotate it instead."
)


def freeze_key(uow: UnitOfWork, key_id: str, *, reason: str, generation: str) -> Key:
    """Stop every live version of the key. Repeating it changes nothing. Raises NotFound, Conflict."""
    key = uow.session.get(Key, key_id, with_for_update=True, populate_existing=True)
    if key is None:
        raise NotFound(f"There is no key {key_id!r}.")
    live = queries.live_versions(uow.session, key.id)
    if not live:
        raise Conflict(f"The key is {key.state.value}; only a live key is frozen.")
    for version in live:
        freeze_version(uow, key, version, reason=reason, generation=generation)
    return key


def freeze_version(uow: UnitOfWork, key: Key, version: KeyVersion, *, reason: str, generation: str) -> Freeze:
    """Stop one live version. Raises Conflict."""
    assert version.remote_id is not None  # it is live
    return _begin(uow, version.remote_id, key.project_id, version.id, reason=reason, generation=generation)


def freeze_observed(uow: UnitOfWork, observed_id: str, *, reason: str, generation: str) -> Freeze:
    """Stop a key that OpenAI lists. Repeating it changes nothing. Raises NotFound, Conflict."""
    observed = uow.session.get(ObservedKey, observed_id, with_for_update=True, populate_existing=True)
    if observed is None:
        raise NotFound(f"There is no key {observed_id!r}.")
    if observed.vanished_at is not None:
        raise Conflict("OpenAI does not list this key any more; there is nothing to freeze.")
    return _begin(uow, observed.remote_id, observed.project_id, observed.version_id, reason=reason, generation=generation)


def _begin(uow: UnitOfWork, remote_id: str, project_id: str, version_id: str | None, *, reason: str, generation: str) -> Freeze:
    if generation == "2026-08":
        raise Conflict(CANNOT_FREEZE)
    lasting = queries.open_freeze(uow.session, remote_id)
    if lasting is not None:
        if lasting.state is FreezeState.THAWING:
            raise Conflict("The key is being thawed just now. Try again in a moment.")
        return lasting
    freeze = Freeze(
        id=uow.new_id("frz"), remote_id=remote_id, project_id=project_id, version_id=version_id, state=FreezeState.FREEZING,
        reason=reason[:500], requested_by=uow.actor.id, requested_at=uow.now,
    )  # fmt: skip
    uow.session.add(freeze)
    uow.session.flush()
    audit.record(uow, "key.freeze_requested", _subject(uow, freeze), reason=reason[:500], native=remote_id)
    outbox.enqueue(uow, "key.freeze", freeze.id)
    return freeze


def thaw_key(uow: UnitOfWork, key_id: str, *, reason: str, restore: Sequence[str] | None = None) -> Key:
    """Let every frozen version of the key go on. Raises NotFound, Conflict, InvalidInput (see `thaw`)."""
    key = uow.session.get(Key, key_id, with_for_update=True, populate_existing=True)
    if key is None:
        raise NotFound(f"There is no key {key_id!r}.")
    lasting = queries.open_freezes(uow.session, key.id)
    if not lasting:
        raise Conflict("The key is not frozen.")
    for freeze in lasting:
        thaw(uow, freeze.id, reason=reason, restore=restore)
    return key


def thaw(uow: UnitOfWork, freeze_id: str, *, reason: str, restore: Sequence[str] | None = None) -> Freeze:
    """Give the key back exactly what it was allowed before. Repeating it changes nothing.

    `restore` is for a key of which nobody knows what that was: the permissions by name, or the one word "all". It is refused
    where it is known. Raises Conflict, InvalidInput.
    """
    freeze = uow.session.get_one(Freeze, freeze_id, with_for_update=True, populate_existing=True)
    if freeze.state in (FreezeState.THAWING, FreezeState.THAWED):
        return freeze
    if freeze.state is not FreezeState.FROZEN:
        raise Conflict("The key is not frozen (yet). Try again in a moment.")
    freeze.restore = stored_scopes(_wanted(read_scopes(freeze.original), restore))
    freeze.state, freeze.problem = FreezeState.THAWING, None
    freeze.thaw_reason, freeze.thawed_by, freeze.thaw_requested_at = reason[:500], uow.actor.id, uow.now
    audit.record(uow, "key.thaw_requested", _subject(uow, freeze), reason=reason[:500], restore=freeze.restore)
    outbox.enqueue(uow, "key.thaw", freeze.id)
    return freeze


def _wanted(original: Scopes | None, restore: Sequence[str] | None) -> Scopes:
    chosen = tuple(dict.fromkeys(restore or ()))
    if original is not None:
        if chosen and chosen not in (original, (original,)):
            raise InvalidInput(
                "What the key was allowed before is known and is restored exactly; leave “restore” out.",
                {"restore": "Leave it out: it is known."},
            )
        return original
    if not chosen:
        raise InvalidInput(
            "Nobody knows what this key was allowed before it was frozen. Name the permissions that it shall have, or “all”.",
            {"restore": "Name permissions such as api.responses.write, or the one word all."},
        )
    try:
        return rules.read_wish(chosen)
    except InvalidInput as error:
        raise InvalidInput(error.sentence, {"restore": "Names, or the one word all."}) from None


def record_original(uow: UnitOfWork, freeze_id: str, found: Scopes | None) -> None:
    """Keep what the key was allowed, once, before it is narrowed: afterwards the audit log tells of our own change."""
    freeze = _lock(uow, freeze_id)
    if freeze.original_source is not None:
        return
    if found is not None:
        freeze.original, freeze.original_source = stored_scopes(found), ScopesSource.AUDIT_LOG
    elif freeze.version_id is not None:  # nobody is on record as changing what we set
        scopes = rules.scopes_of(uow.session.get_one(KeyVersion, freeze.version_id))
        freeze.original, freeze.original_source = stored_scopes(scopes), ScopesSource.RECORD
    else:
        freeze.original_source = ScopesSource.UNKNOWN
    audit.record(
        uow, "key.scopes_noted", _subject(uow, freeze), native=freeze.remote_id, scopes=freeze.original,
        source=freeze.original_source,
    )  # fmt: skip


def record_frozen(uow: UnitOfWork, freeze_id: str, *, proven: bool) -> None:
    """OpenAI has narrowed it; `proven` when its audit log shows so."""
    freeze = _lock(uow, freeze_id)
    if freeze.state is FreezeState.FREEZING:
        freeze.state, freeze.frozen_at = FreezeState.FROZEN, uow.now
        freeze.proven_at = uow.now if proven else None
        audit.record(uow, "key.frozen", _subject(uow, freeze), native=freeze.remote_id, proven=proven)


def record_thawed(uow: UnitOfWork, freeze_id: str) -> None:
    """It may do again what it might before."""
    freeze = _lock(uow, freeze_id)
    if freeze.state is FreezeState.THAWING:
        freeze.state, freeze.ended_at = FreezeState.THAWED, uow.now
        audit.record(uow, "key.thawed", _subject(uow, freeze), native=freeze.remote_id, scopes=freeze.restore)


def record_refused(uow: UnitOfWork, freeze_id: str, problem: str) -> None:
    """OpenAI would not. A freeze is over; after a thaw the key is still frozen, and somebody may choose anew."""
    freeze = _lock(uow, freeze_id)
    freeze.problem = problem[:300]
    if freeze.state is FreezeState.FREEZING:
        freeze.state, freeze.ended_at = FreezeState.REFUSED, uow.now
        audit.record(uow, "key.freeze_refused", _subject(uow, freeze), native=freeze.remote_id, problem=freeze.problem)
    elif freeze.state is FreezeState.THAWING:
        freeze.state = FreezeState.FROZEN
        audit.record(uow, "key.thaw_refused", _subject(uow, freeze), native=freeze.remote_id, problem=freeze.problem)


def record_gone(uow: UnitOfWork, freeze_id: str) -> None:
    """The key ended meanwhile: there is nothing to freeze or to thaw."""
    freeze = _lock(uow, freeze_id)
    if freeze.ended_at is None:
        freeze.state, freeze.ended_at = FreezeState.GONE, uow.now
        audit.record(uow, "key.freeze_ended", _subject(uow, freeze), native=freeze.remote_id)


def say_again(uow: UnitOfWork, freeze_id: str) -> None:
    """A worker that was asleep has said something outdated to OpenAI: owe anew what holds now.

    Without this a key could stay frozen that everybody here takes for thawed, or the other way round.
    """
    remote_id = uow.session.get_one(Freeze, freeze_id).remote_id
    newest = sa.select(Freeze).where(Freeze.remote_id == remote_id).order_by(Freeze.id.desc()).limit(1)
    freeze = uow.session.scalars(newest.with_for_update().execution_options(populate_existing=True)).one()
    if freeze.state is FreezeState.FROZEN:
        freeze.state = FreezeState.FREEZING
        outbox.enqueue(uow, "key.freeze", freeze.id)
    elif freeze.state is FreezeState.THAWED:
        freeze.state, freeze.ended_at = FreezeState.THAWING, None
        outbox.enqueue(uow, "key.thaw", freeze.id)
    audit.record(uow, "key.scopes_owed_again", _subject(uow, freeze), native=remote_id)


def _lock(uow: UnitOfWork, freeze_id: str) -> Freeze:
    return uow.session.get_one(Freeze, freeze_id, with_for_update=True, populate_existing=True)


def _subject(uow: UnitOfWork, freeze: Freeze) -> tuple[str, str]:
    """The audit log tells it under our key where it is one of ours, else under OpenAI's id."""
    if freeze.version_id is not None:
        return "keys", uow.session.get_one(KeyVersion, freeze.version_id).key_id
    return "observed_keys", freeze.remote_id
