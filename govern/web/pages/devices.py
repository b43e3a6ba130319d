"""Devices: approving the one that shows a code (`/device`), and ending one's own.

Nothing happens by opening an address: whoever was sent a link with a code in it still has to compare it and press a button.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, render_template, request, url_for
from werkzeug.wrappers import Response

from govern.core.uow import UnitOfWork
from govern.identity import devices, queries
from govern.identity.devices import Typed
from govern.identity.models import Device, DeviceCode
from govern.identity.permissions import PERMISSIONS
from govern.identity.rules import clean_code, shown_code
from govern.web.access import current_actor, current_person, current_principal, govern, reads, release_reads, requires
from govern.web.oauth.clients import label_of
from govern.web.pages import forms
from govern.web.pages.acting import act
from govern.web.pages.forms import Form
from govern.web.pages.going import see

blueprint = Blueprint("devices_page", __name__)

_WRONG = "No device waits with this code. Check it, or run the command again: a code is good for a few minutes and once."
_LIMITED = "Too many wrong codes. Nothing was decided. Wait a quarter of an hour, then run the command again."


@blueprint.get("/device")
@requires("self:read")
def ask() -> str:
    """The form for the code. One in the address is filled in, and nothing more."""
    code = clean_code(forms.query_text("user_code") or "")
    return render_template("devices/code.html", form=Form({"user_code": shown_code(code) if code else ""}))


@blueprint.post("/device")
@requires("self:read")
def show() -> tuple[str, int]:
    """What asks, from where, for what."""
    found = _commit(devices.look_up)
    if found.code is None:
        return _again(found)
    if found.code.approved is not None:
        return _decided(found.code)
    held = current_principal().grants
    wanted = [(word, PERMISSIONS[word], word in held) for word in found.code.permissions]
    return _page(found.code, "devices/decide.html", wanted=wanted)


@blueprint.post("/device/decide")
@requires("self:read")
def decide() -> tuple[str, int]:
    """Let it act for me, or not."""
    approve = request.form.get("decision") == "approve"
    found = _commit(lambda uow, person_id, typed: devices.decide(uow, person_id, typed, approve=approve))
    return _again(found) if found.code is None else _decided(found.code)


def _commit(command: Callable[[UnitOfWork, str, str], Typed]) -> Typed:
    # Committed whatever comes back: a wrong code has to be counted.
    person_id, typed = current_person().id, request.form.get("user_code", "")
    actor = current_actor()
    release_reads()
    with govern().unit_of_work(actor) as uow:
        return command(uow, person_id, typed)


def _again(found: Typed) -> tuple[str, int]:
    sentence = _LIMITED if found.limited else _WRONG
    form = Form({"user_code": request.form.get("user_code", "")[:20]}, problem=sentence)
    return render_template("devices/code.html", form=form), 429 if found.limited else 422


def _decided(code: DeviceCode) -> tuple[str, int]:
    return _page(code, "devices/decided.html")


def _page(code: DeviceCode, template: str, **more: object) -> tuple[str, int]:
    shown = shown_code(clean_code(request.form.get("user_code", "")))
    same_place = code.ip == request.remote_addr
    return render_template(template, code=code, shown=shown, client=label_of(code.client_id), same_place=same_place, **more), 200


@blueprint.get("/devices/<string(maxlength=60):device_id>/end")
@requires("self:read")
def ask_end(device_id: str) -> str:
    """What ending it means."""
    return render_template("devices/end.html", device=_mine(device_id))


@blueprint.post("/devices/<string(maxlength=60):device_id>/end")
@requires("self:read")
def end(device_id: str) -> Response:
    """End it."""
    device = _mine(device_id)
    act(lambda uow: devices.end_device(uow, device.id, reason="ended on the dashboard").id)
    return see(url_for("me_page.index"), f"“{device.name}” is signed out. Keys that it fetched still work; revoke them here.")


def _mine(device_id: str) -> Device:
    return queries.get_device(reads(), device_id, person_id=current_person().id)
