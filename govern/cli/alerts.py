"""`govern alerts`."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from govern.budgets import handling, queries
from govern.budgets.models import Alert, AlertState
from govern.cli import host, output
from govern.core.clock import utcnow


@click.group(invoke_without_command=True)
@click.pass_context
def alerts(context: click.Context) -> None:
    """Thresholds that were reached, and what is decided about them. Without a command: the list."""
    if context.invoked_subcommand is None:
        context.invoke(list_alerts)


@alerts.command("list")
@click.option("--state", type=click.Choice([each.value for each in AlertState]), help="Only alerts in this state.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@host.as_json
def list_alerts(limit: int = 50, state: str | None = None, as_json: bool = False) -> None:
    """Thresholds that were reached, newest first, and who was told."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        found = queries.find_alerts(session, limit=limit, state=AlertState(state) if state else None)
        sent = queries.deliveries(session, [alert.id for alert in found])
        now = utcnow()
        rows = [
            {
                "id": alert.id, "budget_id": alert.budget_id, "label": alert.label, "window": alert.window,
                "threshold": alert.reached.percent or None, "threshold_usd": alert.reached.usd or None,
                "reached": alert.reached.words, "limit_usd": alert.limit_usd, "spent_usd": alert.spent_usd,
                "raised_at": alert.raised_at, "withdrawn_at": alert.withdrawn_at,
                "state": alert.state(now), "snoozed_until": alert.snoozed_until, "assigned_to": alert.assigned_to,
                "told": [f"{delivery.address} ({delivery.state.value})" for delivery in sent[alert.id]],
            }
            for alert in found
        ]  # fmt: skip
    columns = {
        "raised_at": "At (UTC)", "label": "Of", "window": "Window", "reached": "Reached", "spent_usd": "Used",
        "limit_usd": "Of USD", "state": "State", "told": "Told", "id": "Id",
    }  # fmt: skip
    output.show(rows, columns, as_json=as_json, empty="No threshold was reached yet.")


@alerts.command()
@click.argument("alert_id", metavar="ALERT")
@host.as_json
def acknowledge(alert_id: str, as_json: bool) -> None:
    """Say that you have seen it and deal with it."""
    with host.opened() as govern, govern.unit_of_work(host.host_actor()) as uow:
        row = handling.acknowledge(uow, alert_id)
    _tell(row, "is acknowledged.", as_json=as_json)


@alerts.command()
@click.argument("alert_id", metavar="ALERT")
@click.option(
    "--until", required=True, type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]), help="A day or a time in UTC, within 90 days."
)
@host.as_json
def snooze(alert_id: str, until: datetime, as_json: bool) -> None:
    """Let it rest until then; it is open again afterwards."""
    with host.opened() as govern, govern.unit_of_work(host.host_actor()) as uow:
        row = handling.snooze(uow, alert_id, until=until.replace(tzinfo=UTC))
    _tell(row, f"rests until {until:%Y-%m-%d %H:%M} UTC.", as_json=as_json)


@alerts.command()
@click.argument("alert_id", metavar="ALERT")
@click.argument("person", metavar="ID-OR-EMAIL")
@host.as_json
def assign(alert_id: str, person: str, as_json: bool) -> None:
    """Give it to somebody to look at."""
    with host.opened() as govern, govern.unit_of_work(host.host_actor()) as uow:
        row = handling.assign(uow, alert_id, person)
    _tell(row, f"is for {person}.", as_json=as_json)


@alerts.command()
@click.argument("alert_id", metavar="ALERT")
@host.as_json
def reopen(alert_id: str, as_json: bool) -> None:
    """Take an acknowledgement or a snooze back."""
    with host.opened() as govern, govern.unit_of_work(host.host_actor()) as uow:
        row = handling.reopen(uow, alert_id)
    _tell(row, "is open again.", as_json=as_json)


def _tell(row: Alert, what: str, *, as_json: bool) -> None:
    facts = {"id": row.id, "state": row.state(utcnow()), "snoozed_until": row.snoozed_until, "assigned_to": row.assigned_to}
    output.show_one(facts, as_json=as_json, sentence=f"{row.id} {what}")
