"""Renew a key: a new version with a new term in its place; and remind people before it expires, once per step."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.audit import service as audit
from govern.core.clock import utcnow
from govern.core.uow import UnitOfWork
from govern.keys import queries, rotation, rules
from govern.keys.models import Key, KeyKind, KeyState, KeyVersion
from govern.notices import service as notices
from govern.notices.models import Notice
from govern.notices.words import Words
from govern.people import queries as people
from govern.people import service as people_service
from govern.people.models import Person, PersonState
from govern.projects import queries as projects

REMINDER = "key.expiring"


def renew(uow: UnitOfWork, key_id: str, *, overlap: timedelta, lifetime: timedelta | None = None) -> Key:
    """Promise a new version that lives for `lifetime` from now, without it for as long as the old one did.

    The same rules hold as for a new key; how many one holds does not change. Raises NotFound, InvalidInput, Conflict (not
    live, or rotating already), PolicyViolation.
    """
    key = queries.get(uow.session, key_id)
    person = people_service.lock(uow.session, key.person_id)
    rules.check_may_hold(person, projects.get(uow.session, key.project_id), held=0, most_per_person=1)
    if lifetime is not None:
        rules.check_lifetime(lifetime)
        rules.check_rotation(key.rotate_every_days, lifetime)
    key = rotation.rotate(uow, key_id, reason="Renewed.", overlap=overlap, lifetime=lifetime)
    newest = queries.newest_version(uow.session, key_id)
    audit.record(uow, "key.renewal_requested", key, version=newest.id, days=newest.lifetime_seconds // 86_400)
    return key


def remind_due(uow: UnitOfWork, *, days: Sequence[int], overlap: timedelta, admins: Sequence[str]) -> dict[str, int]:
    """Remind of every key that expires within one of these numbers of days. Each version is told of once per number.

    Not of keys that are being replaced, nor of those that rotate by themselves before they expire.
    """
    told = 0
    within = uow.now + timedelta(days=max(days, default=0))
    query = (
        sa.select(Key, KeyVersion)
        .join(KeyVersion, KeyVersion.key_id == Key.id)
        .where(
            Key.state == KeyState.LIVE, Key.rotate_every_days.is_(None), KeyVersion.state == KeyState.LIVE,
            KeyVersion.retire_at.is_(None), KeyVersion.expires_at > uow.now, KeyVersion.expires_at <= within,
        )
        .order_by(KeyVersion.expires_at, KeyVersion.id)
    )  # fmt: skip
    for key, version in uow.session.execute(query).all():
        assert version.expires_at is not None  # the query asked for it
        step = rules.reminder_step(days, version.issued_at or version.created_at, version.expires_at, uow.now)
        if step is None or not _is_alone(uow.session, version):
            continue
        addresses = _whom(uow, key, admins)
        subject, mark = ("keys", key.id), f"{version.id}:{step}"
        told += notices.tell(uow, REMINDER, mark, subject, _words(uow, key, version, overlap), addresses=addresses) is not None
    return {"told": told}


def still_expiring(session: Session, notice: Notice) -> bool:
    """Whether the version that a reminder speaks of still lives and is not being replaced."""
    version = session.get(KeyVersion, notice.mark.partition(":")[0])
    if version is None or version.state is not KeyState.LIVE or version.retire_at is not None:
        return False
    return version.expires_at is not None and version.expires_at > utcnow() and _is_alone(session, version)


def _is_alone(session: Session, version: KeyVersion) -> bool:
    return [each.id for each in queries.open_versions_of(session, version.key_id)] == [version.id]


def _whom(uow: UnitOfWork, key: Key, admins: Sequence[str]) -> list[str]:
    """The owner; of a shared key also those who may open it. Where the owner has left: whom they reported to, or the admins."""
    owner = people.get(uow.session, key.person_id)
    if key.kind is KeyKind.PERSONAL:
        return [owner.email] if owner.state is PersonState.ACTIVE else []
    entitled = [uow.session.get_one(Person, person_id) for person_id in queries.entitled_people(uow.session, key.id)]
    found = [person.email for person in (owner, *entitled) if person.state is PersonState.ACTIVE]
    if owner.state is not PersonState.ACTIVE:
        manager = people.manager_of(uow.session, owner.id, uow.now.date())
        found += [manager.email] if manager else admins
    return found


def _words(uow: UnitOfWork, key: Key, version: KeyVersion, overlap: timedelta) -> Words:
    assert version.expires_at is not None
    project = projects.get(uow.session, key.project_id)
    left = -((uow.now - version.expires_at) // timedelta(days=1))
    when = f"in {left} days" if left > 1 else "within a day"
    whose = "The shared key" if key.kind is KeyKind.SHARED else "Your key"
    hours = int(overlap.total_seconds()) // 3600
    return Words(
        f"{whose} “{key.name}” expires {when}",
        f"{whose} “{key.name}” in the project {project.name} expires on {version.expires_at:%Y-%m-%d %H:%M} UTC, {when}. "
        "Whatever uses it then stops working.",
        (
            "Renew it on its page: a new version is made, with a value of its own that is shown once. The old one works on until "
            f"the new one is seen in use, at most {hours} hours.",
            "If nobody needs it any more there is nothing to do: it ends by itself.",
        ),
        f"/keys/{key.id}",
        "Renew it",
    )
