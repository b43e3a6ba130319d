"""The two clocks held against each other, by model and day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.db import Money
from govern.usage.models import Cube, SpendCell, SyncWindow
from govern.usage.rules import COSTS


@dataclass(frozen=True)
class Compared:
    """One model on one UTC day, in US dollars. `model` '' is what a bill names no model for, such as calls of tools."""

    day: date
    model: str
    billed: Decimal
    estimated: Decimal


def settled_days(session: Session, start: date, end: date) -> list[Compared]:
    """Every model on every settled day of the UTC days `[start, end)` on which anything was billed or estimated, in order."""
    c = SpendCell
    settled = sa.select(SyncWindow.day).where(SyncWindow.endpoint == COSTS, SyncWindow.settled_at.is_not(None))
    query = (
        sa.select(c.first_day, c.model, sa.func.sum(c.billed, type_=Money()), sa.func.sum(c.estimated, type_=Money()))
        .where(c.cube == Cube.KINDS, c.level == 0, c.first_day >= start, c.first_day < end, c.first_day.in_(settled))
        .group_by(c.first_day, c.model)
        .order_by(c.first_day, c.model)
    )
    return [
        Compared(day, model, billed, estimated) for day, model, billed, estimated in session.execute(query) if billed or estimated
    ]
