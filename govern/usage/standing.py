"""Which team and which cost centre a person belonged to on a day, as SQL that reports and rollups share."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from govern.people.models import Assignment


def standings() -> sa.Subquery:
    """Person, `from_on`, `until_on` (the first day it is over), team, cost centre ('' for none).

    An assignment ends at the latest when the next one begins, so that a day is never counted twice.
    """
    a = Assignment
    following = sa.func.lead(a.from_on).over(partition_by=a.person_id, order_by=a.from_on)
    until = sa.case(
        (following.is_(None), a.until_on),
        (a.until_on.is_(None), following),
        (a.until_on < following, a.until_on),
        else_=following,
    )
    return sa.select(
        a.person_id, a.from_on, until.label("until_on"), sa.func.coalesce(a.team, "").label("team"),
        sa.func.coalesce(a.cost_centre, "").label("cost_centre"),
    ).subquery("standing")  # fmt: skip


def on_day(standing: sa.Subquery, person: Any, day: Any) -> sa.ColumnElement[bool]:
    """The join's condition: the standing of this person on this day."""
    c = standing.c
    return sa.and_(c.person_id == person, c.from_on <= day, sa.or_(c.until_on.is_(None), c.until_on > day))
