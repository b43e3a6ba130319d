"""`govern audit`."""

from __future__ import annotations

import sys

import click

from govern.audit import export, queries, service
from govern.cli import host, output
from govern.core.errors import GovernError


class Broken(GovernError):
    """The audit log does not hold."""

    code = "audit_broken"


@click.group()
def audit() -> None:
    """Verify and read the audit log."""


@audit.command()
@host.as_json
def verify(as_json: bool) -> None:
    """Walk the whole chain. Exit code 1 when an event was changed, removed or cut off."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        verdict = service.verify(session, govern.box)
    row = {"ok": verdict.problem is None, "events": verdict.events, "broken_at": verdict.broken_at, "problem": verdict.problem}
    if verdict.problem is None or as_json:
        output.show_one(row, as_json=as_json, sentence=f"All {verdict.events} events hold.")
    if verdict.problem is not None:
        raise Broken(f"The audit log does not hold. {verdict.problem} The {verdict.events} events before it do.")


@audit.command("list")
@click.option("--action", help="An action (key.revoked) or its beginning (key.).")
@click.option("--subject", help="Only events about this id.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@host.as_json
def list_events(action: str | None, subject: str | None, limit: int, as_json: bool) -> None:
    """What was done, newest first."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        rows = [
            {
                "seq": event.seq, "at": event.at, "action": event.action, "actor": event.actor_label,
                "actor_kind": event.actor_kind, "actor_id": event.actor_id, "subject_kind": event.subject_kind,
                "subject": event.subject_id, "facts": event.facts, "reason": event.reason,
            }
            for event in queries.events(session, limit=limit, action=action, subject_id=subject)
        ]  # fmt: skip
    columns = {"seq": "No.", "at": "At (UTC)", "action": "Action", "actor": "By", "subject": "Subject", "reason": "Reason"}
    output.show(rows, columns, as_json=as_json, empty="Nothing has been done yet.")


@audit.command("export")
@click.option(
    "--format", "form", type=click.Choice(list(export.FORMATS)), default="jsonl", show_default=True,
    help="jsonl has every column and can be verified; ocsf is for a SIEM (OCSF 1.4.0, class Entity Management).",
)  # fmt: skip
@click.option(
    "--after", type=click.IntRange(0), default=0, metavar="SEQ", help="Go on behind this event: the last one that you have."
)
def hand_out(form: str, after: int) -> None:
    """Write the log to standard output, oldest first, a line of JSON per event."""
    with host.opened() as govern:
        for chunk in export.chunks(govern.unit_of_work, form, after=after):
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
