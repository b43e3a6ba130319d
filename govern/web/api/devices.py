"""`/devices`: command lines that act for a person. They come about by OAuth's device authorization, see `web.oauth`."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response
from flask.views import MethodView
from sqlalchemy.orm import Session

from govern.core.clock import utcnow
from govern.identity import devices, queries
from govern.identity.models import Device
from govern.web import scope
from govern.web.access import reads, requires
from govern.web.api import paging
from govern.web.api.acting import Answer, carry_out
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.shapes import PageQuery, Schema, instant, maybe_instant, maybe_text, page_of

blueprint = ApiBlueprint("devices", "Command lines that act for a person.")


class DeviceOut(Schema):
    """A device, never its tokens."""

    id = ma.fields.String(required=True)
    person = ma.fields.String(attribute="person_id", required=True)
    client = ma.fields.String(attribute="client_id", required=True)
    name = ma.fields.String(required=True, metadata={"description": "What it calls itself."})
    permissions = ma.fields.List(ma.fields.String(), required=True, metadata={"description": "Over its person only."})
    ip = maybe_text()
    created_at = instant(required=True)
    expires_at = instant(required=True)
    used_at = maybe_instant()
    used_from = maybe_text()
    ended_at = maybe_instant()
    end_reason = maybe_text()


class DevicesQuery(PageQuery):
    """What to list."""

    ended = ma.fields.Boolean(load_default=False, metadata={"description": "Also those that are over."})


def _visible(permission: str, device_id: str) -> Device:
    device = queries.get_device(reads(), device_id)
    scope.check_person(permission, device.person_id, f"There is no device {device_id!r}.")
    return device


@blueprint.route("")
class Devices(MethodView):
    """Devices."""

    @requires("tokens:read")
    @blueprint.arguments(DevicesQuery, location="query")
    @blueprint.response(200, page_of(DeviceOut))
    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """List devices, newest first."""
        rows = queries.find_devices(
            reads(), utcnow(), after=paging.after_id(args.get("cursor")), limit=args["limit"] + 1,
            person_ids=scope.people_within("tokens:read"), with_ended=args["ended"],
        )  # fmt: skip
        items, following = paging.page(rows, args["limit"], lambda row: row.id)
        return {"items": items, "next": following}


@blueprint.route("/<id:device_id>")
class OneDevice(MethodView):
    """One device."""

    @requires("tokens:read")
    @blueprint.response(200, DeviceOut)
    def get(self, device_id: str) -> Device:
        """Show a device."""
        return _visible("tokens:read", device_id)


@blueprint.route("/<id:device_id>/revoke")
class Revocation(MethodView):
    """The end."""

    @requires("tokens:write")
    @blueprint.response(200, DeviceOut)
    def post(self, device_id: str) -> Response:
        """End a device with all its tokens, at once. Repeating it does no harm."""
        _visible("tokens:write", device_id)
        return carry_out(lambda uow: devices.end_device(uow, device_id, reason="ended over the API").id, _ended)


def _ended(session: Session, device_id: str) -> Answer:
    return Answer(DeviceOut().dump(queries.get_device(session, device_id)))
