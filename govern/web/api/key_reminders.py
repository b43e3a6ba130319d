"""What the people of a key were told of its end, and telling them again."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView

from govern.keys import queries
from govern.web import scope
from govern.web.access import reads, requires
from govern.web.api import telling
from govern.web.api.blueprint import ApiBlueprint

blueprint = ApiBlueprint("key_reminders", "Reminders that a key is about to expire.", under="keys")


@blueprint.route("/<id:key_id>/reminders")
class Reminders(MethodView):
    """What its people were told."""

    @requires("keys:read")
    @blueprint.response(200, telling.NoticesOut)
    def get(self, key_id: str) -> dict[str, Any]:
        """List the reminders that the key is about to expire, with a receipt per address."""
        key = queries.get(reads(), key_id)
        scope.check_key("keys:read", key)
        return telling.told(key.id)


@blueprint.route("/<id:key_id>/reminders/<id:delivery_id>/send")
class ReminderAgain(MethodView):
    """Sending again."""

    @requires("keys:issue")
    @blueprint.response(200, telling.NoticeOut)
    @blueprint.alt_response(202, schema=telling.NoticeOut, description="It will be sent.", success=True)
    def post(self, key_id: str, delivery_id: str) -> Response:
        """Send a reminder again that was given up."""
        scope.check_key("keys:issue", queries.get(reads(), key_id))
        return telling.tell_again(key_id, delivery_id, listed_at=f"/api/v1/keys/{key_id}/reminders")
