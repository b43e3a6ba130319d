"""Reads of keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from govern.core.errors import NotFound
from govern.keys.models import (
    ENDED_STATES,
    OPEN_STATES,
    Freeze,
    FreezeState,
    Key,
    KeyEntitlement,
    KeyKind,
    KeyState,
    KeyVersion,
    LeakReport,
    ObservedKey,
    Reveal,
)


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


def versions_of(session: Session, key_id: str) -> Sequence[KeyVersion]:
    """Every version of a key, oldest first."""
    return session.scalars(sa.select(KeyVersion).where(KeyVersion.key_id == key_id).order_by(KeyVersion.number)).all()


def open_versions(session: Session, person_id: str) -> Sequence[KeyVersion]:
    """Versions of the person's own keys that are not proven gone."""
    query = sa.select(KeyVersion).join(Key, Key.id == KeyVersion.key_id).where(Key.kind == KeyKind.PERSONAL)
    return session.scalars(query.where(Key.person_id == person_id, KeyVersion.state.not_in(ENDED_STATES))).all()


def all_versions(session: Session, person_id: str) -> Sequence[KeyVersion]:
    """Every version ever made for the person alone."""
    query = sa.select(KeyVersion).join(Key, Key.id == KeyVersion.key_id).where(Key.kind == KeyKind.PERSONAL)
    return session.scalars(query.where(Key.person_id == person_id)).all()


def held(session: Session, person_id: str) -> int:
    """How many keys of their own the person holds or was promised."""
    mine = sa.select(sa.func.count()).select_from(Key).where(Key.person_id == person_id, Key.state.in_(OPEN_STATES))
    return session.scalar(mine.where(Key.kind == KeyKind.PERSONAL)) or 0


def find_keys(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 50,
    person_id: str | None = None,
    person_ids: Sequence[str] | None = None,
    project_id: str | None = None,
    state: KeyState | None = None,
    kind: KeyKind | None = None,
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
    if kind:
        query = query.where(Key.kind == kind)
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


def live_versions(session: Session, key_id: str) -> Sequence[KeyVersion]:
    """The versions that work now, oldest first: one, or two while a rotation overlaps."""
    query = sa.select(KeyVersion).where(KeyVersion.key_id == key_id, KeyVersion.state == KeyState.LIVE)
    return session.scalars(query.order_by(KeyVersion.number)).all()


def open_versions_of(session: Session, key_id: str) -> Sequence[KeyVersion]:
    """The key's versions that are promised or live."""
    return session.scalars(
        sa.select(KeyVersion).where(KeyVersion.key_id == key_id, KeyVersion.state.in_(OPEN_STATES)).order_by(KeyVersion.number)
    ).all()


def due_for_expiry(session: Session, now: datetime, *, unseen_before: datetime) -> list[tuple[Key, KeyVersion, str]]:
    """Live versions whose time has come, each with its key and the reason."""
    live = sa.select(Key, KeyVersion).join(KeyVersion, KeyVersion.key_id == Key.id).where(KeyVersion.state == KeyState.LIVE)
    expired = session.execute(live.where(KeyVersion.expires_at <= now).order_by(KeyVersion.id))
    due = {row[1].id: (row[0], row[1], "It expired.") for row in expired}
    unseen = session.execute(
        live.where(KeyVersion.revealed_at.is_(None), KeyVersion.issued_at <= unseen_before).order_by(KeyVersion.id)
    )
    for row in unseen:
        due.setdefault(row[1].id, (row[0], row[1], "Nobody opened it in time."))
    return list(due.values())


def entitled_people(session: Session, key_id: str) -> Sequence[str]:
    """Ids of the people who may open a shared key now, its owner apart."""
    query = sa.select(KeyEntitlement.person_id).where(KeyEntitlement.key_id == key_id, KeyEntitlement.removed_at.is_(None))
    return session.scalars(query.order_by(KeyEntitlement.id)).all()


def shared_keys_seen_by(session: Session, person_id: str) -> Sequence[Key]:
    """Shared keys with a live version whose value this person has seen: what a removal of the person must rotate."""
    query = (
        sa.select(Key)
        .join(KeyVersion, KeyVersion.key_id == Key.id)
        .join(Reveal, Reveal.version_id == KeyVersion.id)
        .where(Key.kind == KeyKind.SHARED, KeyVersion.state == KeyState.LIVE, Reveal.actor_id == person_id)
    )
    return session.scalars(query.distinct().order_by(Key.id)).all()


def due_for_retirement(session: Session, now: datetime) -> list[tuple[Key, KeyVersion]]:
    """Old versions that a newer live one has replaced: it was seen in use, or the overlap is over."""
    newer = aliased(KeyVersion)
    query = (
        sa.select(Key, KeyVersion)
        .join(KeyVersion, KeyVersion.key_id == Key.id)
        .join(newer, sa.and_(newer.key_id == Key.id, newer.number > KeyVersion.number, newer.state == KeyState.LIVE))
        .where(
            KeyVersion.state == KeyState.LIVE,
            KeyVersion.retire_at.is_not(None),
            sa.or_(KeyVersion.retire_at <= now, newer.seen_in_use_at.is_not(None)),
        )
        .order_by(KeyVersion.id)
    )
    return [(row[0], row[1]) for row in session.execute(query)]


def due_for_rotation(session: Session, now: datetime) -> list[Key]:
    """Live keys with a rotation interval whose only open version is older than that."""
    query = (
        sa.select(Key, sa.func.max(KeyVersion.issued_at))
        .join(KeyVersion, KeyVersion.key_id == Key.id)
        .where(Key.state == KeyState.LIVE, Key.rotate_every_days.is_not(None), KeyVersion.state.in_(OPEN_STATES))
        .group_by(Key.id)
        .having(sa.func.count() == 1, sa.func.max(KeyVersion.issued_at).is_not(None))
        .order_by(Key.id)
    )
    due = []
    for key, issued_at in session.execute(query):
        assert issued_at is not None  # the query asked for it
        if issued_at + timedelta(days=key.rotate_every_days or 0) <= now:
            due.append(key)
    return due


def nobody_left_to_see(session: Session, key: Key, version: KeyVersion, unseen_before: datetime) -> bool:
    """Whether a shared key's value may go: all who may open it have, or had their time since the last of them was entitled."""
    entitled = session.scalars(
        sa.select(KeyEntitlement).where(KeyEntitlement.key_id == key.id, KeyEntitlement.removed_at.is_(None))
    ).all()
    seen = set(session.scalars(sa.select(Reveal.actor_id).where(Reveal.version_id == version.id)))
    if {key.person_id, *(row.person_id for row in entitled)} <= seen:
        return True
    since = max([version.issued_at or version.created_at, *(row.added_at for row in entitled)])
    return since <= unseen_before


def open_freeze(session: Session, remote_id: str) -> Freeze | None:
    """The freeze of this native key that lasts, if any."""
    query = sa.select(Freeze).where(Freeze.remote_id == remote_id, Freeze.ended_at.is_(None))
    return session.scalars(query).one_or_none()


def open_freezes(session: Session, key_id: str) -> Sequence[Freeze]:
    """The freezes of the key's versions that last, oldest first."""
    return [freeze for freeze in freezes_of(session, key_id) if freeze.ended_at is None]


def freezes_of(session: Session, key_id: str) -> Sequence[Freeze]:
    """Every freeze of the key's versions, oldest first."""
    query = sa.select(Freeze).join(KeyVersion, KeyVersion.id == Freeze.version_id).where(KeyVersion.key_id == key_id)
    return session.scalars(query.order_by(Freeze.id)).all()


def freezes_of_native(session: Session, remote_id: str) -> Sequence[Freeze]:
    """Every freeze of this native key, oldest first."""
    return session.scalars(sa.select(Freeze).where(Freeze.remote_id == remote_id).order_by(Freeze.id)).all()


def frozen_natives(session: Session, remote_ids: Sequence[str]) -> dict[str, FreezeState]:
    """OpenAI's key id → how the freeze that lasts stands; keys without one are not in it."""
    query = sa.select(Freeze.remote_id, Freeze.state).where(Freeze.remote_id.in_(remote_ids), Freeze.ended_at.is_(None))
    return {row.remote_id: row.state for row in session.execute(query)}


def observed_key(session: Session, id_or_remote_id: str) -> ObservedKey:
    """A key that OpenAI lists or listed, by our id or by OpenAI's. Raises NotFound."""
    by_id = sa.or_(ObservedKey.id == id_or_remote_id, ObservedKey.remote_id == id_or_remote_id)
    found = session.scalars(sa.select(ObservedKey).where(by_id)).first()
    if found is None:
        raise NotFound(f"OpenAI lists no key {id_or_remote_id!r}.")
    return found


def leak_report(session: Session, report_id: str, *, reported_by: str | None = None) -> LeakReport:
    """The report; `reported_by` limits to one's own. Raises NotFound."""
    row = session.get(LeakReport, report_id)
    if row is None or reported_by not in (None, row.reported_by):
        raise NotFound(f"There is no report {report_id!r}.")
    return row


def leak_reports(
    session: Session, *, reported_by: str | None = None, after: str | None = None, limit: int = 50
) -> Sequence[LeakReport]:
    """Reports of leaked keys, newest first, older than the id `after`."""
    query = sa.select(LeakReport).order_by(LeakReport.id.desc()).limit(limit)
    if reported_by is not None:
        query = query.where(LeakReport.reported_by == reported_by)
    return session.scalars(query.where(LeakReport.id < after) if after else query).all()
