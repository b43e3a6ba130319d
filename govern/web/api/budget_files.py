"""`/budget-files`: budgets as code, planned and applied."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView

from govern.budgets import declared, plan
from govern.core.clock import utcnow
from govern.core.uow import UnitOfWork
from govern.web import scope
from govern.web.access import reads, requires
from govern.web.api.acting import Answer, carry_out
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.budget_shapes import BudgetFileIn, BudgetPlanOut

blueprint = ApiBlueprint("budget-files", "Budgets that are kept as code.")


@blueprint.route("/plan")
class Planning(MethodView):
    """Budgets as code, looked at."""

    @requires("budgets:write")
    @blueprint.arguments(BudgetFileIn)
    @blueprint.response(200, BudgetPlanOut)
    def post(self, args: dict[str, Any]) -> dict[str, Any]:
        """Say what would have to change for a file of budgets to hold. Nothing is changed."""
        scope.check_anyone("budgets:write")
        return _plan(plan.plan(reads(), declared.read(args), utcnow()))


@blueprint.route("/apply")
class Applying(MethodView):
    """Budgets as code, made so."""

    @requires("budgets:write")
    @blueprint.arguments(BudgetFileIn)
    @blueprint.response(200, BudgetPlanOut)
    def post(self, args: dict[str, Any]) -> Response:
        """Make the budgets that are kept as code what the file says, all or nothing. Repeating it changes nothing."""
        scope.check_anyone("budgets:write")
        wanted, done = declared.read(args), []

        def command(uow: UnitOfWork) -> str:
            done.append(BudgetPlanOut().dump(_plan(plan.apply(uow, wanted))))
            return "budgets"

        return carry_out(command, lambda _session, _subject: Answer(done[-1], 200))


def _plan(found: plan.Plan) -> dict[str, Any]:
    steps = [
        {
            "kind": step.kind, "slug": step.slug, "of": step.label, "budget": step.budget.id if step.budget else None,
            "differences": [{"field": f, "before": before, "after": after} for f, before, after in step.differences],
            "alerts": step.preview.alerts if step.preview else 0, "words": step.words,
        }
        for step in found.steps
    ]  # fmt: skip
    return {"steps": steps, "unchanged": found.unchanged, "sentence": found.sentence}
