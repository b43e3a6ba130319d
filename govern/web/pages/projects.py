"""Projects as OpenAI has them, and who stands in each."""

from __future__ import annotations

from flask import Blueprint, render_template

from govern.keys import queries as keys
from govern.projects import queries
from govern.web import scope
from govern.web.access import reads, requires
from govern.web.pages import counts, forms

blueprint = Blueprint("projects_page", __name__, url_prefix="/projects")


@blueprint.get("")
@requires("projects:read")
def index() -> str:
    """Projects that the reader may see."""
    after, within = forms.query_text("after"), scope.projects_within("projects:read")
    page = forms.paged(
        queries.find_projects(reads(), after=after, limit=forms.PAGE + 1)
        if within is None
        else counts.projects_among(reads(), within, after=after, limit=forms.PAGE + 1)
    )
    ids = [project.id for project in page.items]
    return render_template(
        "projects/index.html",
        page=page,
        members=counts.members_per_project(reads(), ids),
        keys=counts.keys_per_project(reads(), ids),
        others=counts.others_per_project(reads(), ids),
    )


@blueprint.get("/<string(maxlength=120):project_id>")
@requires("projects:read")
def show(project_id: str) -> str:
    """One project: who stands in it, which keys are in it."""
    project = queries.get(reads(), project_id)
    scope.check_project("projects:read", project)
    within = scope.people_within("projects:read")
    seats = queries.members_of(reads(), project.id)
    by_remote = counts.seats(reads(), [seat.member_remote_id for seat in seats])
    shown = [
        (seat, member)
        for seat in seats
        for member in [by_remote.get(seat.member_remote_id)]
        if within is None or (member is not None and member.person_id in within)
    ]
    held = keys.find_keys(reads(), project_id=project.id, person_ids=within, limit=forms.PAGE + 1)
    page = forms.paged(held)
    return render_template(
        "projects/show.html",
        project=project,
        seats=sorted(shown, key=lambda pair: (pair[1].name or pair[1].email or "") if pair[1] else ""),
        accounts=queries.service_accounts_of(reads(), project.id) if within is None else [],
        page=page,
        people=counts.people(reads(), [key.person_id for key in page.items]),
    )
