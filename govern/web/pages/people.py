"""People: who is known, a person with where they stand and what is theirs, their end date."""

from __future__ import annotations

from flask import Blueprint, Response, render_template, request, url_for
from werkzeug.wrappers import Response as Answer

from govern.core.clock import utcnow
from govern.core.errors import InvalidInput, NotFound
from govern.identity import queries as identity
from govern.keys import queries as keys
from govern.members import queries as members
from govern.notices import queries as notices
from govern.notices import service as telling
from govern.offboarding import queries as removals
from govern.people import directory, export, queries
from govern.people.models import Person, PersonState
from govern.projects import queries as projects
from govern.web import scope
from govern.web.access import current_principal, reads, requires
from govern.web.pages import counts, forms, spend, words
from govern.web.pages.acting import act
from govern.web.pages.forms import Form
from govern.web.pages.going import see
from govern.web.problems import status_of

blueprint = Blueprint("people_page", __name__, url_prefix="/people")


@blueprint.get("")
@requires("members:read")
def index() -> str:
    """Everybody within reach, with where they stand today."""
    today = utcnow().date()
    found = queries.find_people(
        reads(), after=forms.query_text("after"), limit=forms.PAGE + 1, search=forms.query_text("search"),
        team=forms.query_text("team"), state=forms.query_state("state", PersonState),
        directory=forms.query_state("directory", queries.Listed), ending=request.args.get("ending") == "yes",
        person_ids=scope.people_within("members:read"), on=today,
    )  # fmt: skip
    page = forms.paged(found)
    return render_template(
        "people/index.html",
        page=page,
        rows=queries.described(reads(), page.items, today),
        held=counts.keys_per_person(reads(), [person.id for person in page.items]),
        seats=members.seated(reads(), [person.id for person in page.items]),
        teams=[(team, team) for team in queries.teams(reads(), today)] if scope.people_within("members:read") is None else [],
        states=words.states(PersonState),
        listed=words.states(queries.Listed),
    )


@blueprint.get("/export")
@requires("members:read")
def download() -> Response:
    """Everybody within reach who is with the company, as a file that an import reads."""
    within = scope.people_within("members:read")
    text = "".join(export.lines(reads(), utcnow().date(), within))
    headers = {"Content-Disposition": 'attachment; filename="directory.csv"'}
    return Response(text, content_type="text/csv; charset=utf-8", headers=headers)


@blueprint.get("/<string(maxlength=330):person>")
@requires("members:read")
def show(person: str) -> str:
    """A person."""
    return _show(_visible("members:read", person), Form())


@blueprint.post("/<string(maxlength=330):person>/end")
@requires("people:write")
def end(person: str) -> Answer | tuple[str, int]:
    """Set the end date, or take it back."""
    found = _visible("people:write", person)
    try:
        ends_on = None if forms.text("act") == "never" else forms.day("ends_on")
        if ends_on is None and forms.text("act") != "never":
            raise InvalidInput("Choose a day.", {"ends_on": "The first day on which they are no longer with the company."})
        reason = forms.text("reason")
        person_id = act(lambda uow: directory.set_end(uow, found.id, ends_on, reason=reason).id)
    except forms.REFUSALS as error:
        return _show(found, forms.refused(error)), status_of(error)
    said = f"The removal starts by itself on {ends_on}." if ends_on else "There is no end date any more."
    return see(url_for("people_page.show", person=person_id), said)


@blueprint.post("/<string(maxlength=330):person>/notices/<string(maxlength=60):delivery_id>/send")
@requires("people:write")
def tell_again(person: str, delivery_id: str) -> Answer:
    """Owe a mail about the end date again that was given up."""
    found = _visible("people:write", person)
    back = url_for("people_page.show", person=found.id)
    try:
        act(lambda uow: telling.send_again(uow, delivery_id, about=found.id).id)
    except forms.REFUSALS as error:
        return see(back, error.sentence, "warning")
    return see(back, "It is sent again.")


def _show(person: Person, form: Form) -> str:
    today = utcnow().date()
    held = keys.find_keys(reads(), person_id=person.id, limit=200)
    seat = members.find_member(reads(), person.id) or members.find_member(reads(), person.email)
    within = scope.people_within("members:read")
    reports = queries.direct_reports(reads(), person.id, today)
    manager = queries.manager_of(reads(), person.id, today)
    return render_template(
        "people/show.html",
        person=person,
        row=queries.described(reads(), [person], today)[0],
        form=form,
        history=queries.history(reads(), person.id),
        reports=[each for each in reports if within is None or each.id in within],
        manager=manager,
        manager_seen=manager is not None and (within is None or manager.id in within),
        seat=seat,
        roles=identity.roles_of(reads(), [person.id]).get(person.id, []),
        identities=queries.identities_of(reads(), person.id),
        sessions=identity.find_sessions(reads(), person.id, utcnow()),
        held=held,
        versions=keys.versions(reads(), [key.id for key in held]),
        project_names=projects.names(reads(), [key.project_id for key in held]),
        removal=removals.latest(reads(), person.email),
        money=spend.of_person(reads(), person.id) if _reaches("usage:read", person) else None,
        told=notices.about(reads(), [person.id]),
        may_end=person.state is PersonState.ACTIVE and _reaches("people:write", person),
    )


def _visible(permission: str, who: str) -> Person:
    missing = f"There is no person {who!r}."
    person = queries.find(reads(), who)
    scope.check_person(permission, person.id if person else None, missing)
    if person is None:
        raise NotFound(missing)
    return person


def _reaches(permission: str, person: Person) -> bool:
    if not current_principal().may(permission):
        return False
    within = scope.people_within(permission)
    return within is None or person.id in within
