"""`/budgets`: limits for the organization, a project, a person, a team, a cost centre, a key or a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from flask import Response, jsonify
from flask.views import MethodView
from sqlalchemy.orm import Session

from govern.budgets import ahead, backtest, drafts, preview, queries, raising, service
from govern.budgets.models import Budget
from govern.budgets.standing import Standing, of_people, standings
from govern.core.clock import utcnow
from govern.core.errors import InvalidInput, NotFound
from govern.core.uow import UnitOfWork
from govern.web import scope
from govern.web.access import current_actor, govern, reads, release_reads, requires
from govern.web.api import paging
from govern.web.api.acting import Answer, carry_out
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.budget_shapes import (
    BudgetChange,
    BudgetIn,
    BudgetOut,
    BudgetsQuery,
    RaiseIn,
    RetireIn,
    SpenderOut,
)
from govern.web.api.shapes import PageQuery, page_of, with_more

if TYPE_CHECKING:
    from govern.budgets.drafts import Changes

blueprint = ApiBlueprint("budgets", "Limits per window of time.")


def visible_scopes(permission: str) -> list[str] | None:
    """The ids of the people and projects whose budgets the asker may see; None: all budgets."""
    people_ids, project_ids = scope.people_within(permission), scope.projects_within(permission)
    return None if people_ids is None or project_ids is None else [*people_ids, *sorted(project_ids)]


def visible(budget_id: str) -> Budget:
    """The budget. Raises NotFound where the asker may not see it."""
    row = queries.get(reads(), budget_id)
    if not queries.within(row, visible_scopes("budgets:read")):
        raise NotFound(f"There is no budget {budget_id!r}.")
    return row


def _dry_run(found: preview.Preview) -> Response:
    return jsonify(BudgetOut().dump(_fields(reads(), [found.budget], found)[0]))


def _preview(found: preview.Preview) -> dict[str, Any]:
    affected = [
        {
            "person": each.standing.person_id or None, "name": each.standing.label, "spent_usd": each.standing.spent.amount,
            "percent": each.standing.percent, "reached": [mark.words for mark in each.crossed],
        }
        for each in found.affected
    ]  # fmt: skip
    return {
        "sentence": found.sentence, "over": found.over, "before": found.before, "alerts": found.alerts, "affected": affected,
    }  # fmt: skip


def _fields(session: Session, rows: Sequence[Budget], found: preview.Preview | None = None) -> list[dict[str, Any]]:
    now = utcnow()
    stand = standings(session, rows, now)
    tested = backtest.coverages(session, [row.id for row in rows], now)
    raised = queries.raises_of(session, [row.id for row in rows])
    return [
        with_more(
            BudgetOut, standing.budget, preview=_preview(found) if found else None, scope_name=standing.label,
            percent=standing.percent, window=standing.window.key,
            window_starts_at=standing.window.start, window_ends_at=standing.window.end,
            spent_usd=standing.spent.amount, billed_usd=standing.spent.billed, estimated_usd=standing.spent.estimated,
            limit_usd=standing.limit.usd, thresholds_usd=[mark.usd for mark in standing.budget.marks if mark.usd],
            thresholds_forecast=standing.budget.thresholds_forecast or [],
            raises=[each for each in raised.get(standing.budget.id, ()) if each.starts_at <= now < each.ends_at],
            forecast=None if standing.budget.retired_at else {
                "low_usd": likely.low, "likely_usd": likely.likely, "high_usd": likely.high, "why": likely.why or None,
                "tested": tested[standing.budget.id].tested, "held_percent": tested[standing.budget.id].percent,
            },
        )
        for standing, likely in zip(stand, ahead.forecasts(session, stand, now), strict=True)
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
    @blueprint.alt_response(200, schema=BudgetOut, description="A dry run: what it would mean.", success=True)
    def post(self, args: dict[str, Any]) -> Response:
        """Watch a scope's spend per window. A dry run says who would be over today."""
        scope.check_anyone("budgets:write")
        if args.pop("dry_run", False):
            return _dry_run(preview.of_new(reads(), drafts.draft(reads(), **args), utcnow()))

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
        return _fields(reads(), [visible(budget_id)])[0]

    @requires("budgets:write")
    @blueprint.arguments(BudgetChange)
    @blueprint.response(200, BudgetOut)
    def patch(self, args: dict[str, Any], budget_id: str) -> dict[str, Any]:
        """Change a budget. A new amount lets its thresholds alert again in this window. A dry run says who would be over."""
        scope.check_anyone("budgets:write")
        dry_run = args.pop("dry_run", False)
        if not args:
            raise InvalidInput("Nothing to change was named.", {"name": "Name at least one field."})
        if dry_run:
            found = preview.of_change(reads(), budget_id, cast("Changes", args), utcnow())
            return _fields(reads(), [found.budget], found)[0]
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


@blueprint.route("/<id:budget_id>/people")
class People(MethodView):
    """For whom a budget for each person holds."""

    @requires("budgets:read")
    @blueprint.arguments(PageQuery, location="query")
    @blueprint.response(200, page_of(SpenderOut))
    def get(self, args: dict[str, Any], budget_id: str) -> dict[str, Any]:
        """List those who spent something in the window of now, by their ids. Of other budgets the list is empty."""
        row, after = visible(budget_id), paging.after_id(args.get("cursor")) or ""
        found = of_people(reads(), row, utcnow()) if row.per_person else []
        rest = sorted((each for each in found if each.person_id > after), key=lambda each: each.person_id)
        items, following = paging.page(rest, args["limit"], lambda each: each.person_id)
        return {"items": [_person(each) for each in items], "next": following}


def _person(standing: Standing) -> dict[str, Any]:
    spent = standing.spent
    return {
        "person": standing.person_id, "name": standing.label, "limit_usd": standing.limit.usd, "spent_usd": spent.amount,
        "billed_usd": spent.billed, "estimated_usd": spent.estimated, "percent": standing.percent,
    }  # fmt: skip
