"""`/reports`: what moved most, what a month comes to by cost centre, and how well the estimate meets the bill."""

from __future__ import annotations

from datetime import date
from typing import Any

import marshmallow as ma
from flask.typing import ResponseReturnValue
from flask.views import MethodView

from govern.core.clock import utcnow
from govern.usage import chargeback, exports, queries, reasons, reports
from govern.usage.chargeback import Chargeback
from govern.usage.models import Reason
from govern.usage.names import By, Whose
from govern.usage.rules import DAY
from govern.web import scope
from govern.web.access import reads, requires
from govern.web.api import files, spend
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.shapes import Schema, Usd, maybe_text

blueprint = ApiBlueprint("reports", "Reports: movers, chargeback, and the estimate against the bill.")


class MoversQuery(spend.RangeQuery):
    """Which groups to compare with the range before."""

    by = ma.fields.Enum(
        By, by_value=True, load_default=By.PERSON,
        validate=ma.validate.NoneOf([By.HOUR, By.DAY, By.WEEK, By.MONTH], error="Choose something that spends."),
    )  # fmt: skip
    limit = ma.fields.Integer(load_default=10, validate=ma.validate.Range(1, 100))


class MoverOut(Schema):
    """A group, its spend in the range and in the one before. null: not known."""

    id = maybe_text()
    name = maybe_text()
    amount_usd = Usd(required=True)
    previous_usd = Usd(required=True)
    change_usd = Usd(required=True)


class MoversOut(Schema):
    """The groups that moved most, up or down."""

    items = ma.fields.List(ma.fields.Nested(MoverOut), required=True)
    freshness = ma.fields.Nested(spend.FreshnessOut, required=True)


@blueprint.route("/movers")
class Movers(MethodView):
    """Movers."""

    @requires("usage:read")
    @blueprint.arguments(MoversQuery, location="query")
    @blueprint.response(200, MoversOut)
    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """List whose spend changed most against the range before."""
        start, end = spend.days(args)
        found = reports.movers(reads(), start, end, by=args["by"], view=args["clock"], only=spend.only(args), limit=args["limit"])
        items = [
            {
                "id": each.id or None, "name": each.name or None, "amount_usd": each.now.amount,
                "previous_usd": each.before.amount, "change_usd": each.change,
            }
            for each in found
        ]  # fmt: skip
        return {"items": items, "freshness": queries.freshness(reads())}


class OwnerlessQuery(spend.DaysQuery):
    """Which UTC days, on which clock."""

    clock = spend.clock_field()


class OwnerlessOut(Schema):
    """What has no person for one reason. `whose`: its project bears it, or nothing at all is known. `remedy`: what to do."""

    whose = ma.fields.Enum(Whose, by_value=True, required=True)
    reason = ma.fields.Enum(Reason, by_value=True, required=True, metadata={"description": "Empty until a sync has told it."})
    title = ma.fields.String(required=True)
    remedy = ma.fields.String(required=True)
    amount_usd = Usd(required=True)
    billed_usd = Usd(required=True)
    estimated_usd = Usd(required=True)
    requests = ma.fields.Integer(required=True)


class OwnerlessReportOut(Schema):
    """Spend without a person. The items add up to `projects_usd` + `unattributed_usd`, to the last digit."""

    items = ma.fields.List(ma.fields.Nested(OwnerlessOut), required=True)
    people_usd = Usd(required=True)
    projects_usd = Usd(required=True)
    unattributed_usd = Usd(required=True)
    freshness = ma.fields.Nested(spend.FreshnessOut, required=True)


@blueprint.route("/ownerless")
class OwnerlessReport(MethodView):
    """Spend without a person."""

    @requires("usage:read")
    @blueprint.arguments(OwnerlessQuery, location="query")
    @blueprint.response(200, OwnerlessReportOut)
    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """Show why spend has no person, how much for each reason, and what to do about it."""
        scope.check_anyone("usage:read")
        start, end = spend.days(args)
        whole = queries.totals(reads(), start, end, view=args["clock"])
        items = [
            {
                "whose": each.whose, "reason": each.reason, "title": each.words.title, "remedy": each.words.remedy,
                "amount_usd": each.figure.amount, "billed_usd": each.figure.billed, "estimated_usd": each.figure.estimated,
                "requests": each.counts.requests,
            }
            for each in reasons.ownerless(reads(), start, end, view=args["clock"])
        ]  # fmt: skip
        return {
            "items": items, "people_usd": whole.people, "projects_usd": whole.projects,
            "unattributed_usd": whole.unattributed, "freshness": queries.freshness(reads()),
        }  # fmt: skip


class MonthQuery(Schema):
    """Which month."""

    month = ma.fields.String(
        load_default=None, validate=ma.validate.Regexp(r"^20[0-9]{2}-(0[1-9]|1[0-2])\Z", error="Write it like 2026-10."),
        metadata={"example": "2026-10", "description": "Without it the month before this one."},
    )  # fmt: skip


class ChargebackLineOut(Schema):
    """What somebody is charged with. null: not known, or not of this kind."""

    whose = ma.fields.Enum(Whose, by_value=True, required=True)
    cost_centre = maybe_text()
    team = maybe_text()
    project = maybe_text()
    project_name = maybe_text()
    people = ma.fields.Integer(required=True, metadata={"description": "How many spent something."})
    adjustment = ma.fields.Boolean(required=True, metadata={"description": "Whether it changed after the month was closed."})
    amount_usd = Usd(required=True)


class ChargebackOut(Schema):
    """The month's bill: `total_usd` of the lines = `bill_usd`, to the last digit."""

    month = ma.fields.String(required=True)
    final = ma.fields.Boolean(required=True, metadata={"description": "Whether no day of it changes any more."})
    billed_to = ma.fields.Date(allow_none=True, required=True)
    items = ma.fields.List(ma.fields.Nested(ChargebackLineOut), required=True)
    people_usd = Usd(required=True)
    projects_usd = Usd(required=True)
    unattributed_usd = Usd(required=True)
    adjustments_usd = Usd(required=True, metadata={"description": "Of these, what changed after the month was closed."})
    total_usd = Usd(required=True)
    bill_usd = Usd(required=True)
    difference_usd = Usd(required=True)
    other_currencies = ma.fields.Dict(keys=ma.fields.String(), values=Usd(), required=True)


def month_of(text: str | None) -> date:
    """The first day of `2026-10`, or of the last month that is over."""
    return date.fromisoformat(f"{text}-01") if text else (utcnow().date().replace(day=1) - DAY).replace(day=1)


def chargeback_of(month: date) -> Chargeback:
    """The report, for who may see everybody's spend. Raises NotAllowed."""
    scope.check_anyone("usage:read")
    return chargeback.chargeback(reads(), month)


@blueprint.route("/chargeback")
class ChargebackReport(MethodView):
    """Chargeback."""

    @requires("usage:read")
    @blueprint.arguments(MonthQuery, location="query")
    @blueprint.response(200, ChargebackOut)
    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """Show a month's bill by cost centre and team, with projects' own and what could not be attributed."""
        report = chargeback_of(month_of(args["month"]))
        items = [
            {
                "whose": line.whose, "cost_centre": line.cost_centre or None, "team": line.team or None,
                "project": line.project_id or None, "project_name": line.project or None, "people": line.people,
                "adjustment": line.adjustment, "amount_usd": line.amount,
            }
            for line in report.lines
        ]  # fmt: skip
        return {
            "month": report.month.isoformat()[:7], "final": report.final, "billed_to": report.billed_to, "items": items,
            "people_usd": report.part(Whose.PERSON), "projects_usd": report.part(Whose.PROJECT),
            "unattributed_usd": report.part(Whose.NOBODY), "adjustments_usd": report.adjustments,
            "total_usd": report.total, "bill_usd": report.bill,
            "difference_usd": report.difference, "other_currencies": report.other_currencies,
        }  # fmt: skip


class MonthFileQuery(MonthQuery):
    """Which month, as which file."""

    format = files.format_field()


@blueprint.route("/chargeback/export")
class ChargebackFile(MethodView):
    """Chargeback as a file."""

    @requires("usage:read")
    @blueprint.doc(responses=files.TABLE)
    @blueprint.arguments(MonthFileQuery, location="query")
    def get(self, args: dict[str, Any]) -> ResponseReturnValue:
        """Download a month's bill by cost centre and team."""
        report = chargeback_of(month_of(args["month"]))
        return files.answer(exports.chargeback(report), args["format"], f"chargeback-{report.month.isoformat()[:7]}")


class ModelDayOut(Schema):
    """One model on one settled day. `error`: (estimated − billed) ÷ billed; null where one of the two has nothing."""

    day = ma.fields.Date(required=True)
    model = maybe_text()
    estimated_usd = Usd(required=True)
    billed_usd = Usd(required=True)
    error = Usd(required=True, allow_none=True, metadata={"example": "-0.0123"})


class AccuracyOut(Schema):
    """`error`: the median over models and days of how far the estimate is off; `met`: whether it is within `target`, null while
    no settled day has both. `coverage`: the share of the bill whose model and day has an estimate."""

    start = ma.fields.Date(required=True)
    end = ma.fields.Date(required=True)
    error = Usd(required=True, allow_none=True, metadata={"example": "0.0123"})
    target = Usd(required=True, metadata={"example": "0.03"})
    met = ma.fields.Boolean(required=True, allow_none=True)
    coverage = Usd(required=True, allow_none=True, metadata={"example": "0.98"})
    unpriced = ma.fields.Dict(
        keys=ma.fields.String(), values=ma.fields.Integer(), required=True,
        metadata={"description": "Model without a price → tokens that no estimate covers."},
    )  # fmt: skip
    items = ma.fields.List(ma.fields.Nested(ModelDayOut), required=True)
    freshness = ma.fields.Nested(spend.FreshnessOut, required=True)


@blueprint.route("/accuracy")
class AccuracyReport(MethodView):
    """Estimated against billed."""

    @requires("usage:read")
    @blueprint.arguments(spend.DaysQuery, location="query")
    @blueprint.response(200, AccuracyOut)
    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """Show how well the estimate meets the bill on settled days, by model."""
        scope.check_anyone("usage:read")
        found = reports.accuracy(reads(), *spend.days(args))
        return {
            "start": found.settled[0], "end": found.settled[1], "error": found.error, "target": reports.TARGET,
            "met": found.met, "coverage": found.coverage, "unpriced": found.unpriced, "freshness": queries.freshness(reads()),
            "items": [
                {
                    "day": each.day, "model": each.model or None, "estimated_usd": each.estimated, "billed_usd": each.billed,
                    "error": each.error,
                }
                for each in found.days
            ],
        }  # fmt: skip
