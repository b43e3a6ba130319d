"""`/budgets`: limits for the organization, a project, a person, a team, a cost centre, a key or a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import marshmallow as ma
from flask import Response
from flask.views import MethodView
from sqlalchemy.orm import Session

from govern.budgets import queries, raising, service
from govern.budgets.models import Budget, Scope
from govern.budgets.windows import Period
from govern.core.clock import utcnow
from govern.core.errors import InvalidInput, NotFound
from govern.core.uow import UnitOfWork
from govern.web import scope
from govern.web.access import current_actor, govern, reads, release_reads, requires
from govern.web.api import paging
from govern.web.api.acting import Answer, carry_out
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.shapes import (
    MONEY_IN,
    PageQuery,
    Schema,
    Text,
    Usd,
    instant,
    maybe_instant,
    maybe_text,
    page_of,
    with_more,
)

blueprint = ApiBlueprint("budgets", "Limits per window of time.")

_THRESHOLDS = ma.fields.Integer(strict=True, validate=ma.validate.Range(1, 1000))


class BudgetChange(Schema):
    """What to change; the rest stays."""

    name = Text(1, 200)
    amount_usd = Usd(metadata=MONEY_IN | {"description": "For each window."})
    thresholds = ma.fields.List(_THRESHOLDS, validate=ma.validate.Length(max=20), metadata={"description": "Whole per cent."})
    thresholds_usd = ma.fields.List(
        Usd(metadata=MONEY_IN), validate=ma.validate.Length(max=20),
        metadata={"description": "US dollars. There is at least one threshold of either kind."},
    )  # fmt: skip
    notify = ma.fields.List(Text(3, 320), validate=ma.validate.Length(max=50), metadata={"description": "Addresses."})
    zone = Text(1, 64, metadata={"description": "The time zone whose days count.", "example": "Europe/Berlin"})
    period = ma.fields.Enum(Period, by_value=True, metadata={"description": "How long a window is; weeks begin on Monday."})
    year_starts = ma.fields.Integer(
        strict=True, validate=ma.validate.Range(1, 12),
        metadata={"description": "Quarters and years: the first month of the fiscal year."},
    )  # fmt: skip
    days = ma.fields.Integer(
        strict=True, validate=ma.validate.Range(1, 366), metadata={"description": 'How many; only of the period "days".'}
    )
    anchor = ma.fields.Date(metadata={"description": 'The first day of one of the windows; only of the period "days".'})


class BudgetIn(BudgetChange):
    """A limit per window: a month in UTC, unless something else is said."""

    name = Text(1, 200, required=True)
    scope = ma.fields.Enum(Scope, by_value=True, required=True)
    scope_id = Text(
        1, 320,
        metadata={"description": "Of a project or a key the id, of a person the id or address, else the name."},
    )  # fmt: skip
    amount_usd = Usd(required=True, metadata=MONEY_IN | {"description": "For each window."})


class RaiseIn(Schema):
    """More for a while, from now on."""

    by_usd = Usd(required=True, metadata=MONEY_IN | {"description": "On top of the amount, for each window; raises add up."})
    until = ma.fields.Date(required=True, metadata={"description": "The last day of it, in the budget's zone."})
    reason = Text(1, 500)


class RaiseOut(Schema):
    """A raise."""

    id = ma.fields.String(required=True)
    by_usd = Usd(required=True)
    starts_at = instant(required=True)
    ends_at = instant(required=True)
    reason = maybe_text()


class BudgetOut(Schema):
    """A budget, and how it stands in its window of now."""

    id = ma.fields.String(required=True)
    name = ma.fields.String(required=True)
    scope = ma.fields.Enum(Scope, by_value=True, required=True)
    scope_id = ma.fields.String(required=True)
    scope_name = ma.fields.String(required=True)
    amount_usd = Usd(required=True)
    thresholds = ma.fields.List(ma.fields.Integer(), required=True)
    thresholds_usd = ma.fields.List(Usd(), required=True)
    notify = ma.fields.List(ma.fields.String(), required=True)
    zone = ma.fields.String(required=True)
    period = ma.fields.Enum(Period, by_value=True, required=True)
    year_starts = ma.fields.Integer(required=True)
    days = ma.fields.Integer(allow_none=True)
    anchor = ma.fields.Date(allow_none=True)
    created_at = instant(required=True)
    retired_at = maybe_instant()
    window = ma.fields.String(
        required=True,
        metadata={
            "description": "The window of now: `2026-03-10` a day, `2026-W11` a week, `2026-03` a month, "
            "`2026-01/2026-03` more of them, `2026-03-10/14d` other days.",
            "example": "2026-03",
        },
    )
    window_starts_at = instant(required=True)
    window_ends_at = instant(required=True)
    spent_usd = Usd(required=True)
    billed_usd = Usd(required=True)
    estimated_usd = Usd(required=True)
    percent = ma.fields.Integer(required=True)
    limit_usd = Usd(required=True, metadata={"description": "The amount with the raises of now; `percent` is of this."})
    raises = ma.fields.List(ma.fields.Nested(RaiseOut), required=True, metadata={"description": "Those that hold now."})


class BudgetsQuery(PageQuery):
    """What to list."""

    scope = ma.fields.Enum(Scope, by_value=True)
    retired = ma.fields.Boolean(load_default=False, metadata={"description": "Also retired ones."})


class RetireIn(Schema):
    """Why."""

    reason = Text(1, 500)


def visible_scopes(permission: str) -> list[str] | None:
    """The ids of the people and projects whose budgets the asker may see; None: all budgets."""
    people_ids, project_ids = scope.people_within(permission), scope.projects_within(permission)
    return None if people_ids is None or project_ids is None else [*people_ids, *sorted(project_ids)]


def _fields(session: Session, rows: Sequence[Budget]) -> list[dict[str, Any]]:
    now, raised = utcnow(), queries.raises_of(session, [row.id for row in rows])
    return [
        with_more(
            BudgetOut, standing.budget, scope_name=standing.label, percent=standing.percent, window=standing.window.key,
            window_starts_at=standing.window.start, window_ends_at=standing.window.end,
            spent_usd=standing.spent.amount, billed_usd=standing.spent.billed, estimated_usd=standing.spent.estimated,
            limit_usd=standing.limit.usd, thresholds_usd=[mark.usd for mark in standing.budget.marks if mark.usd],
            raises=[each for each in raised.get(standing.budget.id, ()) if each.starts_at <= now < each.ends_at],
        )
        for standing in queries.standings(session, rows, now)
    ]  # fmt: skip


def _answer(status: int) -> Any:
    def answer(session: Session, budget_id: str) -> Answer:
        body = BudgetOut().dump(_fields(session, [queries.get(session, budget_id)])[0])
        return Answer(body, status, {"Location": f"/api/v1/budgets/{budget_id}"} if status == 201 else {})

    return answer


@blueprint.route("")
class Budgets(MethodView):
    """Budgets."""

    @requires("budgets:read")
    @blueprint.arguments(BudgetsQuery, location="query")
    @blueprint.response(200, page_of(BudgetOut))
    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """List budgets, newest first."""
        rows = queries.find_budgets(
            reads(), after=paging.after_id(args.get("cursor")), limit=args["limit"] + 1, scope=args.get("scope"),
            scope_ids=visible_scopes("budgets:read"), retired=args["retired"],
        )  # fmt: skip
        items, following = paging.page(rows, args["limit"], lambda row: row.id)
        return {"items": _fields(reads(), items), "next": following}

    @requires("budgets:write")
    @blueprint.arguments(BudgetIn)
    @blueprint.response(201, BudgetOut)
    def post(self, args: dict[str, Any]) -> Response:
        """Watch a scope's spend per window."""
        scope.check_anyone("budgets:write")

        def command(uow: UnitOfWork) -> str:
            return service.create_budget(uow, **args).id

        return carry_out(command, _answer(201))


@blueprint.route("/<id:budget_id>")
class OneBudget(MethodView):
    """One budget."""

    @requires("budgets:read")
    @blueprint.response(200, BudgetOut)
    def get(self, budget_id: str) -> dict[str, Any]:
        """Show a budget."""
        row = queries.get(reads(), budget_id)
        within = visible_scopes("budgets:read")
        if not queries.within(row, within):
            raise NotFound(f"There is no budget {budget_id!r}.")
        return _fields(reads(), [row])[0]

    @requires("budgets:write")
    @blueprint.arguments(BudgetChange)
    @blueprint.response(200, BudgetOut)
    def patch(self, args: dict[str, Any], budget_id: str) -> dict[str, Any]:
        """Change a budget. A new amount lets its thresholds alert again in this window."""
        scope.check_anyone("budgets:write")
        if not args:
            raise InvalidInput("Nothing to change was named.", {"name": "Name at least one field."})
        release_reads()
        with govern().unit_of_work(current_actor()) as uow:
            service.change_budget(uow, budget_id, **args)
        return _fields(reads(), [queries.get(reads(), budget_id)])[0]


@blueprint.route("/<id:budget_id>/retire")
class Retirement(MethodView):
    """The end."""

    @requires("budgets:write")
    @blueprint.arguments(RetireIn)
    @blueprint.response(200, BudgetOut)
    def post(self, args: dict[str, Any], budget_id: str) -> Response:
        """Watch no longer. The budget and its alerts stay readable."""
        scope.check_anyone("budgets:write")
        return carry_out(lambda uow: service.retire_budget(uow, budget_id, reason=args.get("reason")).id, _answer(200))


@blueprint.route("/<id:budget_id>/raises")
class Raises(MethodView):
    """Raises for a while."""

    @requires("budgets:write")
    @blueprint.arguments(RaiseIn)
    @blueprint.response(201, BudgetOut)
    def post(self, args: dict[str, Any], budget_id: str) -> Response:
        """Raise a budget from now until the end of a day. The higher limit has its own thresholds to reach."""
        scope.check_anyone("budgets:write")
        return carry_out(lambda uow: raising.raise_budget(uow, budget_id, **args).budget_id, _answer(201))


@blueprint.route("/<id:budget_id>/raises/<id:raise_id>/end")
class RaiseEnd(MethodView):
    """The end of a raise."""

    @requires("budgets:write")
    @blueprint.response(200, BudgetOut)
    def post(self, budget_id: str, raise_id: str) -> Response:
        """End a raise early. One that is over stays as it is."""
        scope.check_anyone("budgets:write")
        return carry_out(lambda uow: raising.end_raise(uow, budget_id, raise_id).budget_id, _answer(200))
