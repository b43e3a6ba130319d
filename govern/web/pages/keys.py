"""Keys: the list, issuing one, a key with its versions, showing its value once, ending it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from flask import Blueprint, render_template, request, url_for
from werkzeug.wrappers import Response

from govern.core import outbox
from govern.core.clock import utcnow
from govern.core.errors import Gone, InvalidInput, NotAllowed
from govern.keys import queries, reveals, rotation, rules, service, sharing
from govern.keys.models import ENDED_STATES, ENDING_STATES, OPEN_STATES, FreezeState, Key, KeyKind, KeyState, KeyVersion
from govern.notices import queries as notices
from govern.notices import service as telling
from govern.people import queries as people
from govern.projects import queries as projects
from govern.web import fresh, scope
from govern.web.access import current_actor, current_principal, govern, reads, requires
from govern.web.fresh import fresh_sign_in
from govern.web.pages import counts, forms, words
from govern.web.pages.acting import act, wait_until
from govern.web.pages.forms import Form
from govern.web.pages.going import see
from govern.web.problems import status_of

blueprint = Blueprint("keys_page", __name__, url_prefix="/keys")

_MOVING: Final = (KeyState.REQUESTED, *ENDING_STATES)


@blueprint.get("")
@requires("keys:read")
def index() -> str:
    """Keys within reach, newest first."""
    who, project = forms.query_text("person"), forms.query_text("project")
    person = people.find(reads(), who) if who else None
    found = (
        []
        if who and person is None
        else queries.find_keys(
            reads(), after=forms.query_text("after"), limit=forms.PAGE + 1, person_id=person.id if person else None,
            person_ids=scope.people_within("keys:read"), project_id=project, state=forms.query_state("state", KeyState),
        )
    )  # fmt: skip
    page = forms.paged(found)
    return render_template(
        "keys/index.html",
        page=page,
        people=counts.people(reads(), [key.person_id for key in page.items]),
        project_names=projects.names(reads(), [key.project_id for key in page.items]),
        versions=queries.versions(reads(), [key.id for key in page.items]),
        projects=[(project.id, project.name) for project in projects.open_projects(reads())],
        states=words.states(KeyState),
    )


@blueprint.get("/<string(maxlength=60):key_id>")
@requires("keys:read")
def show(key_id: str) -> str:
    """One key; while something about it is owed, the page looks again by itself."""
    key = _key(key_id, "keys:read")
    version = queries.newest_version(reads(), key.id)
    versions = list(reversed(queries.versions_of(reads(), key.id)))
    owed = outbox.open_effects(reads(), [each.id for each in versions])
    entitled = queries.entitled_people(reads(), key.id)
    alive = key.state not in ENDED_STATES + ENDING_STATES
    freezes = list(reversed(queries.freezes_of(reads(), key.id)))
    frozen = [freeze for freeze in freezes if freeze.ended_at is None]
    return render_template(
        "keys/show.html",
        key=key,
        version=version,
        scopes=rules.scopes_of(version),
        versions=versions,
        moving=key.state in _MOVING
        or any(each.state in _MOVING for each in versions)
        or any(freeze.state is not FreezeState.FROZEN for freeze in frozen),
        freezes=freezes,
        may_freeze=key.state is KeyState.LIVE and not frozen and _reaches("keys:revoke", key),
        may_thaw=any(freeze.state is FreezeState.FROZEN for freeze in frozen) and _reaches("keys:revoke", key),
        trouble=next((effect.last_error for effect in owed if effect.last_error), None),
        person=people.get(reads(), key.person_id),
        project=projects.get(reads(), key.project_id),
        reveals=queries.reveals_of(reads(), key.id),
        numbers={each.id: each.number for each in versions},
        may_reveal=_may_reveal(key, version, entitled),
        sign_in_first=None if fresh.is_fresh() else fresh.address(url_for("keys_page.show", key_id=key.id)),
        may_revoke=alive and _reaches("keys:revoke", key),
        may_rotate=key.state is KeyState.LIVE
        and sum(each.state in OPEN_STATES for each in versions) == 1
        and _reaches("keys:issue", key),
        expires_soon=_expires_soon(key, version),
        told=notices.about(reads(), [key.id]),
        may_tell=_reaches("keys:issue", key),
        may_share=alive and key.kind is KeyKind.SHARED and _reaches("keys:issue", key),
        entitled=[people.get(reads(), person_id) for person_id in entitled],
        by=counts.people(reads(), [key.requested_by, key.revoked_by]),
        once=forms.once(),
    )


@blueprint.post("/<string(maxlength=60):key_id>/reveal")
@requires("keys:reveal")
@fresh_sign_in("keys_page.show")
def reveal(key_id: str) -> str | Response:
    """The value, once. It stands in this answer only: no address holds it and nothing may keep it."""
    key = _key(key_id, "keys:reveal", or_asked_for=True)
    window = timedelta(minutes=govern().settings.keys.reveal_again_minutes)
    mark = request.form.get("once") or None
    try:
        with govern().unit_of_work(current_actor()) as uow:
            value = reveals.reveal(uow, key.id, repeat_key=mark, window=window)
    except (Gone, NotAllowed) as error:
        return see(url_for("keys_page.show", key_id=key.id), error.sentence, "warning")
    return render_template("keys/reveal.html", key=key, value=value.reveal(), base_url=govern().settings.openai.base_url)


@blueprint.get("/<string(maxlength=60):key_id>/revoke")
@requires("keys:revoke")
def ask_revoke(key_id: str) -> str:
    """What ending it means."""
    return _ask_revoke(_key(key_id, "keys:revoke"), Form())


@blueprint.post("/<string(maxlength=60):key_id>/revoke")
@requires("keys:revoke")
def revoke(key_id: str) -> Response | tuple[str, int]:
    """End it: contained at once, proof follows."""
    key = _key(key_id, "keys:revoke")
    try:
        reason = forms.text("reason")
        if not reason:
            raise InvalidInput("Say why: an auditor will ask.", {"reason": "A few words."})
        act(lambda uow: service.revoke_key(uow, key_id, reason=reason).id)
    except forms.REFUSALS as error:
        return _ask_revoke(key, forms.refused(error)), status_of(error)
    wait_until(lambda session: queries.get(session, key_id).state in ENDED_STATES)
    return see(url_for("keys_page.show", key_id=key_id))


@blueprint.get("/<string(maxlength=60):key_id>/rotate")
@requires("keys:issue")
def ask_rotate(key_id: str) -> str:
    """What rotating it means."""
    return _ask_rotate(_key(key_id, "keys:issue"), Form({"overlap_hours": str(govern().settings.keys.overlap_hours)}))


@blueprint.post("/<string(maxlength=60):key_id>/rotate")
@requires("keys:issue")
def rotate(key_id: str) -> Response | tuple[str, int]:
    """A new version now; the old one ends when the new one is used, or when the overlap is over."""
    key = _key(key_id, "keys:issue")
    try:
        reason = forms.text("reason")
        if not reason:
            raise InvalidInput("Say why: an auditor will ask.", {"reason": "A few words."})
        hours = forms.whole("overlap_hours", "Choose 0 to 720 hours.")
        if not 0 <= hours <= 720:
            raise InvalidInput("The overlap is 0 to 720 hours.", {"overlap_hours": "Choose 0 to 720 hours."})
        act(lambda uow: rotation.rotate(uow, key_id, reason=reason, overlap=timedelta(hours=hours)).id)
    except forms.REFUSALS as error:
        return _ask_rotate(key, forms.refused(error)), status_of(error)
    wait_until(lambda session: queries.newest_version(session, key_id).state is not KeyState.REQUESTED)
    return see(url_for("keys_page.show", key_id=key_id))


@blueprint.post("/<string(maxlength=60):key_id>/entitlements")
@requires("keys:issue")
def share(key_id: str) -> Response:
    """Let somebody open a shared key, or no longer."""
    key = _key(key_id, "keys:issue")
    person = people.find(reads(), forms.text("person"))
    back = url_for("keys_page.show", key_id=key.id)
    if person is None:
        return see(back, "There is nobody with this address that we know.", "warning")
    person_id, name = person.id, person.name
    try:
        if forms.text("act") == "end":
            act(lambda uow: sharing.disentitle(uow, key_id, person_id).id)
            return see(back, f"{name} can no longer open it. What {name} has seen is known: rotate the key if that matters.")
        act(lambda uow: sharing.entitle(uow, key_id, person_id).id)
    except forms.REFUSALS as error:
        return see(back, error.sentence, "warning")
    return see(back, f"{name} may open it, once.")


@blueprint.post("/<string(maxlength=60):key_id>/reminders/<string(maxlength=60):delivery_id>/send")
@requires("keys:issue")
def remind_again(key_id: str, delivery_id: str) -> Response:
    """Owe a reminder again that was given up."""
    key = _key(key_id, "keys:issue")
    back = url_for("keys_page.show", key_id=key.id)
    try:
        act(lambda uow: telling.send_again(uow, delivery_id, about=key_id).id)
    except forms.REFUSALS as error:
        return see(back, error.sentence, "warning")
    return see(back, "It is sent again.")


def _ask_revoke(key: Key, form: Form) -> str:
    return render_template(
        "keys/revoke.html",
        form=form,
        key=key,
        version=queries.newest_version(reads(), key.id),
        person=people.get(reads(), key.person_id),
        project=projects.get(reads(), key.project_id),
    )


def _ask_rotate(key: Key, form: Form) -> str:
    return render_template(
        "keys/rotate.html", form=form, key=key, version=queries.newest_version(reads(), key.id),
        person=people.get(reads(), key.person_id), project=projects.get(reads(), key.project_id), once=forms.once(),
    )  # fmt: skip


def _key(key_id: str, permission: str, *, or_asked_for: bool = False) -> Key:
    """The key. Raises NotFound, also where the permission does not reach its person.

    `or_asked_for`: whoever asked for it reaches it too, and sees its value.
    """
    key = queries.get(reads(), key_id)
    if not (or_asked_for and key.requested_by == current_principal().actor_id):
        scope.check_key(permission, key)
    return key


def _expires_soon(key: Key, version: KeyVersion) -> bool:
    days = timedelta(days=max(govern().settings.keys.remind_days, default=14))
    return key.state is KeyState.LIVE and version.expires_at is not None and version.expires_at - utcnow() <= days


def _reaches(permission: str, key: Key) -> bool:
    if not current_principal().may(permission):
        return False
    within = scope.people_within(permission)
    return within is None or key.person_id in within


def _may_reveal(key: Key, version: KeyVersion, entitled: Sequence[str]) -> bool:
    """Whether the reader may see the value and has not: a personal key is seen once, a shared one once by each."""
    me = current_principal().actor_id
    if me not in (key.person_id, key.requested_by, *entitled) or not current_principal().may("keys:reveal"):
        return False
    if version.state is not KeyState.LIVE or version.shredded_at is not None:
        return False
    seen = [row.actor_id for row in queries.reveals_of(reads(), key.id) if row.version_id == version.id]
    return not seen if key.kind is KeyKind.PERSONAL else me not in seen
