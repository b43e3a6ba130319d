"""`/alerts`: thresholds that were crossed, and what was sent about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import marshmallow as ma
from flask import Response
from flask.views import MethodView
from sqlalchemy.orm import Session

from govern.budgets import handling, queries, service
from govern.budgets.models import Alert, AlertState, Delivery, Note
from govern.core.clock import utcnow
from govern.core.errors import NotFound
from govern.core.uow import UnitOfWork
from govern.notices.models import Channel, DeliveryState
from govern.web import scope
from govern.web.access import reads, requires
from govern.web.api import paging
from govern.web.api.acting import Answer, carry_out
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.budgets import visible_scopes
from govern.web.api.shapes import Id, PageQuery, Schema, Usd, Who, instant, maybe_instant, maybe_text, page_of, with_more

blueprint = ApiBlueprint("alerts", "Thresholds that were crossed.")


class DeliveryOut(Schema):
    """One sending to one address on one channel."""

    id = ma.fields.String(required=True)
    note = ma.fields.Enum(Note, by_value=True, required=True)
    channel = ma.fields.Enum(Channel, by_value=True, required=True)
    address = ma.fields.String(required=True)
    state = ma.fields.Enum(DeliveryState, by_value=True, required=True)
    attempts = ma.fields.Integer(required=True)
    receipt = maybe_text()
    problem = maybe_text()
    created_at = instant(required=True)
    settled_at = maybe_instant()


class AlertOut(Schema):
    """One crossing: at most one per budget, window and threshold. The figures are those of the moment."""

    id = ma.fields.String(required=True)
    budget = ma.fields.String(attribute="budget_id", required=True)
    window = ma.fields.String(required=True)
    person = ma.fields.String(allow_none=True, metadata={"description": "Of a budget for each person: who crossed it."})
    threshold = ma.fields.Integer(required=True, allow_none=True, metadata={"description": "Per cent of the limit."})
    on_forecast = ma.fields.Boolean(
        required=True, metadata={"description": "Not the spend reached the threshold, but what is likely at the window's end."}
    )
    forecast_usd = Usd(required=True, allow_none=True)
    threshold_usd = Usd(required=True, allow_none=True, metadata={"description": "Dollars; the threshold is either of the two."})
    label = ma.fields.String(required=True)
    limit_usd = Usd(required=True)
    spent_usd = Usd(required=True)
    billed_usd = Usd(required=True)
    estimated_usd = Usd(required=True)
    late = ma.fields.Boolean(required=True)
    superseded = ma.fields.Boolean(required=True)
    raised_at = instant(required=True)
    withdrawn_at = maybe_instant()
    withdrawn_usd = Usd(allow_none=True)
    state = ma.fields.Enum(AlertState, by_value=True, required=True)
    acknowledged_at = maybe_instant()
    acknowledged_by = maybe_text()
    snoozed_until = maybe_instant()
    assigned_to = ma.fields.String(allow_none=True, metadata={"description": "The person who is to look at it."})
    deliveries = ma.fields.List(ma.fields.Nested(DeliveryOut), required=True)


class AlertsQuery(PageQuery):
    """What to list."""

    budget = Id()
    state = ma.fields.Enum(AlertState, by_value=True, metadata={"description": "The state of now."})
    assigned_to = Id()


class SnoozeIn(Schema):
    """Until when; at most 90 days from now."""

    until = instant(required=True)


class AlertAssignIn(Schema):
    """Who is to look at it."""

    person = Who(required=True)


def _fields(session: Session, rows: Sequence[Alert]) -> list[dict[str, Any]]:
    sent, now = queries.deliveries(session, [row.id for row in rows]), utcnow()
    return [
        with_more(
            AlertOut, row, deliveries=sent[row.id], person=row.person_id or None, threshold=row.reached.percent or None,
            threshold_usd=row.reached.usd or None, state=row.state(now),
        )
        for row in rows
    ]  # fmt: skip


def _visible_budgets() -> list[str] | None:
    within = visible_scopes("alerts:read")
    if within is None:
        return None
    return [row.id for row in queries.find_budgets(reads(), scope_ids=within, retired=True, limit=10_000)]


def _handle(alert_id: str, command: Callable[[UnitOfWork], Alert]) -> Response:
    """Do it, where the asker may. A project's alert is nobody's alone, so that takes the permission over anyone."""
    scope.alert("alerts:write", alert_id, in_projects=False)
    return carry_out(
        lambda uow: command(uow).id,
        lambda session, subject: Answer(AlertOut().dump(_fields(session, [queries.get_alert(session, subject)])[0])),
    )


@blueprint.route("")
class Alerts(MethodView):
    """Alerts."""

    @requires("alerts:read")
    @blueprint.arguments(AlertsQuery, location="query")
    @blueprint.response(200, page_of(AlertOut))
    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """List alerts, newest first."""
        rows = queries.find_alerts(
            reads(), after=paging.after_id(args.get("cursor")), limit=args["limit"] + 1, budget_id=args.get("budget"),
            budget_ids=_visible_budgets(), person_ids=scope.people_within("alerts:read") or (), state=args.get("state"),
            assigned_to=args.get("assigned_to"),
        )  # fmt: skip
        items, following = paging.page(rows, args["limit"], lambda row: row.id)
        return {"items": _fields(reads(), items), "next": following}


@blueprint.route("/<id:alert_id>")
class OneAlert(MethodView):
    """One alert."""

    @requires("alerts:read")
    @blueprint.response(200, AlertOut)
    def get(self, alert_id: str) -> dict[str, Any]:
        """Show an alert and what was sent about it."""
        return _fields(reads(), [scope.alert("alerts:read", alert_id)])[0]


@blueprint.route("/<id:alert_id>/acknowledge")
class Acknowledgement(MethodView):
    """Somebody deals with it."""

    @requires("alerts:write")
    @blueprint.response(200, AlertOut)
    def post(self, alert_id: str) -> Response:
        """Acknowledge an alert. Repeating it changes nothing."""
        return _handle(alert_id, lambda uow: handling.acknowledge(uow, alert_id))


@blueprint.route("/<id:alert_id>/snooze")
class Snooze(MethodView):
    """Not now."""

    @requires("alerts:write")
    @blueprint.arguments(SnoozeIn)
    @blueprint.response(200, AlertOut)
    def post(self, args: dict[str, Any], alert_id: str) -> Response:
        """Let an alert rest until then; afterwards it is open again."""
        return _handle(alert_id, lambda uow: handling.snooze(uow, alert_id, until=args["until"]))


@blueprint.route("/<id:alert_id>/assign")
class Assignment(MethodView):
    """Whose it is."""

    @requires("alerts:write")
    @blueprint.arguments(AlertAssignIn)
    @blueprint.response(200, AlertOut)
    def post(self, args: dict[str, Any], alert_id: str) -> Response:
        """Give an alert to somebody to look at."""
        return _handle(alert_id, lambda uow: handling.assign(uow, alert_id, args["person"]))


@blueprint.route("/<id:alert_id>/reopen")
class Reopening(MethodView):
    """Open again."""

    @requires("alerts:write")
    @blueprint.response(200, AlertOut)
    def post(self, alert_id: str) -> Response:
        """Take an acknowledgement or a snooze back."""
        return _handle(alert_id, lambda uow: handling.reopen(uow, alert_id))


@blueprint.route("/<id:alert_id>/deliveries/<id:delivery_id>/send")
class SendingAgain(MethodView):
    """Sending again."""

    @requires("budgets:write")
    @blueprint.response(200, AlertOut)
    @blueprint.alt_response(202, schema=AlertOut, description="It will be sent.", success=True)
    def post(self, alert_id: str, delivery_id: str) -> Response:
        """Send again what was given up."""
        scope.check_anyone("budgets:write")
        delivery = reads().get(Delivery, delivery_id)
        if delivery is None or delivery.alert_id != alert_id:
            raise NotFound(f"There is no delivery {delivery_id!r} of this alert.")

        def answer(session: Session, subject_id: str) -> Answer:
            row = session.get_one(Delivery, subject_id)
            body = AlertOut().dump(_fields(session, [queries.get_alert(session, row.alert_id)])[0])
            settled = row.state is not DeliveryState.PENDING
            return Answer(body, 200 if settled else 202, {"Location": f"/api/v1/alerts/{row.alert_id}"}, settled)

        return carry_out(lambda uow: service.send_again(uow, delivery_id).id, answer)
