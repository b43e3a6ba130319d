"""What the people of a key were told of its end, and telling them again."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response
from flask.views import MethodView
from sqlalchemy.orm import Session

from govern.keys import queries
from govern.notices import queries as notices
from govern.notices import service as telling
from govern.notices.models import DeliveryState, Notice, NoticeDelivery
from govern.web import scope
from govern.web.access import reads, requires
from govern.web.api.acting import Answer, carry_out
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.shapes import Schema, instant, maybe_instant, maybe_text, with_more

blueprint = ApiBlueprint("key_reminders", "Reminders that a key is about to expire.", under="keys")


class ReminderOut(Schema):
    """One mail of one reminder."""

    id = ma.fields.String(required=True)
    headline = ma.fields.String(required=True)
    address = ma.fields.String(required=True)
    state = ma.fields.Enum(DeliveryState, by_value=True, required=True)
    receipt = maybe_text()
    problem = maybe_text()
    created_at = instant(required=True)
    settled_at = maybe_instant()


class RemindersOut(Schema):
    """A key's reminders, the newest first."""

    items = ma.fields.List(ma.fields.Nested(ReminderOut), required=True)


@blueprint.route("/<id:key_id>/reminders")
class Reminders(MethodView):
    """What its people were told."""

    @requires("keys:read")
    @blueprint.response(200, RemindersOut)
    def get(self, key_id: str) -> dict[str, Any]:
        """List the reminders that the key is about to expire, with a receipt per address; there are few, so they come at once."""
        key = queries.get(reads(), key_id)
        scope.check_key("keys:read", key)
        told = notices.about(reads(), [key.id])
        return {"items": [with_more(ReminderOut, sent, headline=notice.headline) for notice, sent in told]}


@blueprint.route("/<id:key_id>/reminders/<id:delivery_id>/send")
class ReminderAgain(MethodView):
    """Sending again."""

    @requires("keys:issue")
    @blueprint.response(200, ReminderOut)
    @blueprint.alt_response(202, schema=ReminderOut, description="It will be sent.", success=True)
    def post(self, key_id: str, delivery_id: str) -> Response:
        """Send a reminder again that was given up."""
        scope.check_key("keys:issue", queries.get(reads(), key_id))

        def answer(session: Session, row_id: str) -> Answer:
            row = session.get_one(NoticeDelivery, row_id)
            body = ReminderOut().dump(with_more(ReminderOut, row, headline=session.get_one(Notice, row.notice_id).headline))
            settled = row.state is not DeliveryState.PENDING
            return Answer(body, 200 if settled else 202, {"Location": f"/api/v1/keys/{key_id}/reminders"}, settled)

        return carry_out(lambda uow: telling.send_again(uow, delivery_id, about=key_id).id, answer)
