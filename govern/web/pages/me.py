"""My page: what somebody who only has to do with themself needs, and nothing else."""

from __future__ import annotations

from flask import Blueprint, render_template

from govern.budgets.standing import of_person
from govern.core.clock import utcnow
from govern.identity import queries as identity
from govern.keys import queries as keys
from govern.members import queries as members
from govern.policies import queries as policies
from govern.projects import queries as projects
from govern.usage import queries as usage
from govern.usage.questions import Only
from govern.web.access import current_person, govern, reads, requires
from govern.web.pages import ranges, spend

blueprint = Blueprint("me_page", __name__, url_prefix="/me")


@blueprint.get("")
@requires("self:read")
def index() -> str:
    """My keys, my places, my spend."""
    person = current_person()
    held = keys.find_keys(reads(), person_id=person.id, limit=100)
    member = members.find_member(reads(), person.id)
    seat = member if member and member.vanished_at is None else None
    days = ranges.preset("month", utcnow().date())
    return render_template(
        "me/index.html",
        days=days,
        freshness=usage.freshness(reads()),
        whole=spend.total(reads(), days, Only(person_id=person.id)),
        budgets=of_person(reads(), person.id, utcnow()),
        person=person,
        devices=identity.find_devices(reads(), utcnow(), person_ids=[person.id], limit=100),
        seat=seat,
        places=projects.places_of(reads(), seat.remote_id) if seat else [],
        held=held,
        versions=keys.versions(reads(), [key.id for key in held]),
        project_names=projects.names(reads(), [key.project_id for key in held]),
        most=policies.effective_for(reads(), person.id, None, usual_most_keys=govern().settings.keys.most_per_person).most_keys,
    )
