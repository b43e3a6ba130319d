"""Show a key's value, once to each whom it is for, and destroy it when that time is over."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import undefer

from govern.audit import service as audit
from govern.core.crypto import Secret
from govern.core.errors import Conflict, Gone, NotFound
from govern.core.uow import UnitOfWork
from govern.keys import queries, rules
from govern.keys.models import Key, KeyKind, KeyState, KeyVersion, Reveal
from govern.keys.service import place_of, shred


def reveal(uow: UnitOfWork, key_id: str, *, repeat_key: str | None, window: timedelta) -> Secret:
    """The newest version's value, once, to whom it belongs: a personal key to one, a shared one to each who is entitled.

    `repeat_key` names the request (its Idempotency-Key): the same actor may repeat the same request within `window`, in
    case the answer was lost on the way. When nobody is left who may see it, the sealed value is destroyed. Raises NotFound,
    NotAllowed, Conflict, Gone.
    """
    key = uow.session.get(Key, key_id, with_for_update=True, populate_existing=True)
    if key is None:
        raise NotFound(f"There is no key {key_id!r}.")
    entitled = queries.entitled_people(uow.session, key.id) if key.kind is KeyKind.SHARED else ()
    rules.check_may_reveal(key, uow.actor, entitled)
    version = _newest_with_value(uow, key.id)
    if version.state is KeyState.REQUESTED:
        raise Conflict("The key is still being made. Try again in a moment.")
    if version.state is not KeyState.LIVE:
        raise Gone("The key was revoked; there is nothing to show.")
    mark = uow.box.fingerprint("reveal", f"{uow.actor.id}|{repeat_key}") if repeat_key else None
    seen = uow.session.scalars(sa.select(Reveal).where(Reveal.version_id == version.id)).all()
    earlier = seen if key.kind is KeyKind.PERSONAL else [row for row in seen if row.actor_id == uow.actor.id]
    same = [row.at for row in earlier if mark is not None and row.repeat_mark == mark]
    again = bool(same) and uow.now - min(same) <= window
    if version.sealed is None or (earlier and not again):
        raise Gone("The value was shown once already and is not kept. Rotate the key, or revoke it and ask for a new one.")
    value = uow.box.open(version.sealed, place_of(version.id))
    ledger = Reveal(
        id=uow.new_id("rev"), key_id=key.id, version_id=version.id, actor_id=uow.actor.id, actor_label=uow.actor.label,
        ip=uow.actor.ip, at=uow.now, repeat_mark=mark,
    )  # fmt: skip
    uow.session.add(ledger)
    audit.record(uow, "key.revealed", key, version=version.id, number=version.number, again=again)
    version.revealed_at = version.revealed_at or uow.now
    still_to_see = {key.person_id, *entitled} - {row.actor_id for row in seen} - {uow.actor.id}
    done = key.kind is KeyKind.PERSONAL or not still_to_see
    if done and (mark is None or window <= timedelta(0)):
        shred(uow, version)
    return value


def _newest_with_value(uow: UnitOfWork, key_id: str) -> KeyVersion:
    newest = queries.newest_version(uow.session, key_id)
    query = sa.select(KeyVersion).where(KeyVersion.id == newest.id).options(undefer(KeyVersion.sealed))
    return uow.session.scalars(query.execution_options(populate_existing=True)).one()


def shred_due(uow: UnitOfWork, *, window: timedelta, unseen: timedelta) -> dict[str, int]:
    """Destroy sealed values whose time is over.

    A personal key's: `window` after it was shown. A shared key's: when all who may see it have, or `unseen` after it was
    issued or somebody was entitled, whichever is later.
    """
    due = (
        sa.select(KeyVersion, Key)
        .join(Key, Key.id == KeyVersion.key_id)
        .where(KeyVersion.revealed_at <= uow.now - window, KeyVersion.shredded_at.is_(None), KeyVersion.issued_at.is_not(None))
        .with_for_update(of=KeyVersion)
    )
    destroyed = 0
    for version, key in uow.session.execute(due).all():
        if key.kind is KeyKind.SHARED and not queries.nobody_left_to_see(uow.session, key, version, uow.now - unseen):
            continue
        shred(uow, version)
        destroyed += 1
        audit.record(uow, "key.value_destroyed", key, version=version.id)
    return {"destroyed": destroyed}
