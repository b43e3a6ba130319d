"""What a rule yields, and what all rules ask of the snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from govern.findings.models import Severity
from govern.findings.snapshot import Snapshot
from govern.findings.types import NONE, TYPES
from govern.people.models import PersonState


@dataclass(frozen=True)
class Candidate:
    """Something that was found, before it is compared with what was found earlier."""

    type: str
    subject_kind: str
    subject_id: str
    label: str
    sentence: str
    since: datetime
    fix: str
    target_id: str
    severity: Severity
    owner_id: str | None = None
    project_id: str | None = None
    spend: Decimal = Decimal(0)
    quiet: bool = False
    """Its end is under way already: no news, but not over either."""


def found(  # noqa: PLR0917 - always in this order, like a line of a table
    type_: str, kind: str, subject_id: str, label: str, sentence: str, since: datetime, *, fix: str = NONE, target: str = "",
    severity: Severity | None = None, owner_id: str | None = None, project_id: str | None = None,
    spend: Decimal = Decimal(0), quiet: bool = False,
) -> Candidate:  # fmt: skip
    return Candidate(
        type_, kind, subject_id, label[:300], sentence[:500], since, fix, target or subject_id,
        severity or TYPES[type_].severity, owner_id, project_id, spend, quiet,
    )  # fmt: skip


def has_left(seen: Snapshot, person_id: str | None) -> bool:
    person = seen.people.get(person_id or "")
    return person is not None and person.state is PersonState.LEFT


def is_leaving(seen: Snapshot, person_id: str | None) -> bool:
    """Contained, the removal under way: what still stands is being ended, and is no news."""
    person = seen.people.get(person_id or "")
    return person is not None and person.state is PersonState.LEAVING
