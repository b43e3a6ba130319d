"""Usage: what was spent, by whom, on what; each figure with its clock."""

from __future__ import annotations

import json
from typing import Final

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from govern.core.clock import utcnow
from govern.people import queries as people
from govern.projects import queries as projects
from govern.usage import exports, queries, reasons, reports
from govern.usage.models import Reason
from govern.usage.names import By, Whose
from govern.usage.questions import LONGEST_BY_HOUR, STEPS, Line, Only, View, previous
from govern.usage.questions import Question as Asked
from govern.usage.reasons import WORDS
from govern.web import scope
from govern.web.access import govern, reads, requires
from govern.web.api import files
from govern.web.pages import counts, forms, ranges, spend

blueprint = Blueprint("usage_page", __name__, url_prefix="/usage")

GROUPS: Final = (
    ("person", "Person"), ("team", "Team"), ("cost_centre", "Cost centre"), ("project", "Project"), ("model", "Model"),
    ("key", "Key"), ("endpoint", "Endpoint"), ("line_item", "Line item"), ("whose", "Whose"), ("reason", "Reason"),
    ("day", "Day"), ("week", "Week"),
    ("month", "Month"),
)  # fmt: skip
STEP_WORDS: Final = (("day", "Days"), ("week", "Weeks"), ("month", "Months"), ("hour", "Hours"))
VIEWS: Final = (("best", "Best"), ("billed", "Billed"), ("estimated", "Estimated"))
_NOBODY: Final = {
    By.PERSON: "Not put down to a person", By.PROJECT: "No project", By.MODEL: "No model", By.KEY: "No key", By.TEAM: "No team",
    By.COST_CENTRE: "No cost centre", By.ENDPOINT: "Not told by the bill", By.LINE_ITEM: "Estimated, no line item yet",
    By.REASON: "Has a person",
}  # fmt: skip
_WHOSE: Final = {Whose.PERSON.value: "People", Whose.PROJECT.value: "Projects' own", Whose.NOBODY.value: "Unattributed"}
_LIMITS: Final = ("team", "cost_centre", "model", "endpoint", "line_item", "reason")
_BESIDE_LINE_ITEMS: Final = {By.LINE_ITEM, By.MODEL, By.ENDPOINT, By.PROJECT, By.WHOSE, *STEPS}
"""With anything else, line items are read from the bill itself."""
NOT_KNOWN: Final = "none"


@blueprint.get("")
@requires("usage:read")
def index() -> str:
    """A range of days, grouped, as a chart and a table that agree."""
    question = asked()
    days, by, only = question.days, question.by, question.only
    after = forms.query_text("after", most=600)
    before = previous(days.start, days.end)
    known = counts.first_day_known(reads())
    compares = known is not None and known <= before[0]
    largest = spend.groups(reads(), question, after=_cursor(after), compare=compares)
    names = [name_of(line, by) for line in largest.lines]
    everybody = only.person_ids is None
    return render_template(
        "usage/index.html",
        days=days,
        by=by,
        view=question.view,
        step=question.step,
        groups=largest,
        names=names,
        called=called,
        next=json.dumps(largest.following) if largest.following else None,
        after=after,
        chart=spend.stacked(reads(), question, largest, names) if after is None else None,
        before=before,
        compares=compares,
        movers=_movers(question) if compares and forms.query_text("movers") == "yes" else [],
        ownerless=_ownerless(question) if everybody else [],
        freshness=queries.freshness(reads()),
        coverage=reports.coverage(reads(), days.start, days.end, utcnow().date()),
        unpriced=queries.unpriced_models(reads(), days.start, days.end) if everybody else {},
        presets=ranges.PRESETS,
        group_words=GROUPS,
        step_words=STEP_WORDS if (days.end - days.start).days <= LONGEST_BY_HOUR else STEP_WORDS[:3],
        view_words=VIEWS,
        limits=_limits(only),
    )


@blueprint.get("/export")
@requires("usage:read")
def download() -> ResponseReturnValue:
    """What the page shows, day by day, as a file."""
    question = asked()
    by = (question.by,) if question.by in STEPS else (question.step, question.by)
    sheet = exports.spend(
        govern().unit_of_work.reading, Asked(question.days.start, question.days.end, by, question.view, question.only)
    )
    kind = "xlsx" if forms.query_text("format") == "xlsx" else "csv"
    return files.answer(sheet, kind, f"spend-{question.days.start}-to-{question.days.last}")


def asked() -> spend.Question:
    """The question of this request's address. Only a bill has line items and no hours; the question is made to fit."""
    days = ranges.asked()
    by = forms.query_state("by", By) or By.PERSON
    step = forms.query_state("step", By)
    if by in (By.WEEK, By.MONTH) or step not in (By.WEEK, By.MONTH, By.HOUR):
        step = by if by in (By.WEEK, By.MONTH) else By.DAY
    view = forms.query_state("clock", View) or View.BEST
    only = Only(
        project_id=_limit("project"), person_id=_limit("person"), key_id=_limit("key"), whose=forms.query_state("whose", Whose),
        person_ids=scope.people_within("usage:read"), **{name: _limit(name) for name in _LIMITS},
    )  # fmt: skip
    named = {by, *only.limited()}
    if By.LINE_ITEM in named and named - _BESIDE_LINE_ITEMS:
        view = View.BILLED
    if step is By.HOUR and (view is View.BILLED or by is By.LINE_ITEM or (days.end - days.start).days > LONGEST_BY_HOUR):
        step = By.DAY
    return spend.Question(days, by if by is not By.HOUR else By.DAY, view, only, step)


def _limit(name: str) -> str | None:
    value = forms.query_text(name)
    return "" if value == NOT_KNOWN else value


def _cursor(after: str | None) -> list[str] | None:
    try:
        found = json.loads(after) if after else None
    except ValueError:
        return None
    return [str(part) for part in found] if isinstance(found, list) else None


def _movers(question: spend.Question) -> list[reports.Mover]:
    """Whose spend moved most; of steps of time there are none."""
    if question.by in STEPS or question.by is By.WHOSE:
        return []
    days = question.days
    return reports.movers(reads(), days.start, days.end, by=question.by, view=question.view, only=question.only, limit=5)


def _ownerless(question: spend.Question) -> list[reasons.Ownerless]:
    """Why the question's spend has no person, where it is not about something that has one."""
    if question.only.limited() - {By.PROJECT, By.WHOSE, By.REASON}:
        return []
    days = question.days
    return reasons.ownerless(reads(), days.start, days.end, view=question.view, only=question.only)


def name_of(line: Line, by: By) -> str:
    """What people call the group."""
    return called(line.ids[by], line.names[by], by)


def called(id_: str, name: str, by: By) -> str:
    """What people call a group."""
    if by is By.WHOSE:
        return _WHOSE.get(id_, id_)
    if by is By.REASON and id_ and id_ in set(Reason):
        return WORDS[Reason(id_)].title
    return (name or id_) if id_ else _NOBODY.get(by, "")


def _limits(only: Only) -> list[tuple[str, str, str]]:
    """(part of the address, what it is, name) of each limit that is set, to be shown and taken back."""
    found = []
    if only.person_id is not None:
        person = people.find(reads(), only.person_id) if only.person_id else None
        found.append(("person", "Person", person.name if person else only.person_id or _NOBODY[By.PERSON]))
    if only.project_id is not None:
        project = projects.find(reads(), only.project_id) if only.project_id else None
        found.append(("project", "Project", project.name if project else only.project_id or _NOBODY[By.PROJECT]))
    if only.key_id is not None:
        found.append(("key", "Key", only.key_id or _NOBODY[By.KEY]))
    if only.whose is not None:
        found.append(("whose", "Whose", _WHOSE[only.whose.value]))
    for name in _LIMITS:
        value = getattr(only, name)
        if value is not None:
            found.append((name, name.replace("_", " ").capitalize(), called(value, value, By(name))))
    return found
