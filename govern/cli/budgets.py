"""`govern budgets`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, cast

import click

from govern.budgets import ahead, backtest, drafts, preview, queries, raising, service
from govern.budgets.models import Budget, Scope
from govern.budgets.standing import of_people, standings
from govern.budgets.windows import LONGEST, Period
from govern.cli import host, output
from govern.cli.alerts import list_alerts
from govern.cli.budget_files import apply_file, plan_file
from govern.core.clock import utcnow
from govern.core.errors import Conflict, InvalidInput
from govern.notices.models import DeliveryState


@click.group(invoke_without_command=True)
@click.pass_context
def budgets(context: click.Context) -> None:
    """List, create and retire budgets; see alerts. Without a command: the list."""
    if context.invoked_subcommand is None:
        context.invoke(list_budgets)


@budgets.command("list")
@click.option("--retired", is_flag=True, help="Also those that are not watched any more.")
@host.as_json
def list_budgets(retired: bool = False, as_json: bool = False) -> None:
    """Budgets, and how each stands in its window of now."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        found = queries.find_budgets(session, limit=1000, retired=retired)
        rows = [
            {
                "id": standing.budget.id, "name": standing.budget.name, "scope": standing.budget.scope, "label": standing.label,
                "amount_usd": standing.budget.amount_usd, "limit_usd": standing.limit.usd, "spent_usd": standing.spent.amount,
                "billed_usd": standing.spent.billed, "estimated_usd": standing.spent.estimated, "percent": standing.percent,
                "thresholds": standing.budget.thresholds,
                "thresholds_usd": standing.budget.thresholds_usd or [],
                "thresholds_forecast": standing.budget.thresholds_forecast or [],
                "at": [mark.words for mark in (*standing.budget.marks, *standing.budget.forecast_marks)],
                "zone": standing.budget.zone,
                "period": standing.budget.period, "per": standing.budget.calendar.words, "window": standing.window.key,
                "retired_at": standing.budget.retired_at,
            }
            for standing in standings(session, found, utcnow())
        ]  # fmt: skip
    columns = {
        "name": "Budget", "label": "Of", "limit_usd": "USD", "per": "For", "window": "Window", "spent_usd": "Used",
        "percent": "%", "at": "Alerts at", "id": "Id",
    }  # fmt: skip
    output.show(rows, columns, as_json=as_json, empty="There are no budgets yet. Make one with `govern budgets create`.")


budgets.add_command(plan_file)
budgets.add_command(apply_file)
budgets.add_command(list_alerts, "alerts")


def _terms(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say what a budget is like, but whose spend it watches."""
    options = (
        click.option(
            "--at", "thresholds", multiple=True, type=click.IntRange(1, 1000), help="Alert at this percentage. Repeatable."
        ),
        click.option("--at-usd", "thresholds_usd", multiple=True, metavar="DOLLARS", help="Alert at this amount. Repeatable."),
        click.option(
            "--at-forecast",
            "thresholds_forecast",
            multiple=True,
            type=click.IntRange(1, 1000),
            help="Alert when the forecast reaches this percentage. Repeatable.",
        ),
        click.option("--notify", multiple=True, metavar="EMAIL", help="Whom to tell (mail.admins). Repeatable."),
        click.option("--zone", help="Time zone of the window (UTC)."),
        click.option("--period", type=click.Choice([each.value for each in Period]), help="How long a window is (month)."),
        click.option("--year-starts", type=click.IntRange(1, 12), help="Quarters and years: the fiscal year's first month."),
        click.option("--days", type=click.IntRange(1, LONGEST), help='How many; for the period "days".'),
        click.option(
            "--anchor", type=click.DateTime(["%Y-%m-%d"]), help='The first day of such a window; for the period "days".'
        ),
        click.option("--dry-run", is_flag=True, help="Only say who would be over today."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _said(typed: dict[str, Any]) -> dict[str, Any]:
    """What was said by these options, as commands take it."""
    said = {name: value for name, value in typed.items() if value not in (None, ())}
    if "thresholds_usd" in said:
        said["thresholds_usd"] = [_dollars(each) for each in said["thresholds_usd"]]
    if "anchor" in said:
        said["anchor"] = said["anchor"].date()
    return said


@budgets.command()
@click.argument("name")
@click.option("--usd", required=True, help="Dollars per window.")
@click.option("--project", metavar="ID-OR-NAME", help="Watch this project. Without this and the next: everything.")
@click.option("--person", metavar="ID-OR-EMAIL", help="Watch this person.")
@click.option("--team", help="Watch who stands in this team, for each day that they do.")
@click.option("--cost-centre", help="Watch this cost centre.")
@click.option("--key", metavar="ID", help="Watch this key, ours or another that OpenAI lists.")
@click.option("--model", help="Watch this model.")
@click.option("--each", "per_person", is_flag=True, help="Each person of the team, cost centre or organization by themselves.")
@_terms
@host.as_json
def create(name: str, *, usd: str, per_person: bool, dry_run: bool, as_json: bool, **typed: Any) -> None:
    """Watch what is spent in a window."""
    whose = {word: text for word in Scope if (text := typed.pop(word.value, None))}
    if len(whose) > 1:
        raise InvalidInput("A budget watches one thing: a project, a person, a team, a cost centre, a key or a model.")
    scope, scope_id = next(iter(whose.items()), (Scope.ORGANIZATION, None))
    wanted: dict[str, Any] = {
        "name": name,
        "scope": scope,
        "scope_id": scope_id,
        "per_person": per_person,
        "amount_usd": _dollars(usd),
    }
    wanted |= ({"thresholds": ()} if typed["thresholds_usd"] else {}) | _said(typed)
    with host.opened() as govern:
        if dry_run:
            with govern.unit_of_work.reading() as session:
                _tell(preview.of_new(session, drafts.draft(session, **wanted), utcnow()), as_json=as_json)
            return
        with govern.unit_of_work(host.host_actor()) as uow:
            budget = service.create_budget(uow, **wanted)
    output.show_one(_row(budget), as_json=as_json, sentence=f"{budget.id}: {budget.name} is watched.")


@budgets.command()
@click.argument("budget_id", metavar="BUDGET")
@click.option("--name")
@click.option("--usd", help="Dollars per window.")
@_terms
@host.as_json
def change(budget_id: str, *, name: str | None, usd: str | None, dry_run: bool, as_json: bool, **typed: Any) -> None:
    """Change what is given of a budget. Windows that are over keep what they ended with."""
    said = {"name": name, "amount_usd": _dollars(usd) if usd else None} | _said(typed)
    changes = cast("drafts.Changes", said)
    with host.opened() as govern:
        if dry_run:
            with govern.unit_of_work.reading() as session:
                _tell(preview.of_change(session, budget_id, changes, utcnow()), as_json=as_json)
            return
        with govern.unit_of_work(host.host_actor()) as uow:
            budget = service.change_budget(uow, budget_id, **changes)
    output.show_one(_row(budget), as_json=as_json, sentence=f"{budget.id}: {budget.name} is changed.")


def _row(budget: Budget) -> dict[str, Any]:
    return {
        "id": budget.id, "name": budget.name, "scope": budget.scope, "scope_id": budget.scope_id,
        "amount_usd": budget.amount_usd, "period": budget.period,
    }  # fmt: skip


def _tell(found: preview.Preview, *, as_json: bool) -> None:
    affected = [f"{each.standing.label} ({each.standing.percent} %)" for each in found.affected]
    row = {"over": found.over, "before": found.before, "alerts": found.alerts, "affected": affected}
    names = f" {', '.join(affected)}." if affected else ""
    output.show_one(row, as_json=as_json, sentence=f"{found.sentence}{names} Nothing is saved.")


@budgets.command("forecast")
@click.argument("budget_id", metavar="BUDGET")
@host.as_json
def show_forecast(budget_id: str, as_json: bool) -> None:
    """Where its window of now will end, with the band in which it ends four times out of five."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        now = utcnow()
        standing = standings(session, [queries.get(session, budget_id)], now)[0]
        likely = ahead.forecasts(session, [standing], now)[0]
        tested = backtest.coverages(session, [budget_id], now)[budget_id]
    row = {
        "id": budget_id, "window": standing.window.key, "limit_usd": standing.limit.usd, "spent_usd": standing.spent.amount,
        "low_usd": likely.low, "likely_usd": likely.likely, "high_usd": likely.high, "why": likely.why or None,
        "tested": tested.tested, "held_percent": tested.percent,
    }  # fmt: skip
    output.show_one(row, as_json=as_json, sentence=f"{standing.window.name}: {likely.sentence} {tested.sentence}")


@budgets.command("people")
@click.argument("budget_id", metavar="BUDGET")
@host.as_json
def list_people(budget_id: str, as_json: bool) -> None:
    """How a budget for each person stands for those who spent something, who spent most first."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        budget = queries.get(session, budget_id)
        rows = [
            {
                "person": standing.person_id, "name": standing.label, "limit_usd": standing.limit.usd,
                "spent_usd": standing.spent.amount, "percent": standing.percent,
            }
            for standing in (of_people(session, budget, utcnow()) if budget.per_person else [])
        ]  # fmt: skip
    columns = {"name": "Person", "spent_usd": "Used", "limit_usd": "Of USD", "percent": "%"}
    output.show(rows, columns, as_json=as_json, empty="Nobody for whom it holds has spent anything in this window.")


@budgets.command("raise")
@click.argument("budget_id", metavar="BUDGET")
@click.option("--by", "by_usd", required=True, metavar="DOLLARS", help="So much more for each window. Raises add up.")
@click.option("--until", required=True, type=click.DateTime(["%Y-%m-%d"]), help="The last day of it, in the budget's zone.")
@click.option("--reason", help="Why; it stands in the audit log.")
def raise_for_a_while(budget_id: str, by_usd: str, until: datetime, reason: str | None) -> None:
    """Raise a budget for a while, from now on."""
    with host.opened() as govern, govern.unit_of_work(host.host_actor()) as uow:
        row = raising.raise_budget(uow, budget_id, by_usd=_dollars(by_usd), until=until.date(), reason=reason)
    click.echo(f"{row.id}: {budget_id} is raised until the end of {until:%Y-%m-%d}.")


@budgets.command("end-raise")
@click.argument("budget_id", metavar="BUDGET")
@click.argument("raise_id", metavar="RAISE")
def end_raise(budget_id: str, raise_id: str) -> None:
    """End a raise before its day."""
    with host.opened() as govern, govern.unit_of_work(host.host_actor()) as uow:
        raising.end_raise(uow, budget_id, raise_id)
    click.echo(f"{raise_id} is over.")


@budgets.command()
@click.argument("budget_id", metavar="BUDGET")
@click.option("--reason", help="Why; it stands in the audit log.")
def retire(budget_id: str, reason: str | None) -> None:
    """Watch it no longer. It and its alerts stay readable."""
    with host.opened() as govern, govern.unit_of_work(host.host_actor()) as uow:
        service.retire_budget(uow, budget_id, reason=reason)
    click.echo(f"{budget_id} is not watched any more.")


@budgets.command("send-again")
@click.argument("alert_id", metavar="ALERT-ID")
@host.as_json
def send_again(alert_id: str, as_json: bool) -> None:
    """Send again what was given up of an alert, to each address that did not get it."""
    with host.opened() as govern, govern.unit_of_work(host.host_actor()) as uow:
        sent = queries.deliveries(uow.session, [queries.get_alert(uow.session, alert_id).id])[alert_id]
        owed = [service.send_again(uow, each.id).address for each in sent if each.state is DeliveryState.FAILED]
    if not owed:
        raise Conflict("Nothing that was sent about this alert was given up.")
    output.show_one({"id": alert_id, "to": owed}, as_json=as_json, sentence=f"The worker sends it to {', '.join(owed)} again.")


def _dollars(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise InvalidInput(f"{text!r} is not an amount of dollars. Write it like 250 or 99.50.") from None
