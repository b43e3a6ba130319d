"""`/costs`: dollars, each saying from which clock, by any combination of groups and a step of time."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask.typing import ResponseReturnValue
from flask.views import MethodView

from govern.usage import focus, queries
from govern.usage.rules import DAY
from govern.web import scope
from govern.web.access import govern, reads, requires
from govern.web.api import files, spend
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.shapes import Text, Usd, page_of

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
        lines, following = spend.page_of_lines(args, counted=False)
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


@blueprint.route("/export")
class CostsFile(MethodView):
    """Costs as a file."""

    @requires("usage:read")
    @blueprint.doc(responses=files.TABLE)
    @blueprint.arguments(spend.FileQuery, location="query")
    def get(self, args: dict[str, Any]) -> ResponseReturnValue:
        """Download costs, dollars and tokens beside one another, in groups."""
        return spend.file(args)


class FocusQuery(spend.DaysQuery):
    """Which days of the bill."""

    account = Text(
        1, 100, load_default=focus.ACCOUNT, metadata={"description": "The BillingAccountId: OpenAI tells no number of its own."}
    )


@blueprint.route("/focus")
class FocusFile(MethodView):
    """Costs as FOCUS has them."""

    @requires("usage:read")
    @blueprint.doc(responses={200: {"description": "The file.", "content": {"text/csv": {"schema": {"type": "string"}}}}})
    @blueprint.arguments(FocusQuery, location="query")
    def get(self, args: dict[str, Any]) -> ResponseReturnValue:
        """Download the bill as FOCUS 1.2 (FinOps Open Cost and Usage Specification), CSV."""
        scope.check_anyone("usage:read")
        start, end = spend.days(args)
        sheet = focus.sheet(govern().unit_of_work.reading, start, end, args["account"])
        return files.answer(sheet, "csv", f"focus-{start}-to-{end - DAY}")
