"""Reads of batches, each row told with how far its removal or its invite is now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.batches.models import OPEN_ROWS, Batch, BatchKind, BatchRow, RowState
from govern.core import csv_text
from govern.core.errors import NotFound
from govern.members.models import Invite, InviteState
from govern.offboarding.models import Offboarding, OffboardingState


@dataclass(frozen=True)
class Told:
    """A row as it stands. `progress`: the state of the removal or the invite; `evidence_id` once the removal is proven."""

    row: BatchRow
    progress: str | None = None
    evidence_id: str | None = None
    trouble: str | None = None


def get(session: Session, batch_id: str) -> Batch:
    """The batch. Raises NotFound."""
    batch = session.get(Batch, batch_id)
    if batch is None:
        raise NotFound(f"There is no batch {batch_id!r}.")
    return batch


def open_with(session: Session, kind: BatchKind, digest: str) -> Batch | None:
    """The batch that asks for the same and is still open."""
    query = sa.select(Batch).where(Batch.kind == kind, Batch.digest == digest, Batch.finished_at.is_(None))
    return session.scalars(query).one_or_none()


def find(session: Session, *, before: str | None = None, limit: int = 50, kind: BatchKind | None = None) -> Sequence[Batch]:
    """Batches, newest first, older than the id `before`."""
    query = sa.select(Batch).order_by(Batch.id.desc()).limit(limit)
    if kind is not None:
        query = query.where(Batch.kind == kind)
    return session.scalars(query.where(Batch.id < before) if before else query).all()


def open_ids(session: Session) -> Sequence[str]:
    """The batches that are not finished."""
    return session.scalars(sa.select(Batch.id).where(Batch.finished_at.is_(None)).order_by(Batch.id)).all()


def counts(session: Session, batch_id: str) -> dict[RowState, int]:
    """How many rows have which state."""
    query = sa.select(BatchRow.state, sa.func.count()).where(BatchRow.batch_id == batch_id).group_by(BatchRow.state)
    return {row[0]: row[1] for row in session.execute(query)}


def count_open(session: Session, batch_id: str) -> int:
    """How many rows have no outcome yet."""
    return sum(number for state, number in counts(session, batch_id).items() if state in OPEN_ROWS)


def unapproved(session: Session, batch_id: str) -> Sequence[BatchRow]:
    """The rows that wait for a yes, locked."""
    query = sa.select(BatchRow).where(BatchRow.batch_id == batch_id, BatchRow.needs_yes.is_(True), BatchRow.state.in_(OPEN_ROWS))
    return session.scalars(query.order_by(BatchRow.number).with_for_update()).all()


def proven(session: Session, batch_id: str) -> int:
    """Of a batch of removals: how many people are proven gone."""
    query = sa.select(sa.func.count()).select_from(BatchRow).join(Offboarding, Offboarding.id == BatchRow.subject_id)
    return session.scalar(query.where(BatchRow.batch_id == batch_id, Offboarding.state == OffboardingState.DONE)) or 0


def rows(session: Session, batch: Batch, *, after: int = 0, limit: int = 1000, state: RowState | None = None) -> list[Told]:
    """The rows behind the number `after`, in the order of the list."""
    query = (
        sa.select(BatchRow).where(BatchRow.batch_id == batch.id, BatchRow.number > after).order_by(BatchRow.number).limit(limit)
    )
    found = session.scalars(query.where(BatchRow.state == state) if state else query).all()
    ids = [row.subject_id for row in found if row.subject_id]
    if batch.kind is BatchKind.REMOVE:
        ended = {each.id: each for each in session.scalars(sa.select(Offboarding).where(Offboarding.id.in_(ids)))}
        return [_removal(row, ended.get(row.subject_id or "")) for row in found]
    offered = {each.id: each for each in session.scalars(sa.select(Invite).where(Invite.id.in_(ids)))}
    return [_invite(row, offered.get(row.subject_id or "")) for row in found]


def _removal(row: BatchRow, removal: Offboarding | None) -> Told:
    return Told(row, removal.state.value, removal.evidence_id, removal.waiting_for) if removal else Told(row)


def _invite(row: BatchRow, invite: Invite | None) -> Told:
    if invite is None:
        return Told(row)
    return Told(row, invite.state.value, trouble=invite.problem if invite.state is InviteState.REFUSED else None)


HEADER = ("line", "who", "role", "outcome", "sentence", "id", "progress", "evidence")


def as_csv(session: Session, batch: Batch) -> Iterator[str]:
    """The outcome of each row as a CSV file, line by line; what a spreadsheet would take for a formula is written as text."""
    return csv_text.lines(
        HEADER,
        (
            (told.row.line, told.row.who, told.row.role if batch.kind is BatchKind.INVITE else None, told.row.state.value,
             told.row.sentence or told.trouble, told.row.subject_id, told.progress, told.evidence_id)
            for told in rows(session, batch)
        ),
    )  # fmt: skip
