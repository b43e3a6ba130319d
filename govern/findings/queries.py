"""Reads of findings."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.errors import NotFound
from govern.findings.models import PRESENT, WAITING, Finding, FindingState, Severity
from govern.findings.types import FIXES, NONE


@dataclass(frozen=True)
class Preview:
    """What a fix would do. `sentence` says it; nothing has happened yet."""

    finding: Finding
    sentence: str
    possible: bool


def get(session: Session, finding_id: str) -> Finding:
    """The finding. Raises NotFound."""
    row = session.get(Finding, finding_id)
    if row is None:
        raise NotFound(f"There is no finding {finding_id!r}.")
    return row


def find(
    session: Session,
    *,
    before: str | None = None,
    limit: int = 50,
    type_: str | None = None,
    state: FindingState | None = None,
    severity: Severity | None = None,
    owner_id: str | None = None,
    everything: bool = False,
) -> Sequence[Finding]:
    """Findings, newest first. Without a state: those that wait for somebody; `everything`: also accepted and closed ones."""
    query = sa.select(Finding).order_by(Finding.id.desc()).limit(limit)
    if before:
        query = query.where(Finding.id < before)
    if state is not None:
        query = query.where(Finding.state == state)
    elif not everything:
        query = query.where(Finding.state.in_((*WAITING, FindingState.FIXING)))
    for column, value in ((Finding.type, type_), (Finding.severity, severity), (Finding.owner_id, owner_id)):
        if value is not None:
            query = query.where(column == value)
    return session.scalars(query).all()


def counts(session: Session) -> dict[str, int]:
    """Type → how many wait for somebody."""
    query = sa.select(Finding.type, sa.func.count()).where(Finding.state.in_(WAITING)).group_by(Finding.type)
    return {row[0]: row[1] for row in session.execute(query)}


def present(session: Session) -> Sequence[Finding]:
    """Everything that the last look showed."""
    return session.scalars(sa.select(Finding).where(Finding.state.in_(PRESENT))).all()


def waiting_about(session: Session, subject_ids: Collection[str]) -> dict[str, list[Finding]]:
    """Id of what it is about → the findings that wait or are being fixed, the worst first."""
    query = sa.select(Finding).where(Finding.subject_id.in_(subject_ids), Finding.state.in_((*WAITING, FindingState.FIXING)))
    found: dict[str, list[Finding]] = {}
    worst = list(Severity)
    for row in sorted(session.scalars(query), key=lambda each: (worst.index(each.severity), each.id)):
        found.setdefault(row.subject_id, []).append(row)
    return found


def preview(session: Session, finding_id: str) -> Preview:
    """What the fix would do. Raises NotFound."""
    row = get(session, finding_id)
    possible = row.fix != NONE and row.state in (*WAITING, FindingState.ACCEPTED)
    return Preview(row, FIXES.get(row.fix, FIXES[NONE]), possible)
