"""`/usage`: requests and tokens, by any combination of groups and a step of time."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask.typing import ResponseReturnValue
from flask.views import MethodView

from govern.usage import queries
from govern.web.access import reads, requires
from govern.web.api import files, spend
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.shapes import Usd, page_of

blueprint = ApiBlueprint("usage", "Requests and tokens.")


class UsageOut(spend.GroupOut):
    """One group's usage. `unpriced_tokens` are of models that the price book does not know."""

    requests = ma.fields.Integer(required=True)
    input_tokens = ma.fields.Integer(required=True)
    cached_tokens = ma.fields.Integer(required=True)
    output_tokens = ma.fields.Integer(required=True)
    unpriced_tokens = ma.fields.Integer(required=True)
    amount_usd = Usd(required=True)
    previous_usd = Usd(required=True, allow_none=True)


@blueprint.route("")
class Usage(MethodView):
    """Usage."""

    @requires("usage:read")
    @blueprint.arguments(spend.SpendQuery, location="query")
    @blueprint.response(200, page_of(UsageOut, freshness=ma.fields.Nested(spend.FreshnessOut, required=True)))
    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """List usage in groups."""
        lines, following = spend.page_of_lines(args)
        items = [
            spend.group(line) | {
                **line.counts._asdict(), "amount_usd": line.figure.amount, "previous_usd": line.previous and line.previous.amount,
            }
            for line in lines
        ]  # fmt: skip
        return {"items": items, "next": following, "freshness": queries.freshness(reads())}


@blueprint.route("/export")
class UsageFile(MethodView):
    """Usage as a file."""

    @requires("usage:read")
    @blueprint.doc(responses=files.TABLE)
    @blueprint.arguments(spend.FileQuery, location="query")
    def get(self, args: dict[str, Any]) -> ResponseReturnValue:
        """Download usage, dollars and tokens beside one another, in groups."""
        return spend.file(args)
