"""`/costs`: dollars, each saying from which clock, by any combination of groups and a step of time."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask.views import MethodView

from govern.usage import queries
from govern.web.access import reads, requires
from govern.web.api import spend
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.shapes import Usd, page_of

blueprint = ApiBlueprint("costs", "Dollars: billed, and estimated from usage.")


class CostOut(spend.GroupOut):
    """One group's dollars: amount = billed + estimated, the parts that went into it."""

    amount_usd = Usd(required=True)
    billed_usd = Usd(required=True)
    estimated_usd = Usd(required=True)
    previous_usd = Usd(required=True, allow_none=True, metadata={"description": "null unless a comparison was asked for."})


_Page = page_of(
    CostOut,
    totals=ma.fields.Nested(spend.TotalsOut, required=True, metadata={"description": "Of the days and whom you may see."}),
    freshness=ma.fields.Nested(spend.FreshnessOut, required=True),
)


@blueprint.route("")
class Costs(MethodView):
    """Costs."""

    @requires("usage:read")
    @blueprint.arguments(spend.SpendQuery, location="query")
    @blueprint.response(200, _Page)
    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """List costs in groups."""
        lines, following = spend.page_of_lines(args)
        start, end = spend.days(args)
        totals = queries.totals(reads(), start, end, view=args["clock"], only=spend.only(args))
        items = [
            spend.group(line) | {
                "amount_usd": line.figure.amount, "billed_usd": line.figure.billed, "estimated_usd": line.figure.estimated,
                "previous_usd": line.previous and line.previous.amount,
            }
            for line in lines
        ]  # fmt: skip
        return {
            "items": items, "next": following, "freshness": queries.freshness(reads()),
            "totals": {
                "amount_usd": totals.whole.amount, "billed_usd": totals.whole.billed, "estimated_usd": totals.whole.estimated,
                "people_usd": totals.people, "projects_usd": totals.projects, "unattributed_usd": totals.unattributed,
            },
        }  # fmt: skip
