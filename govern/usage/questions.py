"""What can be asked of spend and usage, and the answer's parts. Pure: no database, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from govern.core.errors import InvalidInput
from govern.usage.clocks import ON
from govern.usage.names import By, Whose
from govern.usage.rules import DAY, midnight

STEPS: Final = (By.HOUR, By.DAY, By.WEEK, By.MONTH)
LONGEST_BY_HOUR: Final = 3
"""Days: hours are read from what OpenAI reported itself, and nobody looks at the hours of a year."""


class View(StrEnum):
    """Which clock to read. BEST: billed where a day is settled; of another day, project by project, the clock that shows more."""

    BEST = "best"
    BILLED = "billed"
    ESTIMATED = "estimated"


@dataclass(frozen=True)
class Only:
    """Limits a question; '' means "not known", None no limit. `project_id` and `key_id` take our ids or OpenAI's.

    `person_ids` are the people whom the asker may see.
    """

    project_id: str | None = None
    person_id: str | None = None
    person_ids: Sequence[str] | None = None
    key_id: str | None = None
    model: str | None = None
    team: str | None = None
    cost_centre: str | None = None
    endpoint: str | None = None
    line_item: str | None = None
    whose: Whose | None = None
    reason: str | None = None

    def limited(self) -> frozenset[By]:
        """What is limited."""
        return frozenset(LIMITS[each.name] for each in fields(self) if getattr(self, each.name) is not None)


LIMITS: Final = {
    "project_id": By.PROJECT, "person_id": By.PERSON, "person_ids": By.PERSON, "key_id": By.KEY, "model": By.MODEL,
    "team": By.TEAM, "cost_centre": By.COST_CENTRE, "endpoint": By.ENDPOINT, "line_item": By.LINE_ITEM, "whose": By.WHOSE,
    "reason": By.REASON,
}  # fmt: skip
EVERYTHING: Final = Only()


@dataclass(frozen=True)
class Question:
    """Spend and usage of the UTC days `[start, end)`, by any groups and at most one step of time. Raises InvalidInput."""

    start: date
    end: date
    by: tuple[By, ...] = ()
    view: View = View.BEST
    only: Only = EVERYTHING

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise InvalidInput("The range is empty.", {"end": "Choose a day after the start."})
        if len(set(self.by)) != len(self.by) or sum(each in STEPS for each in self.by) > 1:
            raise InvalidInput(
                "Group by each thing once, and by one step of time.", {"by": "Choose one of hour, day, week, month."}
            )
        if self.step is By.HOUR:
            if self.end - self.start > LONGEST_BY_HOUR * DAY:
                raise InvalidInput(f"Hours are shown of at most {LONGEST_BY_HOUR} days.", {"start": "Choose a shorter range."})
            if self.view is View.BILLED or not all(ON[each].estimated for each in self.asked):
                raise InvalidInput(ON[By.HOUR].remark, {"by": "Choose days, or the estimated clock without line items."})

    @property
    def step(self) -> By | None:
        """The step of time, if one is asked for."""
        return next((each for each in self.by if each in STEPS), None)

    @property
    def asked(self) -> frozenset[By]:
        """Everything that the answer's source must keep apart."""
        return (frozenset(self.by) | self.only.limited()) - frozenset(STEPS)


@dataclass(frozen=True)
class Figure:
    """Dollars, and from which clock: `amount` = `billed` + `estimated`, the parts that went into it."""

    amount: Decimal = Decimal(0)
    billed: Decimal = Decimal(0)
    estimated: Decimal = Decimal(0)

    def __add__(self, other: Figure) -> Figure:
        return Figure(self.amount + other.amount, self.billed + other.billed, self.estimated + other.estimated)


class Counts(NamedTuple):
    """What usage counts, whatever the clock of the dollars."""

    requests: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    unpriced_tokens: int = 0


class Row(NamedTuple):
    """One group as it is stored: days in ISO, ids as rollups have them."""

    group: tuple[str, ...]
    figure: Figure
    counts: Counts


@dataclass(frozen=True)
class Line:
    """One group's spend and usage. `ids` and `names` by what was grouped: '' is "not known", a time is ISO text.

    A project's id is ours where we know it, else OpenAI's. `previous` is set where a comparison was asked for and there is a
    counterpart.
    """

    ids: dict[By, str]
    names: dict[By, str]
    figure: Figure
    cursor: tuple[str, ...]
    counts: Counts = field(default=Counts())
    previous: Figure | None = None


@dataclass(frozen=True)
class Totals:
    """The whole and its parts: `whole.amount` = people + projects' own + unattributed, exactly."""

    whole: Figure
    people: Decimal
    projects: Decimal
    unattributed: Decimal
    counts: Counts


class Bucket(NamedTuple):
    """A step of time within a question's range: its ISO label (where it begins) and its UTC days `[start, end)`."""

    label: str
    start: date
    end: date


def buckets(start: date, end: date, step: By) -> list[Bucket]:
    """The range cut into steps; the first and the last may be cut short. A week is named by its Monday, a month `2026-10`."""
    if step is By.HOUR:
        days, first = (end - start).days, midnight(start)
        every = [first + timedelta(hours=hour) for hour in range(24 * days)]
        return [Bucket(hour_label(at), at.date(), at.date() + DAY) for at in every]
    found = []
    while start < end:
        following = min(next_step(start, step), end)
        found.append(Bucket(label_of(start, step), start, following))
        start = following
    return found


def label_of(day: date, step: By) -> str:
    """The name of the step that this day lies in."""
    if step is By.WEEK:
        return date.fromordinal(max(1, day.toordinal() - day.weekday())).isoformat()
    return day.isoformat()[:7] if step is By.MONTH else day.isoformat()


def hour_label(at: datetime) -> str:
    """`2026-10-05T14`."""
    return at.strftime("%Y-%m-%dT%H")


def next_step(day: date, step: By) -> date:
    """The day on which the next step begins."""
    if step is By.WEEK:
        return day + (7 - day.weekday()) * DAY
    if step is By.MONTH:
        return (day.replace(day=28) + 4 * DAY).replace(day=1)
    return day + DAY


def previous(start: date, end: date) -> tuple[date, date]:
    """What to compare with: whole months with as many months before, a month so far with the same days of the month before,
    other ranges with as many days just before."""
    if start.day == 1 and end.day == 1:
        months = (end.year - start.year) * 12 + end.month - start.month
        year, month = divmod(start.year * 12 + start.month - 1 - months, 12)
        return date(year, month + 1, 1), start
    if start.day == 1 and end <= next_step(start, By.MONTH):
        before = (start - DAY).replace(day=1)
        return before, min(before + (end - start), start)
    return start - (end - start), start
