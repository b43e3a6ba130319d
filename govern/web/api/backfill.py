"""`/reports/backfill`: how much of the history of usage and costs was read, and whether it goes on."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask.views import MethodView

from govern.core.clock import utcnow
from govern.usage import backfill
from govern.usage.backfill import Stage
from govern.web import scope
from govern.web.access import govern, reads, requires
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.shapes import Schema, maybe_text

blueprint = ApiBlueprint("backfill", "The history of usage and costs.", under="reports/backfill")


class BackfillPartOut(Schema):
    """One endpoint of usage, or `costs`."""

    endpoint = ma.fields.String(required=True)
    days_read = ma.fields.Integer(required=True)


class BackfillOut(Schema):
    """The history of usage and costs: the UTC days `[start, end)` are wanted, `days_read` of them were read of every endpoint."""

    state = ma.fields.Enum(Stage, by_value=True, required=True)
    sentence = ma.fields.String(required=True)
    start = ma.fields.Date(required=True)
    end = ma.fields.Date(required=True)
    days = ma.fields.Integer(required=True)
    days_read = ma.fields.Integer(required=True)
    read_back_to = ma.fields.Date(
        required=True, allow_none=True, metadata={"description": "Every day from it on was read; null: not even the newest."}
    )
    percent = ma.fields.Integer(required=True, metadata={"description": "Of all days of all endpoints."})
    seconds_left = ma.fields.Integer(
        required=True, allow_none=True, metadata={"description": "A guess, while it runs, by how quickly it goes."}
    )
    problem = maybe_text()
    endpoints = ma.fields.List(ma.fields.Nested(BackfillPartOut), required=True)


@blueprint.route("")
class BackfillReport(MethodView):
    """The history."""

    @requires("usage:read")
    @blueprint.response(200, BackfillOut)
    def get(self) -> dict[str, Any]:
        """Show how much of the history of usage and costs was read, and whether it goes on."""
        scope.check_anyone("usage:read")
        found = backfill.standing(reads(), govern().settings.sync, utcnow())
        history = found.history
        return {
            "state": found.stage, "sentence": found.sentence, "start": history.start, "end": history.end, "days": history.days,
            "days_read": history.whole, "read_back_to": history.back_to, "percent": history.percent,
            "seconds_left": round(found.left.total_seconds()) if found.left is not None else None, "problem": found.problem,
            "endpoints": [{"endpoint": part.endpoint, "days_read": part.read} for part in history.parts],
        }  # fmt: skip
