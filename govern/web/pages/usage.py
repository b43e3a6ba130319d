"""Usage: what was spent, by whom, on what; each figure with its clock."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, render_template

from govern.people import queries as people
from govern.projects import queries as projects
from govern.usage import queries
from govern.usage.names import By
from govern.usage.questions import Line, Only, View
from govern.web import scope
from govern.web.access import reads, requires
from govern.web.pages import forms, ranges, spend

blueprint = Blueprint("usage_page", __name__, url_prefix="/usage")

GROUPS: Final = (("person", "Person"), ("project", "Project"), ("model", "Model"), ("key", "Key"), ("day", "Day"))
VIEWS: Final = (("best", "What counts"), ("billed", "Billed"), ("estimated", "Estimated"))
_NOBODY: Final = {By.PERSON: "Not put down to a person", By.PROJECT: "No project", By.MODEL: "No model", By.KEY: "No key"}


@blueprint.get("")
@requires("usage:read")
def index() -> str:
    """A range of days, grouped, as a chart and a table that agree."""
    days = ranges.asked()
    by = forms.query_state("by", By) or By.PERSON
    view = forms.query_state("clock", View) or View.BEST
    only = Only(
        project_id=forms.query_text("project"), person_id=forms.query_text("person"), key_id=forms.query_text("key"),
        model=forms.query_text("model"), person_ids=scope.people_within("usage:read"),
    )  # fmt: skip
    question = spend.Question(days, by, view, only)
    largest = spend.groups(reads(), question)
    names = [name_of(line, by) for line in largest.lines]
    return render_template(
        "usage/index.html",
        days=days,
        by=by,
        view=view,
        groups=largest,
        names=names,
        chart=spend.stacked(reads(), question, largest, names),
        freshness=queries.freshness(reads()),
        unpriced=queries.unpriced_models(reads(), days.start, days.end) if only.person_ids is None else {},
        presets=ranges.PRESETS,
        group_words=GROUPS,
        view_words=VIEWS,
        limits=_limits(only),
    )


def name_of(line: Line, by: By) -> str:
    """What people call the group."""
    return line.names[by] or _NOBODY.get(by, "") if line.ids[by] else _NOBODY.get(by, "")


def _limits(only: Only) -> list[tuple[str, str, str]]:
    """(part of the address, what it is, name) of each limit that is set, to be shown and taken back."""
    found = []
    if only.person_id is not None:
        person = people.find(reads(), only.person_id)
        found.append(("person", "Person", person.name if person else only.person_id))
    if only.project_id is not None:
        project = projects.find(reads(), only.project_id)
        found.append(("project", "Project", project.name if project else only.project_id))
    if only.model is not None:
        found.append(("model", "Model", only.model))
    if only.key_id is not None:
        found.append(("key", "Key", only.key_id))
    return found
