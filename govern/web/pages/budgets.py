"""Budgets: how each stands, making one, changing one, retiring one."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, cast

from flask import Blueprint, render_template, request, url_for
from werkzeug.wrappers import Response

from govern.budgets import ahead, backtest, drafts, preview, queries, raising, rules, scopes, service
from govern.budgets.models import Budget, Scope
from govern.budgets.standing import of_people, standings
from govern.budgets.windows import LONGEST, MONTHS, Period, Windows
from govern.core.clock import utcnow
from govern.core.errors import InvalidInput
from govern.projects import queries as projects
from govern.usage import queries as usage
from govern.web import scope
from govern.web.access import govern, reads, requires
from govern.web.pages import forms
from govern.web.pages.acting import act
from govern.web.pages.forms import Form
from govern.web.pages.going import see
from govern.web.problems import status_of

if TYPE_CHECKING:
    from govern.budgets.drafts import Changes

blueprint = Blueprint("budgets_page", __name__, url_prefix="/budgets")


@blueprint.get("")
@requires("budgets:read")
def index() -> str:
    """Budgets within reach, and how each stands."""
    retired = request.args.get("retired") == "yes"
    page = forms.paged(visible(after=forms.query_text("after"), limit=forms.PAGE + 1, retired=retired))
    now = utcnow()
    found = standings(reads(), page.items, now)
    likely = ahead.forecasts(reads(), found, now)
    return render_template("budgets/index.html", page=page, standings=found, forecasts=likely, freshness=usage.freshness(reads()))


def visible(*, after: str | None = None, limit: int = 50, retired: bool = False) -> list[Budget]:
    """The budgets that the reader may see: all, or those of the people within reach."""
    within = scope.people_within("budgets:read")
    return list(
        queries.find_budgets(
            reads(), after=after, limit=limit, retired=retired,
            scope=None if within is None else Scope.PERSON, scope_ids=within,
        )
    )  # fmt: skip


@blueprint.get("/new")
@requires("budgets:write")
def new() -> str:
    """The form for a new budget."""
    scope.check_anyone("budgets:write")
    start = {"scope": "organization", "thresholds": "50, 80, 100", "zone": "UTC", "period": "month", "year_starts": "1"}
    return _form(Form(start | {name: value for name in ("scope", "named", "project") if (value := forms.query_text(name))}))


@blueprint.post("")
@requires("budgets:write")
def create() -> Response | str | tuple[str, int]:
    """Make it; or only show who would be over today: by the other button, and first of all where alerts would be sent at once."""
    scope.check_anyone("budgets:write")
    try:
        wanted = _wanted() | _scope()
        found = preview.of_new(reads(), drafts.draft(reads(), **wanted), utcnow())
        if _to_be_shown(found):
            return _form(_typed(), found=found)
        act(lambda uow: service.create_budget(uow, **wanted).id)
    except forms.REFUSALS as error:
        return _form(forms.refused(error)), status_of(error)
    return see(url_for("budgets_page.index"), "The budget is watched from now on.")


@blueprint.get("/<string(maxlength=60):budget_id>")
@requires("budgets:read")
def show(budget_id: str) -> str:
    """One budget: how it stands, its alerts."""
    return _page(_budget(budget_id, "budgets:read"), Form())


def _page(budget: Budget, form: Form) -> str:
    now = utcnow()
    standing = standings(reads(), [budget], now)[0]
    return render_template(
        "budgets/show.html",
        budget=budget,
        form=form,
        people=of_people(reads(), budget, now) if budget.per_person else [],
        once=forms.once(),
        raises=[each for each in queries.raises_of(reads(), [budget.id]).get(budget.id, ()) if each.ends_at > now],
        standing=standing,
        coverage=backtest.coverages(reads(), [budget.id], now)[budget.id],
        forecast=None if budget.retired_at else ahead.forecasts(reads(), [standing], now)[0],
        alerts=queries.find_alerts(reads(), budget_id=budget.id, limit=forms.PAGE),
        freshness=usage.freshness(reads()),
        default_addresses=govern().settings.mail.admins,
    )


@blueprint.get("/<string(maxlength=60):budget_id>/edit")
@requires("budgets:write")
def edit(budget_id: str) -> str:
    """The form that changes it."""
    budget = _budget(budget_id, "budgets:write")
    values = {
        "name": budget.name, "amount_usd": f"{budget.amount_usd.normalize():f}", "zone": budget.zone,
        "thresholds": ", ".join(str(each) for each in budget.thresholds), "notify": ", ".join(budget.notify),
        "thresholds_forecast": ", ".join(str(each) for each in budget.thresholds_forecast or ()),
        "thresholds_usd": ", ".join(budget.thresholds_usd or ()), "period": budget.period.value,
        "year_starts": str(budget.year_starts), "days": str(budget.days or ""),
        "anchor": budget.anchor.isoformat() if budget.anchor else "",
    }  # fmt: skip
    return _form(Form(values), budget=budget)


@blueprint.post("/<string(maxlength=60):budget_id>")
@requires("budgets:write")
def change(budget_id: str) -> Response | str | tuple[str, int]:
    """Change it; or only show who would be over today, as for a new one."""
    budget = _budget(budget_id, "budgets:write")
    try:
        wanted = _wanted()
        found = preview.of_change(reads(), budget_id, cast("Changes", wanted), utcnow())
        if _to_be_shown(found):
            return _form(_typed(), budget=budget, found=found)
        act(lambda uow: service.change_budget(uow, budget_id, **wanted).id)
    except forms.REFUSALS as error:
        return _form(forms.refused(error), budget=budget), status_of(error)
    return see(url_for("budgets_page.show", budget_id=budget_id), "The budget was changed.")


@blueprint.get("/<string(maxlength=60):budget_id>/retire")
@requires("budgets:write")
def ask_retire(budget_id: str) -> str:
    """What retiring means."""
    budget = _budget(budget_id, "budgets:write")
    return render_template("budgets/retire.html", budget=budget, label=scopes.labels(reads(), [budget])[budget.id])


@blueprint.post("/<string(maxlength=60):budget_id>/retire")
@requires("budgets:write")
def retire(budget_id: str) -> Response:
    """Watch it no longer."""
    _budget(budget_id, "budgets:write")
    act(lambda uow: service.retire_budget(uow, budget_id, reason=forms.text("reason") or None).id)
    return see(url_for("budgets_page.index"), "The budget is retired. Its alerts stay readable.")


@blueprint.post("/<string(maxlength=60):budget_id>/raises")
@requires("budgets:write")
def raise_for_a_while(budget_id: str) -> Response | tuple[str, int]:
    """Raise it until the end of a day."""
    budget = _budget(budget_id, "budgets:write")
    try:
        until = forms.day("until")
        if until is None:
            raise InvalidInput("Until when?", {"until": "The last day of the raise."})
        by_usd, reason = _amount("by_usd"), forms.text("reason") or None
        act(lambda uow: raising.raise_budget(uow, budget_id, by_usd=by_usd, until=until, reason=reason).id)
    except forms.REFUSALS as error:
        return _page(budget, forms.refused(error)), status_of(error)
    return see(url_for("budgets_page.show", budget_id=budget_id), "The budget is raised for a while.")


@blueprint.post("/<string(maxlength=60):budget_id>/raises/<string(maxlength=60):raise_id>/end")
@requires("budgets:write")
def end_raise(budget_id: str, raise_id: str) -> Response:
    """End a raise early."""
    _budget(budget_id, "budgets:write")
    act(lambda uow: raising.end_raise(uow, budget_id, raise_id).id)
    return see(url_for("budgets_page.show", budget_id=budget_id), "The raise is over.")


def _budget(budget_id: str, permission: str) -> Budget:
    missing = f"There is no budget {budget_id!r}."
    budget = queries.get(reads(), budget_id)
    scope.check_person(permission, budget.scope_id if budget.scope is Scope.PERSON else None, missing)
    return budget


def _wanted() -> dict[str, Any]:
    percents, amounts = rules.check_thresholds(_whole_numbers(forms.text("thresholds")), _amounts("thresholds_usd"))
    return {
        "name": rules.check_name(forms.text("name")),
        "amount_usd": _amount("amount_usd"),
        "thresholds": percents,
        "thresholds_usd": amounts,
        "thresholds_forecast": rules.check_forecast(_whole_numbers(forms.text("thresholds_forecast"), "thresholds_forecast")),
        "notify": rules.check_addresses([part for part in forms.text("notify", most=4000).replace(",", " ").split() if part]),
    } | _windows()


def _windows() -> dict[str, Any]:
    """What was typed about the windows; the fields of other periods may be filled in too, and say nothing."""
    period = forms.text("period") or "month"
    fiscal, counted = period in (Period.QUARTER, Period.YEAR), period == Period.DAYS
    wanted: Windows = {
        "period": period, "zone": forms.text("zone") or "UTC",
        "year_starts": forms.whole("year_starts", "A month from 1 to 12.") if fiscal and forms.text("year_starts") else None,
        "days": forms.whole("days", f"1 to {LONGEST} days.") if counted else None,
        "anchor": forms.day("anchor") if counted else None,
    }  # fmt: skip
    return asdict(rules.calendar_of(wanted))


def _amount(field: str, text: str | None = None) -> Decimal:
    sentence = "Write dollars such as 1500 or 99.50."
    try:
        return rules.check_amount(Decimal((text or forms.text(field)).replace(",", "").removeprefix("$")), field)
    except InvalidOperation:
        raise InvalidInput(sentence, {field: sentence}) from None


def _amounts(field: str) -> list[Decimal]:
    parts = [part.removesuffix(",") for part in forms.text(field).split()]
    if any("," in part for part in parts):  # "500,750" is two amounts for one reader and a large one for another
        raise InvalidInput("Write a space after each comma, and none in an amount.", {field: "Such as 500, 750."})
    return [_amount(field, part) for part in parts]


def _whole_numbers(text: str, field: str = "thresholds") -> list[int]:
    parts = text.replace("%", " ").replace(",", " ").split()
    if not all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts):
        raise InvalidInput("Thresholds are whole per cents.", {field: "Write them like 50, 80, 100."})
    return [int(part) for part in parts]


def _scope() -> dict[str, Any]:
    wanted = scopes.scope_of(forms.text("scope"))
    if wanted is Scope.ORGANIZATION:
        return {"scope": wanted, "per_person": _per_person(wanted)}  # what stands in the fields of other scopes says nothing
    field = "project" if wanted is Scope.PROJECT else "named"
    try:
        return {
            "scope": wanted, "scope_id": scopes.resolve(reads(), wanted, forms.text(field)), "per_person": _per_person(wanted),
        }  # fmt: skip
    except InvalidInput as error:
        raise InvalidInput(error.sentence, error.fields | {field: error.sentence}) from None


def _per_person(wanted: Scope) -> bool:
    return scopes.check_per_person(wanted, forms.text("per_person") == "yes")


def _to_be_shown(found: preview.Preview) -> bool:
    return "preview" in request.form or (found.alerts > 0 and "confirm" not in request.form)


def _typed() -> Form:
    return Form(request.form.to_dict())


def _form(form: Form, *, budget: Budget | None = None, found: preview.Preview | None = None) -> str:
    return render_template(
        "budgets/edit.html",
        form=form,
        budget=budget,
        label=scopes.labels(reads(), [budget])[budget.id] if budget else None,
        preview=found,
        scopes=[
            (each.value, f"The whole {word}" if each is Scope.ORGANIZATION else f"A {word}")
            for each, word in scopes.WORDS.items()
        ],
        projects=[(project.id, project.name) for project in projects.open_projects(reads())],
        default_addresses=govern().settings.mail.admins,
        months=[(str(number), month) for number, month in enumerate(MONTHS, 1)],
        once=forms.once(),
        freshness=usage.freshness(reads()),
    )
