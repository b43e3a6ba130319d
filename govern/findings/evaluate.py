"""Look at the whole inventory again and bring the findings up to what is so now. A second look changes nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import sqlalchemy as sa

from govern.audit import service as audit
from govern.core.outbox import Effect, EffectState
from govern.core.uow import Actor, ActorKind, UnitOfWork, UnitsOfWork
from govern.findings import rules, snapshot
from govern.findings.candidates import Candidate
from govern.findings.models import PRESENT, WAITING, Finding, FindingState
from govern.findings.snapshot import Thresholds

JOB: Final = Actor(ActorKind.JOB, "findings.evaluate", "findings.evaluate")


def run(unit_of_work: UnitsOfWork, limits: Thresholds, now: datetime) -> dict[str, int]:
    """Returns counts: what was opened, what came back, what is gone or fixed, and what is present in all."""
    with unit_of_work.reading() as session:
        candidates = rules.find(snapshot.take(session, now, limits))
    report = {"opened": 0, "reopened": 0, "fixed": 0, "gone": 0, "present": 0}
    with unit_of_work(JOB) as uow:
        known = {(row.type, row.subject_id): row for row in uow.session.scalars(sa.select(Finding))}
        found: set[tuple[str, str]] = set()
        for candidate in candidates:
            name = (candidate.type, candidate.subject_id)
            found.add(name)
            row = known.get(name)
            if row is None or row.state not in PRESENT:
                if candidate.quiet:
                    continue
                report["opened" if row is None else "reopened"] += 1
                row = _open(uow, row, candidate)
            _refresh(uow, row, candidate)
            report["present"] += 1
        for name, row in known.items():
            if name not in found and row.state in PRESENT:
                fixed = row.state is FindingState.FIXING
                row.state, row.closed_at = FindingState.FIXED if fixed else FindingState.GONE, uow.now
                report["fixed" if fixed else "gone"] += 1
        if any(report[word] for word in ("opened", "reopened", "fixed", "gone")):
            audit.record(uow, "findings.evaluated", ("jobs", "findings.evaluate"), reason=None, **report)
    return report


def _open(uow: UnitOfWork, row: Finding | None, candidate: Candidate) -> Finding:
    if row is None:
        row = Finding(
            id=uow.new_id("fin"), type=candidate.type, subject_kind=candidate.subject_kind, subject_id=candidate.subject_id,
            generation=0,
        )  # fmt: skip
        uow.session.add(row)
    row.state, row.generation, row.opened_at, row.closed_at = FindingState.OPEN, row.generation + 1, uow.now, None
    row.assigned_to = row.accepted_by = row.accepted_reason = row.accepted_until = row.problem = None
    return row


def _refresh(uow: UnitOfWork, row: Finding, candidate: Candidate) -> None:
    row.severity, row.label, row.sentence = candidate.severity, candidate.label, candidate.sentence
    row.owner_id, row.project_id, row.spend_30d = candidate.owner_id, candidate.project_id, candidate.spend
    row.fix, row.target_id, row.since_at, row.last_seen_at = candidate.fix, candidate.target_id, candidate.since, uow.now
    if row.state is FindingState.ACCEPTED and row.accepted_until is not None and row.accepted_until <= uow.now.date():
        row.state = FindingState.OPEN
    if candidate.quiet and row.state in WAITING:
        row.state = FindingState.FIXING
    elif not candidate.quiet and row.state is FindingState.FIXING:  # what was owed is through, and it is still there
        row.state = FindingState.ASSIGNED if row.assigned_to else FindingState.OPEN
        row.problem = _refusal(uow, candidate.target_id) or "It was ended, and a later look still shows it."


def _refusal(uow: UnitOfWork, subject_id: str) -> str | None:
    """Why the last effect for the subject was given up, if it was."""
    query = sa.select(Effect.last_error).where(Effect.subject_id == subject_id, Effect.state == EffectState.DEAD)
    return (uow.session.scalars(query.order_by(Effect.id.desc())).first() or "")[:300] or None
