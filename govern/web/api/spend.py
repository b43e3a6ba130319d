"""What `/usage` and `/costs` share: the days, the groups, the filters, and who may see whose."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

import marshmallow as ma
from webargs.fields import DelimitedList

from govern.core.clock import utcnow
from govern.core.errors import InvalidInput, NotFound
from govern.people import queries as people
from govern.usage import queries
from govern.usage.names import By
from govern.usage.queries import Line, Only, View
from govern.web import scope
from govern.web.access import reads
from govern.web.api import paging
from govern.web.api.shapes import Id, PageQuery, Schema, Text, Usd, Who, maybe_instant, maybe_text

LONGEST: Final = timedelta(days=732)


class SpendQuery(PageQuery):
    """Which UTC days, grouped how, of whom."""

    start = ma.fields.Date(metadata={"description": "The first UTC day; without it 30 days before the end."})
    end = ma.fields.Date(metadata={"description": "The first UTC day that no longer counts; without it tomorrow."})
    by = DelimitedList(
        ma.fields.Enum(By, by_value=True), load_default=lambda: [By.DAY], validate=ma.validate.Length(1, len(By)),
        metadata={"description": "Group by these, separated by commas.", "uniqueItems": True},
    )  # fmt: skip
    view = ma.fields.Enum(
        View, by_value=True, load_default=View.COUNTED,
        metadata={"description": "`counted`: billed where a day is settled, else the clock that shows more."},
    )  # fmt: skip
    project = Id()
    person = Who()
    key = Id()
    model = Text(1, 200)


class GroupOut(Schema):
    """The group; only what was asked for is there. null: not known."""

    day = ma.fields.String(allow_none=True)
    project = maybe_text()
    project_name = maybe_text()
    person = maybe_text()
    person_name = maybe_text()
    key = maybe_text()
    key_name = maybe_text()
    model = maybe_text()


class FreshnessOut(Schema):
    """How far each clock reaches. Every day before `settled_to` is final."""

    estimated_until = maybe_instant()
    estimated_pulled_at = maybe_instant()
    billed_to = ma.fields.Date(allow_none=True)
    billed_pulled_at = maybe_instant()
    settled_to = ma.fields.Date(allow_none=True)


class TotalsOut(Schema):
    """The whole and its parts, to the last digit: whole = people + projects + unattributed."""

    amount_usd = Usd(required=True)
    billed_usd = Usd(required=True)
    estimated_usd = Usd(required=True)
    people_usd = Usd(required=True)
    projects_usd = Usd(required=True)
    unattributed_usd = Usd(required=True)


def days(args: dict[str, Any]) -> tuple[date, date]:
    """The range `[start, end)`. Raises InvalidInput."""
    end: date = args.get("end") or utcnow().date() + timedelta(days=1)
    try:
        start: date = args.get("start") or end - timedelta(days=30)
    except OverflowError:
        start = date.min
    if start >= end:
        raise InvalidInput("The range is empty.", {"end": "Choose a day after the start."})
    if end - start > LONGEST:
        raise InvalidInput("The range is too long.", {"start": f"Choose at most {LONGEST.days} days."})
    return start, end


def page_of_lines(args: dict[str, Any]) -> tuple[list[Line], str | None]:
    """The lines of one page and the cursor of the next. Raises InvalidInput."""
    start, end = days(args)
    by = list(dict.fromkeys(args["by"]))
    only = Only(
        project_id=args.get("project"), person_id=_person(args), key_id=args.get("key"), model=args.get("model"),
        person_ids=scope.people_within("usage:read"),
    )  # fmt: skip
    rows = queries.lines(
        reads(), start, end, by=by, view=args["view"], only=only, after=paging.after(args.get("cursor")), limit=args["limit"] + 1
    )
    return paging.page(rows, args["limit"], lambda line: line.cursor)


def _person(args: dict[str, Any]) -> str | None:
    if "person" not in args:
        return None
    missing = f"There is no person {args['person']!r}."
    person = people.find(reads(), args["person"])
    scope.check_person("usage:read", person.id if person else None, missing)
    if person is None:
        raise NotFound(missing)
    return person.id


def group(line: Line) -> dict[str, Any]:
    """The line's group, as `GroupOut` shows it."""
    shown: dict[str, Any] = {}
    for by, value in line.ids.items():
        shown[by.value] = value or None
        if by in (By.PROJECT, By.PERSON, By.KEY):
            shown[f"{by.value}_name"] = line.names[by] or None
    return shown
