"""What `/usage` and `/costs` share: the days, the groups, the filters, and who may see whose."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

import marshmallow as ma
from flask.typing import ResponseReturnValue
from webargs.fields import DelimitedList

from govern.core.clock import utcnow
from govern.core.errors import InvalidInput, NotFound
from govern.people import queries as people
from govern.usage import exports, queries
from govern.usage.models import Reason
from govern.usage.names import By, Whose
from govern.usage.questions import Line, Only, Question, View
from govern.web import scope
from govern.web.access import govern, reads
from govern.web.api import files, paging
from govern.web.api.shapes import Id, PageQuery, Schema, Text, Usd, Who, maybe_instant, maybe_text

LONGEST: Final = timedelta(days=732)
NOT_KNOWN: Final = "none"
"""In an address: what has no person, no team … ('' in `Only`)."""


_LIMIT: Final = " `none`: where it is not known."


class DaysQuery(Schema):
    """Which UTC days."""

    start = ma.fields.Date(metadata={"description": "The first UTC day; without it 30 days before the end."})
    end = ma.fields.Date(metadata={"description": "The first UTC day that no longer counts; without it tomorrow."})


def clock_field() -> ma.fields.Field[Any]:
    """The field `clock`."""
    return ma.fields.Enum(
        View, by_value=True, load_default=View.BEST,
        metadata={"description": "`best`: billed where a day is settled, else the clock that shows more."},
    )  # fmt: skip


class RangeQuery(DaysQuery):
    """Which UTC days, on which clock, of whom."""

    clock = clock_field()
    project = Id(metadata={"description": "Our id or OpenAI's." + _LIMIT})
    person = Who(metadata={"description": "Id or address." + _LIMIT})
    team = Text(1, 200, metadata={"description": "Where people stood on each day." + _LIMIT})
    cost_centre = Text(1, 200, metadata={"description": "Where people stood on each day." + _LIMIT})
    key = Id(metadata={"description": "Our id or OpenAI's." + _LIMIT})
    model = Text(1, 200, metadata={"description": "As OpenAI names it." + _LIMIT})
    endpoint = Text(1, 60, metadata={"description": "Of usage; a bill names none." + _LIMIT})
    line_item = Text(1, 300, metadata={"description": "Of the bill; an estimate has none." + _LIMIT})
    whose = ma.fields.Enum(
        Whose, by_value=True, metadata={"description": "Only people's, projects' own, or what could not be attributed."}
    )
    reason = ma.fields.Enum(
        Reason, by_value=True, validate=ma.validate.NoneOf([Reason.NONE]),
        metadata={"description": "Only what has no person for this reason."},
    )  # fmt: skip


def grouped_by(*default: By) -> DelimitedList:
    """The field `by`."""
    return DelimitedList(
        ma.fields.Enum(By, by_value=True), load_default=lambda: list(default), validate=ma.validate.Length(1, 6),
        metadata={
            "description": "Group by these, separated by commas, among them at most one of hour, day, week (by its Monday) and "
            "month. Hours: of at most three days, estimated.",
            "uniqueItems": True,
        },
    )  # fmt: skip


class SpendQuery(PageQuery, RangeQuery):
    """What to list, and in which order."""

    by = grouped_by(By.DAY)
    order = ma.fields.String(
        load_default="group", validate=ma.validate.OneOf(["group", "amount"]),
        metadata={"description": "`amount`: largest first."},
    )  # fmt: skip
    compare = ma.fields.String(
        validate=ma.validate.OneOf(["previous"]), load_default=None,
        metadata={
            "description": "Beside each group its amount in the range before: whole months with as many months, a month so far "
            "with the same days of the month before, other ranges with as many days."
        },
    )  # fmt: skip


class GroupOut(Schema):
    """The group; only what was asked for is there. null: not known."""

    hour = ma.fields.String(allow_none=True)
    day = ma.fields.String(allow_none=True)
    week = ma.fields.String(allow_none=True)
    month = ma.fields.String(allow_none=True)
    whose = ma.fields.String(allow_none=True)
    reason = maybe_text()
    project = maybe_text()
    project_name = maybe_text()
    person = maybe_text()
    person_name = maybe_text()
    team = maybe_text()
    cost_centre = maybe_text()
    key = maybe_text()
    key_name = maybe_text()
    model = maybe_text()
    endpoint = maybe_text()
    line_item = maybe_text()


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


def page_of_lines(args: dict[str, Any], *, counted: bool = True) -> tuple[list[Line], str | None]:
    """The lines of one page and the cursor of the next. Raises InvalidInput."""
    start, end = days(args)
    rows = queries.lines(
        reads(), start, end, by=list(dict.fromkeys(args["by"])), view=args["clock"], only=only(args),
        after=paging.after(args.get("cursor")), limit=args["limit"] + 1, largest_first=args["order"] == "amount",
        compare=args["compare"] is not None, counted=counted,
    )  # fmt: skip
    return paging.page(rows, args["limit"], lambda line: line.cursor)


def only(args: dict[str, Any]) -> Only:
    """The limits of the query, within what the asker may see. Raises NotFound."""
    names = ("model", "team", "cost_centre", "endpoint", "line_item", "whose", "reason")
    plain = {name: args[name] for name in names if name in args}
    ids = {f"{name}_id": args[name] for name in ("project", "key") if name in args}
    limits: dict[str, Any] = {name: "" if value == NOT_KNOWN else value for name, value in (plain | ids).items()}
    return Only(**limits, person_id=_person(args), person_ids=scope.people_within("usage:read"))


def _person(args: dict[str, Any]) -> str | None:
    if args.get("person", NOT_KNOWN) == NOT_KNOWN:
        return "" if "person" in args else None
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


class FileQuery(RangeQuery):
    """What to put into the file."""

    by = grouped_by(By.DAY, By.PROJECT)
    format = files.format_field()


def file(args: dict[str, Any]) -> ResponseReturnValue:
    """The lines as a file, read while they are sent. Raises InvalidInput."""
    start, end = days(args)
    question = Question(start, end, tuple(exports.steps(args["by"])), args["clock"], only(args))
    sheet = exports.spend(govern().unit_of_work.reading, question)
    return files.answer(sheet, args["format"], f"spend-{start}-to-{end - timedelta(days=1)}")
