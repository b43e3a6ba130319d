"""`govern findings`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from govern.cli import host, output
from govern.findings import queries, service
from govern.findings.models import Finding, FindingState
from govern.findings.types import TYPES


@click.group()
def findings() -> None:
    """What exists at OpenAI that should not, and what ends it."""


@findings.command("list")
@click.option("--type", "type_", type=click.Choice(list(TYPES)), help="Only findings of this type.")
@click.option("--state", type=click.Choice([state.value for state in FindingState]), help="Only findings in this state.")
@click.option("--limit", type=click.IntRange(1, 5000), default=200, show_default=True)
@host.as_json
def list_findings(type_: str | None, state: str | None, limit: int, as_json: bool) -> None:
    """Findings, newest first; without --state those that wait for somebody."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        asked = FindingState(state) if state else None
        rows = [_row(row) for row in queries.find(session, limit=limit, type_=type_, state=asked)]
    columns = {
        "id": "Finding", "type": "Type", "severity": "Severity", "label": "What", "state": "State",
        "spend_30d_usd": "USD in 30 d", "fix": "Fix",
    }  # fmt: skip
    output.show(rows, columns, as_json=as_json, empty="Nothing waits for anybody.")


@findings.command()
@click.argument("finding_id", metavar="FINDING")
@host.as_json
def show(finding_id: str, as_json: bool) -> None:
    """One finding, and what its fix would do."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        planned = queries.preview(session, finding_id)
        row = _row(planned.finding)
        sentence = (
            f"{TYPES[planned.finding.type].title}: {planned.finding.label}\n{planned.finding.sentence}\nFix: {planned.sentence}"
        )
    output.show_one(row, as_json=as_json, sentence=sentence)


@findings.command()
@click.argument("finding_ids", metavar="FINDING…", nargs=-1, required=True)
@click.option("--reason", required=True, help="Why; it stands in the audit log.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@host.as_json
def fix(finding_ids: tuple[str, ...], reason: str, dry_run: bool, as_json: bool) -> None:
    """Owe what ends each of them. The worker carries it out; a later look says whether it is fixed."""
    with host.opened() as govern:
        if dry_run:
            with govern.unit_of_work.reading() as session:
                planned = {finding_id: queries.preview(session, finding_id) for finding_id in finding_ids}
                rows = [{"id": each, "outcome": plan.sentence} for each, plan in planned.items()]
        else:
            overlap = timedelta(hours=govern.settings.keys.overlap_hours)
            with govern.unit_of_work(host.host_actor()) as uow:
                outcomes = service.fix_many(uow, finding_ids, reason=reason, overlap=overlap)
            rows = [{"id": each, "outcome": problem or "its end is owed"} for each, problem in outcomes.items()]
    output.show(rows, {"id": "Finding", "outcome": "Outcome"}, as_json=as_json, empty="")


@findings.command()
@click.argument("finding_id", metavar="FINDING")
@click.option("--reason", required=True, help="Why it may stay.")
@click.option("--until", required=True, type=click.DateTime(["%Y-%m-%d"]), help="The day on which it is open again.")
@host.as_json
def accept(finding_id: str, reason: str, until: datetime, as_json: bool) -> None:
    """Let it be until a day."""
    with host.opened() as govern, govern.unit_of_work(host.host_actor()) as uow:
        row = _row(service.accept(uow, finding_id, reason=reason, until=until.replace(tzinfo=UTC).date()))
    output.show_one(row, as_json=as_json, sentence=f"{finding_id} may stay until {until:%Y-%m-%d}.")


@findings.command()
@click.argument("finding_id", metavar="FINDING")
@click.argument("person", metavar="ID-OR-EMAIL")
@host.as_json
def assign(finding_id: str, person: str, as_json: bool) -> None:
    """Ask somebody to look at it."""
    with host.opened() as govern, govern.unit_of_work(host.host_actor()) as uow:
        row = _row(service.assign(uow, finding_id, person))
    output.show_one(row, as_json=as_json, sentence=f"{finding_id} is for {person} to look at.")


def _row(row: Finding) -> dict[str, object]:
    return {
        "id": row.id, "type": row.type, "severity": row.severity, "label": row.label, "sentence": row.sentence,
        "state": row.state, "spend_30d_usd": row.spend_30d, "fix": row.fix,
        "since_at": row.since_at, "opened_at": row.opened_at, "owner": row.owner_id, "problem": row.problem,
    }  # fmt: skip
