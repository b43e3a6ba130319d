"""My page: what somebody who only has to do with themself needs, and nothing else."""

from __future__ import annotations

from flask import Blueprint, render_template

from govern.keys import queries as keys
from govern.members import queries as members
from govern.projects import queries as projects
from govern.web.access import current_person, govern, reads, requires

blueprint = Blueprint("me_page", __name__, url_prefix="/me")


@blueprint.get("")
@requires("self:read")
def index() -> str:
    """My keys, my places, my spend."""
    person = current_person()
    held = keys.find_keys(reads(), person_id=person.id, limit=100)
    member = members.find_member(reads(), person.id)
    seat = member if member and member.vanished_at is None else None
    return render_template(
        "me/index.html",
        person=person,
        seat=seat,
        places=projects.places_of(reads(), seat.remote_id) if seat else [],
        held=held,
        versions=keys.versions(reads(), [key.id for key in held]),
        project_names=projects.names(reads(), [key.project_id for key in held]),
        most=govern().settings.keys.most_per_person,
    )
