"""What was told about one thing, by mail, with a receipt each; and telling it again."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response
from sqlalchemy.orm import Session

from govern.notices import queries, service
from govern.notices.models import DeliveryState, Notice, NoticeDelivery
from govern.web.access import reads
from govern.web.api.acting import Answer, carry_out
from govern.web.api.shapes import Schema, instant, maybe_instant, maybe_text, with_more


class NoticeOut(Schema):
    """One mail of one notice."""

    id = ma.fields.String(required=True)
    headline = ma.fields.String(required=True)
    address = ma.fields.String(required=True)
    state = ma.fields.Enum(DeliveryState, by_value=True, required=True)
    receipt = maybe_text()
    problem = maybe_text()
    created_at = instant(required=True)
    settled_at = maybe_instant()


class NoticesOut(Schema):
    """What was told about it, the newest first; there are few, so they come at once."""

    items = ma.fields.List(ma.fields.Nested(NoticeOut), required=True)


def told(subject_id: str) -> dict[str, Any]:
    """The fields of `NoticesOut`."""
    rows = queries.about(reads(), [subject_id])
    return {"items": [with_more(NoticeOut, sent, headline=notice.headline) for notice, sent in rows]}


def tell_again(subject_id: str, delivery_id: str, *, listed_at: str) -> Response:
    """Owe a mail about this thing again that was given up. `listed_at` is where the API lists it. Raises NotFound, Conflict."""

    def answer(session: Session, row_id: str) -> Answer:
        row = session.get_one(NoticeDelivery, row_id)
        body = NoticeOut().dump(with_more(NoticeOut, row, headline=session.get_one(Notice, row.notice_id).headline))
        settled = row.state is not DeliveryState.PENDING
        return Answer(body, 200 if settled else 202, {"Location": listed_at}, settled)

    return carry_out(lambda uow: service.send_again(uow, delivery_id, about=subject_id).id, answer)
