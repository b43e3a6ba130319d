"""Reads of keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.errors import NotFound
from govern.keys.models import ENDED_STATES, OPEN_STATES, Key, KeyState, KeyVersion, ObservedKey, Reveal


def get(session: Session, key_id: str) -> Key:
    """The key. Raises NotFound."""
    key = session.get(Key, key_id)
    if key is None:
        raise NotFound(f"There is no key {key_id!r}.")
    return key


def newest_version(session: Session, key_id: str) -> KeyVersion:
    """The version that counts: the one made last."""
    return session.scalars(
        sa.select(KeyVersion).where(KeyVersion.key_id == key_id).order_by(KeyVersion.number.desc()).limit(1)
    ).one()


def versions(session: Session, key_ids: Sequence[str]) -> dict[str, KeyVersion]:
    """Key id → its newest version, for lists."""
    rows = session.scalars(sa.select(KeyVersion).where(KeyVersion.key_id.in_(key_ids)).order_by(KeyVersion.number))
    return {row.key_id: row for row in rows}


def open_versions(session: Session, person_id: str) -> Sequence[KeyVersion]:
    """Versions of the person that are not proven gone."""
    query = sa.select(KeyVersion).join(Key, Key.id == KeyVersion.key_id)
    return session.scalars(query.where(Key.person_id == person_id, KeyVersion.state.not_in(ENDED_STATES))).all()


def all_versions(session: Session, person_id: str) -> Sequence[KeyVersion]:
    """Every version ever made for the person."""
    return session.scalars(sa.select(KeyVersion).join(Key, Key.id == KeyVersion.key_id).where(Key.person_id == person_id)).all()


def held(session: Session, person_id: str) -> int:
    """How many keys the person holds or was promised."""
    query = sa.select(sa.func.count()).select_from(Key).where(Key.person_id == person_id, Key.state.in_(OPEN_STATES))
    return session.scalar(query) or 0


def find_keys(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 50,
    person_id: str | None = None,
    person_ids: Sequence[str] | None = None,
    project_id: str | None = None,
    state: KeyState | None = None,
) -> Sequence[Key]:
    """Keys, newest first, older than the key id `after`. `person_ids` limits to those people (a manager's reports)."""
    query = sa.select(Key).order_by(Key.id.desc()).limit(limit)
    if after:
        query = query.where(Key.id < after)
    if person_id:
        query = query.where(Key.person_id == person_id)
    if person_ids is not None:
        query = query.where(Key.person_id.in_(person_ids))
    if project_id:
        query = query.where(Key.project_id == project_id)
    if state:
        query = query.where(Key.state == state)
    return session.scalars(query).all()


def reveals_of(session: Session, key_id: str) -> Sequence[Reveal]:
    """Who saw it, oldest first."""
    return session.scalars(sa.select(Reveal).where(Reveal.key_id == key_id).order_by(Reveal.id)).all()


def observed_keys(
    session: Session, *, owner_remote_id: str | None = None, after: str | None = None, limit: int = 50
) -> Sequence[ObservedKey]:
    """Keys that OpenAI lists now, ours or not."""
    query = sa.select(ObservedKey).where(ObservedKey.vanished_at.is_(None)).order_by(ObservedKey.id).limit(limit)
    if owner_remote_id:
        query = query.where(ObservedKey.owner_remote_id == owner_remote_id)
    return session.scalars(query.where(ObservedKey.id > after) if after else query).all()


def due_for_expiry(session: Session, now: datetime, *, unseen_before: datetime) -> Sequence[tuple[Key, str]]:
    """Live keys whose time has come, each with the reason."""
    live = sa.select(Key, KeyVersion).join(KeyVersion, KeyVersion.key_id == Key.id).where(KeyVersion.state == KeyState.LIVE)
    expired = session.execute(live.where(KeyVersion.expires_at <= now).order_by(Key.id))
    unseen = session.execute(live.where(KeyVersion.revealed_at.is_(None), KeyVersion.issued_at <= unseen_before).order_by(Key.id))
    reasons = {row[0].id: (row[0], "It expired.") for row in expired}
    return list(({row[0].id: (row[0], "Nobody opened it in time.") for row in unseen} | reasons).values())
