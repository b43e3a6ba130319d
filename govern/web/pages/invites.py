"""Invites: seats that are offered."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, render_template, request, url_for
from werkzeug.wrappers import Response

from govern.core import outbox
from govern.members import queries, rules, service
from govern.members.models import InviteState
from govern.projects import queries as projects
from govern.web import scope
from govern.web.access import reads, requires
from govern.web.pages import forms, words
from govern.web.pages.acting import act, wait_until
from govern.web.pages.forms import Form
from govern.web.pages.going import see
from govern.web.problems import status_of

blueprint = Blueprint("invites_page", __name__, url_prefix="/invites")

_SETTLED: Final = tuple(state for state in InviteState if state not in (InviteState.REQUESTED, InviteState.CANCELLING))


@blueprint.get("")
@requires("members:read")
def index() -> str:
    """Invites, newest first."""
    scope.check_anyone("members:read")
    state = forms.query_state("state", InviteState)
    page = forms.paged(queries.find_invites(reads(), before=forms.query_text("after"), limit=forms.PAGE + 1, state=state))
    names = {project.remote_id: project.name for project in projects.open_projects(reads())}
    owed = outbox.open_effects(reads(), [invite.id for invite in page.items])
    return render_template(
        "invites/index.html",
        page=page,
        names=names,
        troubles={effect.subject_id: effect.last_error for effect in owed if effect.last_error},
        states=words.states(InviteState),
        waiting=any(invite.state not in _SETTLED for invite in page.items),
    )


@blueprint.get("/new")
@requires("members:invite")
def new() -> str:
    """The form that offers a seat."""
    scope.check_anyone("members:invite")
    return _form(Form({"email": forms.query_text("email") or "", "role": "reader", "project_role": "member"}))


@blueprint.post("")
@requires("members:invite")
def invite() -> Response | tuple[str, int]:
    """Offer the seat."""
    scope.check_anyone("members:invite")
    try:
        email, role, place = forms.text("email"), forms.text("role"), forms.text("project_role")
        grants = [(project_id, place) for project_id in request.form.getlist("projects")]
        invite_id = act(lambda uow: service.invite(uow, email, role, grants).id)
    except forms.REFUSALS as error:
        return _form(forms.refused(error)), status_of(error)
    _wait(invite_id)
    return see(url_for("invites_page.index"), f"{email} is invited.")


@blueprint.get("/<string(maxlength=60):invite_id>/cancel")
@requires("members:invite")
def ask_cancel(invite_id: str) -> str:
    """What taking it back means."""
    scope.check_anyone("members:invite")
    return render_template("invites/cancel.html", invite=queries.get_invite(reads(), invite_id))


@blueprint.post("/<string(maxlength=60):invite_id>/cancel")
@requires("members:invite")
def cancel(invite_id: str) -> Response:
    """Take the offer back."""
    scope.check_anyone("members:invite")
    act(lambda uow: service.cancel_invite(uow, invite_id).id)
    _wait(invite_id)
    return see(url_for("invites_page.index"), "The invite is taken back; proof follows.")


@blueprint.post("/<string(maxlength=60):invite_id>/resend")
@requires("members:invite")
def resend(invite_id: str) -> Response:
    """Send it again."""
    scope.check_anyone("members:invite")
    act(lambda uow: service.resend_invite(uow, invite_id).id)
    _wait(invite_id)
    return see(url_for("invites_page.index"), "A new invite is on its way; the old one no longer counts.")


def _form(form: Form) -> str:
    return render_template(
        "invites/new.html",
        form=form,
        roles=rules.SEAT_ROLES,
        project_roles=rules.PROJECT_ROLES,
        projects=projects.open_projects(reads()),
        once=forms.once(),
    )


def _wait(invite_id: str) -> None:
    wait_until(lambda session: queries.get_invite(session, invite_id).state in _SETTLED)
