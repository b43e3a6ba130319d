"""Reads of provisioned accounts."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.errors import NotFound
from govern.provisioning.models import ProvisionedUser


def get(session: Session, user_id: str) -> ProvisionedUser:
    """The account. Raises NotFound."""
    row = session.get(ProvisionedUser, user_id)
    if row is None:
        raise NotFound("There is no such user.")
    return row


def page(
    session: Session, where: sa.ColumnElement[bool] | None, *, skip: int, limit: int
) -> tuple[int, Sequence[ProvisionedUser]]:
    """How many accounts match, and some of them, the oldest first: protocol clients page by index."""
    query = sa.select(ProvisionedUser)
    if where is not None:
        query = query.where(where)
    total = session.scalar(sa.select(sa.func.count()).select_from(query.subquery())) or 0
    if limit == 0 or skip >= total:
        return total, ()
    ordered = query.order_by(ProvisionedUser.created_at, ProvisionedUser.id)
    return total, session.scalars(ordered.offset(skip).limit(limit)).all()
