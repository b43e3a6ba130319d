"""What a removal would end, told before anything is done. From what was last seen; the removal itself looks again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.errors import PolicyViolation
from govern.keys import queries as keys
from govern.keys.models import OPEN_STATES, Key, KeyKind, ObservedKey
from govern.offboarding import guards
from govern.offboarding.queries import Subject, subject_of
from govern.projects import queries as projects
from govern.projects.models import Project
from govern.usage import queries as usage
from govern.usage.names import By
from govern.usage.questions import Figure, Only

RECENT: Final = timedelta(days=7)
SPEND: Final = timedelta(days=30)
MOST: Final = 500


@dataclass(frozen=True)
class Credential:
    """One key. `id` is ours, `remote_id` OpenAI's; `last_used_at` is what usage and OpenAI's listing last told."""

    id: str
    remote_id: str | None
    name: str
    project: str
    last_used_at: datetime | None
    used_lately: bool


@dataclass(frozen=True)
class Preview:
    """What a removal would do.

    `keys` that we issued and `personal_keys` that they made end; `shared_keys` whose value they have seen are rotated.
    `spent` is what was put down to them in the last 30 days. `refused` says why it may not be done, if so.
    """

    subject: Subject
    keys: Sequence[Credential]
    personal_keys: Sequence[Credential]
    shared_keys: Sequence[Credential]
    places: Sequence[Project]
    spent: Figure
    breaks: Sequence[str]
    refused: str | None

    @property
    def used_lately(self) -> int:
        """How many of the keys were used in the last seven days."""
        return sum(key.used_lately for key in (*self.keys, *self.personal_keys, *self.shared_keys))


def facts(found: Preview) -> dict[str, Any]:
    """A preview as programs are told it, over REST and on the command line alike."""
    subject = found.subject
    seated = subject.member is not None and subject.member.vanished_at is None
    return {
        "dry_run": True, "email": subject.email, "person": subject.person.id if subject.person else None,
        "seat": subject.member.role if subject.member and seated else None, "invite": subject.invite is not None,
        "keys": [asdict(key) for key in found.keys], "personal_keys": [asdict(key) for key in found.personal_keys],
        "shared_keys": [asdict(key) for key in found.shared_keys], "projects": [project.name for project in found.places],
        "used_lately": found.used_lately, "spend_30_days_usd": found.spent.amount, "will_break": list(found.breaks),
        "refused": found.refused,
    }  # fmt: skip


def preview(session: Session, id_or_email: str, now: datetime) -> Preview:
    """What would end. Raises NotFound."""
    subject = subject_of(session, id_or_email)
    member = subject.member if subject.member and subject.member.vanished_at is None else None
    person_id = subject.person.id if subject.person else None
    held = keys.find_keys(session, person_id=person_id, kind=KeyKind.PERSONAL, limit=MOST) if person_id else []
    own = _ours(session, [key for key in held if key.state in OPEN_STATES], now)
    seen = _ours(session, keys.shared_keys_seen_by(session, person_id) if person_id else [], now)
    observed = keys.observed_keys(session, owner_remote_id=member.remote_id, limit=MOST) if member else []
    personal = _theirs(session, observed, now)
    places = [project for project, _ in projects.places_of(session, member.remote_id)] if member else []
    refused = None
    try:
        guards.check_may_go(session, subject)
    except PolicyViolation as violation:
        refused = violation.sentence
    return Preview(subject, own, personal, seen, places, _spend(session, person_id, now), _breaks(own, personal, seen), refused)


def _ours(session: Session, found: Sequence[Key], now: datetime) -> list[Credential]:
    versions = keys.versions(session, [key.id for key in found])
    remote_ids = [version.remote_id for version in versions.values() if version.remote_id]
    uses = _last_uses(session, remote_ids)
    names = projects.names(session, [key.project_id for key in found])
    credentials = []
    for key in found:
        remote_id = versions[key.id].remote_id
        used = uses.get(remote_id or "")
        credentials.append(Credential(key.id, remote_id, key.name, names.get(key.project_id, ""), used, _lately(used, now)))
    return credentials


def _theirs(session: Session, found: Sequence[ObservedKey], now: datetime) -> list[Credential]:
    uses = _last_uses(session, [key.remote_id for key in found])
    names = projects.names(session, [key.project_id for key in found])
    return [
        Credential(key.id, key.remote_id, key.name, names.get(key.project_id, ""), used, _lately(used, now))
        for key in found
        for used in (uses.get(key.remote_id),)
    ]


def _last_uses(session: Session, remote_ids: Sequence[str]) -> dict[str, datetime]:
    """The later of what usage tells (hours old) and what the listing told (as old as the last directory sync)."""
    uses = usage.last_uses(session, remote_ids)
    listed = sa.select(ObservedKey.remote_id, ObservedKey.last_used_at).where(
        ObservedKey.remote_id.in_(remote_ids), ObservedKey.last_used_at.is_not(None)
    )
    for remote_id, at in session.execute(listed):
        if at is not None:
            uses[remote_id] = max(at, uses.get(remote_id, at))
    return uses


def _lately(used: datetime | None, now: datetime) -> bool:
    return used is not None and used >= now - RECENT


def _spend(session: Session, person_id: str | None, now: datetime) -> Figure:
    if person_id is None:
        return Figure()
    tomorrow = now.date() + timedelta(days=1)
    found = usage.lines(session, tomorrow - SPEND, tomorrow, by=(By.PERSON,), only=Only(person_id=person_id))
    return sum((line.figure for line in found), Figure())


def _breaks(own: Sequence[Credential], personal: Sequence[Credential], seen: Sequence[Credential]) -> list[str]:
    """Sentences about programs that will notice, the surest first."""
    sentences = [
        f"{key.name} in {key.project} was used on {key.last_used_at:%Y-%m-%d}: whatever uses it stops working."
        for key in (*own, *personal)
        if key.used_lately and key.last_used_at is not None
    ]
    sentences += [
        f"{key.name} in {key.project} is shared and they have seen it: it is rotated, and the old version works on for a while."
        for key in seen
    ]
    return sentences
