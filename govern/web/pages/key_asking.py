"""Asking for a key: what holds for whom it is, the form, and either the key or the approval that it waits for."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, render_template, url_for
from werkzeug.wrappers import Response

from govern.approvals.models import Approval
from govern.bootstrap import key_defaults
from govern.core.errors import InvalidInput, NotFound
from govern.identity.permissions import Reach
from govern.keys import queries, rules
from govern.keys.models import Key, KeyKind, KeyState
from govern.people import queries as people
from govern.people import service as people_service
from govern.policies import asking
from govern.policies import queries as policies
from govern.projects import queries as projects
from govern.web import scope
from govern.web.access import current_principal, govern, reads, requires
from govern.web.pages import counts, forms
from govern.web.pages.acting import act, wait_until
from govern.web.pages.forms import Form
from govern.web.pages.going import see
from govern.web.problems import status_of

blueprint = Blueprint("key_asking_page", __name__, url_prefix="/keys")

_LIFETIMES: Final = (7, 30, 60, 90, 180, 365)


@blueprint.get("/new")
@requires("keys:issue")
def new() -> str:
    """The form that asks for a key."""
    asked = forms.query_text("person") or current_principal().person_email or ""
    return _form(Form({"person": asked, "project": forms.query_text("project") or ""}))


@blueprint.post("")
@requires("keys:issue")
def issue() -> Response | tuple[str, int]:
    """Promise the key and wait a moment for it; beyond the policy, ask somebody else for it."""
    try:
        wish, reason = _wish(), forms.text("reason") or None
        defaults, administers = key_defaults(govern().settings), current_principal().is_over_anyone("keys:issue")
        made_id = act(lambda uow: asking.ask_for_key(uow, wish, defaults, administers=administers, reason=reason).id)
    except forms.REFUSALS as error:
        return _form(forms.refused(error)), status_of(error)
    if reads().get(Approval, made_id) is not None:
        asked = "It is asked for, and waits for the approval of somebody else. The key is made as soon as they say yes."
        return see(url_for("approvals_page.show", approval_id=made_id), asked)
    wait_until(lambda session: session.get_one(Key, made_id).state is not KeyState.REQUESTED)
    return see(url_for("keys_page.show", key_id=made_id))


def _wish() -> asking.Wish:
    person = people.find(reads(), people_service.clean_email(forms.text("person")))
    missing = "There is nobody with this address that you can issue keys to."
    if person is None:
        raise NotFound(missing)
    scope.check_person("keys:issue", person.id, missing)
    name, project_id = rules.check_name(forms.text("name")), forms.text("project")
    within = scope.projects_within("keys:issue")
    if within is not None and project_id not in within:
        raise InvalidInput("Choose a project in which you stand.", {"project": "Choose one of the list."})
    typed = forms.text("scopes", most=2000).replace(",", " ").split()
    return asking.Wish(
        person.id, project_id, name, KeyKind.SHARED if forms.text("kind") == KeyKind.SHARED.value else KeyKind.PERSONAL,
        days=forms.whole("expires_in_days", "Choose 1 to 365 days.") if forms.text("expires_in_days") else None,
        scopes=rules.read_wish(typed) if typed else None,
    )  # fmt: skip


def _form(form: Form) -> str:
    reach = current_principal().reach("keys:issue")
    within = None if reach is Reach.ANYONE else scope.projects_within("keys:issue")
    offered = [project for project in projects.open_projects(reads()) if within is None or project.id in within]
    person = people.find(reads(), form["person"].strip()) if form["person"] else None
    if person is not None and not _reaches(person.id):
        person = None
    place = next((project for project in offered if project.id == form["project"] or len(offered) == 1), None)
    settings = govern().settings
    policy = None
    if person is not None:
        usual = settings.keys.most_per_person
        policy = policies.effective_for(reads(), person.id, place.id if place else None, usual_most_keys=usual)
    return render_template(
        "keys/new.html", form=form, projects=[(project.id, project.name) for project in offered],
        only_self=reach is Reach.SELF, usual_days=settings.keys.expires_in_days, lifetimes=_LIFETIMES, once=forms.once(),
        policy=policy, person=person, place=place, held=queries.held(reads(), person.id) if person else 0,
        people=counts.people(reads(), policy.approvers if policy else ()),
    )  # fmt: skip


def _reaches(person_id: str) -> bool:
    within = scope.people_within("keys:issue")
    return within is None or person_id in within
