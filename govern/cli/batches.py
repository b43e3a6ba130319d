"""`govern members revoke-many` and `invite-many`, and `govern batches`: many people at once."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from sqlalchemy.orm import Session

from govern.batches import queries, rules, service
from govern.batches.models import Batch, BatchKind, RowState
from govern.batches.plan import limits, plan
from govern.batches.rules import Line
from govern.cli import host, output
from govern.cli.waiting import carried_out
from govern.core import csv_reading
from govern.core.clock import utcnow

FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
DRY_RUN = click.option("--dry-run", is_flag=True, help="Only say what would become of each.")
_ROWS = {"line": "Line", "who": "Who", "outcome": "Outcome", "progress": "Now", "evidence": "Evidence", "sentence": "Remark"}


@click.group()
def batches() -> None:
    """Lists of people that were removed or invited together."""


@batches.command("list")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@host.as_json
def list_batches(limit: int, as_json: bool) -> None:
    """The lists that were sent, newest first."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        rows = [_batch(session, batch) for batch in queries.find(session, limit=limit)]
    columns = {"id": "Id", "kind": "Kind", "counts": "Outcomes", "created_at": "Begun (UTC)", "finished_at": "Finished (UTC)"}
    output.show(rows, columns, as_json=as_json, empty="No list was sent yet.")


@batches.command()
@click.argument("batch_id", metavar="BATCH")
@click.option("--csv", "as_csv", is_flag=True, help="The outcome of each person as a CSV file.")
@host.as_json
def show(batch_id: str, as_csv: bool, as_json: bool) -> None:
    """What became of each person of a list."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        batch = queries.get(session, batch_id)
        if as_csv:
            sys.stdout.writelines(queries.as_csv(session, batch))
            return
        _show_rows(session, batch, as_json=as_json)


@click.command("revoke-many")
@FILE
@click.option("--reason", default="", help="Why; it stands in the audit log and in each evidence. Needed unless --dry-run.")
@DRY_RUN
@host.as_json
def revoke_many(file: Path, reason: str, dry_run: bool, as_json: bool) -> None:
    """Remove the people of FILE (CSV, or an address on each line; - reads standard input). Safe to repeat."""
    _many(BatchKind.REMOVE, file, reason, dry_run=dry_run, as_json=as_json)


@click.command("invite-many")
@FILE
@DRY_RUN
@host.as_json
def invite_many(file: Path, dry_run: bool, as_json: bool) -> None:
    """Invite the people of FILE (CSV with email, role, projects; - reads standard input). Safe to repeat."""
    _many(BatchKind.INVITE, file, "", dry_run=dry_run, as_json=as_json)


def _many(kind: BatchKind, file: Path, reason: str, *, dry_run: bool, as_json: bool) -> None:
    lines = _read(kind, file)
    with host.opened() as govern:
        allowed = limits(govern.settings, kind)
        if dry_run:
            with govern.unit_of_work.reading() as session:
                found = plan(session, kind, lines, host.host_actor(), now=utcnow(), limits=allowed)
            rows: list[dict[str, object]] = [
                {
                    "line": each.line.line, "who": each.line.who, "outcome": each.state, "needs_approval": each.needs_yes,
                    "keys": each.keys, "personal_keys": each.personal_keys, "memberships": each.memberships,
                    "sentence": each.sentence,
                }
                for each in found
            ]  # fmt: skip
            columns = {
                "line": "Line",
                "who": "Who",
                "outcome": "Outcome",
                "needs_approval": "Needs approval",
                "sentence": "Remark",
            }
            output.show(rows, columns, as_json=as_json, empty="")
            if not as_json:
                print("Nothing was done.")
            return
        with govern.unit_of_work(host.host_actor()) as uow:
            batch_id = service.begin(uow, kind, lines, reason=reason, limits=allowed).id
        carried_out(govern, lambda session: RowState.WAITING not in queries.counts(session, batch_id))
        with govern.unit_of_work.reading() as session:
            batch = queries.get(session, batch_id)
            _show_rows(session, batch, as_json=as_json)
            if not as_json:
                click.echo(_sentence(session, batch))


def _sentence(session: Session, batch: Batch) -> str:
    counts = queries.counts(session, batch.id)
    words = ", ".join(f"{number} {state.value}" for state, number in counts.items())
    approval = f" govern approvals approve {batch.approval_id} --as SOMEBODY-ELSE" if RowState.HELD in counts else ""
    waits = f" {counts[RowState.HELD]} wait for a second admin:{approval}" if approval else ""
    return f"{batch.id}: {words}.{waits} See `govern batches show {batch.id}`."


def _read(kind: BatchKind, file: Path) -> list[Line]:
    data = sys.stdin.buffer.read(rules.MOST_BYTES + 1) if str(file) == "-" else file.read_bytes()
    text, remark = csv_reading.decode(data, most_bytes=rules.MOST_BYTES)
    if remark:
        click.echo(remark, err=True)
    return rules.read(kind, text)


def _show_rows(session: Session, batch: Batch, *, as_json: bool) -> None:
    rows: list[dict[str, object]] = [
        {
            "line": told.row.line, "who": told.row.who, "outcome": told.row.state, "sentence": told.row.sentence or told.trouble,
            "subject": told.row.subject_id, "progress": told.progress, "evidence": told.evidence_id, "batch": batch.id,
        }
        for told in queries.rows(session, batch)
    ]  # fmt: skip
    output.show(rows, _ROWS, as_json=as_json, empty="The list is empty.")


def _batch(session: Session, batch: Batch) -> dict[str, object]:
    counts = {state.value: number for state, number in queries.counts(session, batch.id).items()}
    return {
        "id": batch.id, "kind": batch.kind, "reason": batch.reason, "counts": counts, "created_by": batch.created_by,
        "created_at": batch.created_at, "approval": batch.approval_id, "finished_at": batch.finished_at,
    }  # fmt: skip
