"""Members: seats in the organization, a person behind a seat, and the removal of a person."""

from __future__ import annotations

import hmac

from flask import Blueprint, render_template, request, url_for
from werkzeug.wrappers import Response

from govern.core.clock import utcnow
from govern.core.errors import InvalidInput
from govern.identity import queries as identity
from govern.keys import queries as keys
from govern.members import queries, rules
from govern.offboarding import preview as previews
from govern.offboarding import queries as removals
from govern.offboarding import service as offboarding
from govern.offboarding import suspending
from govern.offboarding.models import KeyFate, OffboardingState
from govern.offboarding.queries import Subject
from govern.offboarding.rules import STEPS
from govern.projects import queries as projects
from govern.usage import queries as usage
from govern.web import scope
from govern.web.access import current_principal, govern, reads, requires
from govern.web.pages import counts, forms
from govern.web.pages.acting import act, wait_until
from govern.web.pages.forms import Form
from govern.web.pages.going import see
from govern.web.problems import status_of

blueprint = Blueprint("members_page", __name__, url_prefix="/members")


@blueprint.get("")
@requires("members:read")
def index() -> str:
    """Seats, with search and a filter by role."""
    found = queries.find_members(
        reads(), after=forms.query_text("after"), limit=forms.PAGE + 1, search=forms.query_text("search"),
        role=forms.query_text("role"), with_vanished=request.args.get("vanished") == "yes",
        person_ids=scope.people_within("members:read"),
    )  # fmt: skip
    page = forms.paged(found)
    person_ids = [member.person_id for member in page.items]
    return render_template(
        "members/index.html",
        page=page,
        total=queries.count_members(reads()),
        roles=[(role, role) for role in rules.SEAT_ROLES],
        states=counts.states(reads(), person_ids),
        held=counts.keys_per_person(reads(), person_ids),
    )


@blueprint.get("/<string(maxlength=330):member>")
@requires("members:read")
def show(member: str) -> str:
    """The person behind a seat: where they stand, what they hold, how a removal goes."""
    return _shown(member, Form())


def _shown(member: str, form: Form) -> str:
    subject = _subject(member, "members:read")
    seat = subject.member if subject.member and subject.member.vanished_at is None else None
    person_id = subject.person.id if subject.person else None
    held = keys.find_keys(reads(), person_id=person_id, limit=200) if person_id else []
    suspension = removals.open_suspension(reads(), person_id) if person_id else None
    return render_template(
        "members/show.html",
        subject=subject,
        seat=seat,
        roles=identity.roles_of(reads(), [person_id]).get(person_id, []) if person_id else [],
        places=projects.places_of(reads(), seat.remote_id) if seat else [],
        held=held,
        versions=keys.versions(reads(), [key.id for key in held]),
        project_names=projects.names(reads(), [key.project_id for key in held]),
        personal=keys.observed_keys(reads(), owner_remote_id=seat.remote_id, limit=200) if seat else [],
        removal=removals.latest(reads(), subject.email),
        form=form,
        suspension=suspension,
        standing=suspending.standing(reads(), suspension) if suspension else {},
        remains=suspending.problems(reads(), suspension) if suspension else [],
    )


@blueprint.get("/<string(maxlength=330):member>/revoke")
@requires("members:revoke")
def preview(member: str) -> str:
    """What a removal would end, and the form that begins it."""
    return _preview(_subject(member, "members:revoke"), Form())


@blueprint.post("/<string(maxlength=330):member>/revoke")
@requires("members:revoke")
def revoke(member: str) -> Response | tuple[str, int]:
    """Begin the removal, once its address was typed."""
    subject = _subject(member, "members:revoke")
    try:
        if not hmac.compare_digest(forms.text("email").casefold().encode(), subject.email.encode()):
            sentence = f"Type {subject.email} to confirm whom you mean."
            raise InvalidInput("The address that you typed is another one, so nothing was done.", {"email": sentence})
        reason = forms.text("reason")
        removal_id = act(lambda uow: offboarding.start(uow, member, reason=reason).id)
    except forms.REFUSALS as error:
        return _preview(subject, forms.refused(error)), status_of(error)
    wait_until(lambda session: removals.get(session, removal_id).state is OffboardingState.DONE)
    return see(url_for("offboardings_page.show", removal_id=removal_id))


@blueprint.get("/<string(maxlength=330):member>/suspend")
@requires("members:suspend")
def suspend_preview(member: str) -> str:
    """What a suspension would stop and what it would not, and the form that begins it."""
    return _suspend_preview(_subject(member, "members:suspend"), Form())


@blueprint.post("/<string(maxlength=330):member>/suspend")
@requires("members:suspend")
def suspend(member: str) -> Response | tuple[str, int]:
    """Cut them off until they are resumed."""
    subject = _subject(member, "members:suspend")
    reason, generation = forms.text("reason"), govern().settings.openai.generation
    try:
        fate = KeyFate(forms.text("keys") or KeyFate.FREEZE)
        act(lambda uow: suspending.suspend(uow, member, reason=reason, generation=generation, fate=fate).id)
    except ValueError as error:
        raise InvalidInput("Choose what becomes of their keys.") from error
    except forms.REFUSALS as error:
        return _suspend_preview(subject, forms.refused(error)), status_of(error)
    return see(url_for("members_page.show", member=member))


@blueprint.post("/<string(maxlength=330):member>/resume")
@requires("members:suspend")
def resume(member: str) -> Response | tuple[str, int]:
    """Give everything back."""
    _subject(member, "members:suspend")
    reason = forms.text("reason")
    try:
        act(lambda uow: suspending.resume(uow, member, reason=reason).id)
    except forms.REFUSALS as error:
        return _shown(member, forms.refused(error)), status_of(error)
    return see(url_for("members_page.show", member=member))


def _suspend_preview(subject: Subject, form: Form) -> str:
    generation, actor_id = govern().settings.openai.generation, current_principal().actor_id
    effects = suspending.preview(reads(), subject.email, actor_id=actor_id, generation=generation)
    return render_template(
        "members/suspend.html", form=form, subject=subject, effects=effects, can_freeze=generation != "2026-08"
    )


def _preview(subject: Subject, form: Form) -> str:
    return render_template(
        "members/revoke.html",
        form=form,
        preview=previews.preview(reads(), subject.email, utcnow()),
        under_way=removals.latest(reads(), subject.email),
        steps=STEPS,
        freshness=usage.freshness(reads()),
    )


def _subject(member: str, permission: str) -> Subject:
    """Whom the address means. Raises NotFound, also where the permission does not reach them."""
    subject = removals.subject_of(reads(), member)
    missing = f"There is no member, person or open invite {member!r}."
    scope.check_person(permission, subject.person.id if subject.person else None, missing)
    return subject
