"""`govern audit`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy.orm import Session

from govern.audit import export, queries, walk
from govern.audit.queries import Search
from govern.audit.rules import Outcome
from govern.audit.rules import outcome as outcome_of
from govern.audit.service import AuditBroken
from govern.audit.walk import Anchor, Verdict
from govern.checkpoints import export as checkpoint_export
from govern.checkpoints import forgetting, signing
from govern.checkpoints import queries as checkpoint_queries
from govern.checkpoints import rules as checkpoint_rules
from govern.cli import host, output
from govern.core.clock import utcnow
from govern.core.errors import InvalidInput, NotAllowed
from govern.evidence import queries as evidence
from govern.evidence import rules as signatures

LONGEST_LINE = 2**20
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def audit() -> None:
    """Verify, read and hand out the audit log."""


@audit.command()
@click.argument("file", type=FILE, required=False)
@click.option("--checkpoints", type=FILE, help="Signed checkpoints, kept outside: what shows that a tail was cut.")
@click.option(
    "--key", "key_file", type=FILE,
    help="The public key, from `govern evidence key`. With it and --checkpoints a FILE needs no ring, network or database.",
)  # fmt: skip
@click.option(
    "--after", type=click.IntRange(0), default=0, metavar="SEQ",
    help="FILE is a part that begins behind this event, of which there is a checkpoint.",
)  # fmt: skip
@host.as_json
def verify(file: Path | None, checkpoints: Path | None, key_file: Path | None, after: int, as_json: bool) -> None:
    """Walk the whole chain: in the database, or in FILE, an export as JSON lines. Exit code 1 where it does not hold."""
    public = signatures.read_public(key_file.read_bytes()) if key_file else None
    if file is not None and public is not None:
        if checkpoints is None:
            raise InvalidInput("Without the ring only checkpoints prove anything. Add --checkpoints FILE.")
        verdict = walk.verify_lines(_lines(file), _anchors(checkpoints, public), None, after=after)
    else:
        with host.opened() as govern, govern.unit_of_work.reading() as session:
            anchors = _anchors(checkpoints, public or _public(session)) if checkpoints else {}
            if file is None:
                verdict = forgetting.verify(session, govern.box, anchors)
            else:
                verdict = walk.verify_lines(_lines(file), anchors, govern.box, after=after)
    _show(verdict, as_json=as_json, tail=file is None or checkpoints is not None)


def _show(verdict: Verdict, *, as_json: bool, tail: bool) -> None:
    row = {"ok": verdict.problem is None, "events": verdict.events, "broken_at": verdict.broken_at, "problem": verdict.problem}
    if verdict.problem is None or as_json:
        unseen = "" if tail else " Whether later ones were cut off shows only with --checkpoints."
        output.show_one(row, as_json=as_json, sentence=f"All {verdict.events} events hold.{unseen}")
    if verdict.problem is not None:
        raise AuditBroken(f"The audit log does not hold. {verdict.problem} The {verdict.events} events before it do.")


def _public(session: Session) -> Ed25519PublicKey:
    return signatures.read_public(evidence.public_key(session).public_pem.encode("ascii"))


def _anchors(file: Path, public: Ed25519PublicKey) -> dict[int, Anchor]:
    return checkpoint_rules.anchors_of(_lines(file), public)


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a file with their line breaks. What is longer than any of ours comes in pieces, which are no lines."""
    with path.open("rb") as file:
        while line := file.readline(LONGEST_LINE):
            yield line


def _in_utc(_context: click.Context, _parameter: click.Parameter, at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at else None


@audit.command("list")
@click.option("--action", help="An action (key.revoked) or its beginning (key.).")
@click.option("--subject", "subject_id", help="Only events about this id.")
@click.option("--actor", "actor_id", help="Only what this id did.")
@click.option("--request", "request_id", help="Only events of this request.")
@click.option("--reason", help="Words of the reason.")
@click.option("--search", "text", help="Words of who, of what it is about, or of the reason.")
@click.option("--outcome", type=click.Choice([outcome.value for outcome in Outcome]))
@click.option("--since", type=click.DateTime(), callback=_in_utc, help="Not before, in UTC.")
@click.option("--until", type=click.DateTime(), callback=_in_utc, help="Before; not at.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@host.as_json
def list_events(limit: int, as_json: bool, outcome: str | None, **sought: Any) -> None:
    """What was done, newest first."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        rows = [
            {
                "seq": event.seq, "at": event.at, "action": event.action, "actor": event.actor_label,
                "actor_kind": event.actor_kind, "actor_id": event.actor_id, "subject_kind": event.subject_kind,
                "subject": event.subject_id, "facts": event.facts, "reason": event.reason,
                "request": event.request_id, "outcome": outcome_of(event.action).value,
            }
            for event in queries.events(session, Search(**sought, outcome=Outcome(outcome) if outcome else None), limit=limit)
        ]  # fmt: skip
    columns = {"seq": "No.", "at": "At (UTC)", "action": "Action", "actor": "By", "subject": "Subject", "reason": "Reason"}
    output.show(rows, columns, as_json=as_json, empty="Nothing has been done yet.")


AFTER = click.option(
    "--after", type=click.IntRange(0), default=0, metavar="SEQ", help="Go on behind this event: the last one that you have."
)


@audit.command("export")
@click.option(
    "--format", "form", type=click.Choice(list(export.FORMATS)), default="jsonl", show_default=True,
    help="jsonl has every column and can be verified; ocsf is for a SIEM (OCSF 1.4.0, class Entity Management).",
)  # fmt: skip
@AFTER
@click.option(
    "--signed", type=click.Path(dir_okay=False, writable=True, path_type=Path), metavar="FILE",
    help="First sign the log, hand it out exactly so far, and write the checkpoints that prove it to FILE.",
)  # fmt: skip
def hand_out(form: str, after: int, signed: Path | None) -> None:
    """Write the log to standard output, oldest first, a line of JSON per event."""
    with host.opened() as govern:
        units, until = govern.unit_of_work, None
        if signed is not None:
            signing.sign_newest(units, host.host_actor())
            with units.reading() as session:
                until = checkpoint_queries.newest_anchor(session).seq
            signed.write_bytes(b"".join(checkpoint_export.chunks(units, until=until)))
        _write(export.chunks(units, form, after=after, until=until))


@audit.command()
@AFTER
@click.option("--sign", is_flag=True, help="First sign the log up to its newest event.")
def checkpoints(after: int, sign: bool) -> None:
    """Write the signed checkpoints to standard output, oldest first, a line each: what `verify --checkpoints` reads."""
    with host.opened() as govern:
        if sign:
            signing.sign_newest(govern.unit_of_work, host.host_actor())
        _write(checkpoint_export.chunks(govern.unit_of_work, after=after))


def _write(chunks: Iterator[bytes]) -> None:
    for chunk in chunks:
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


@audit.command()
@host.as_json
def sinks(as_json: bool) -> None:
    """Where checkpoints are kept outside, how far each has them, and which ones fail."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        rows = [asdict(standing) for standing in checkpoint_queries.standings(session, govern.settings.audit.sinks)]
    columns = {"name": "Sink", "seq": "Has up to", "lacks": "Lacks", "pushed_at": "Last (UTC)", "problem": "Problem"}
    output.show(rows, columns, as_json=as_json, empty="No sink is set up. See [audit] in config/govern.example.toml.")


@audit.command()
@click.option("--days", type=click.IntRange(30), help="Keep so many days; without it the setting audit.keep_days.")
@click.option("--yes", is_flag=True, help="Do it. Without this nothing is changed.")
def forget(days: int | None, yes: bool) -> None:
    """Let old events go, up to a signed checkpoint that every sink has. The `audit.forget` job does so by itself where it may."""
    with host.opened() as govern:
        keep = days or govern.settings.audit.keep_days
        if keep is None:
            raise InvalidInput("Events are kept for ever. Name --days, or set audit.keep_days.")
        with govern.unit_of_work.reading() as session:
            checkpoint = forgetting.forgettable(session, utcnow() - timedelta(days=keep), govern.settings.audit.sinks)
            allowed = forgetting.may_delete(session)
        if checkpoint is None:
            print("Nothing may go: no checkpoint that every sink has covers only events that are so old.")
            return
        if not yes:
            print(f"The events up to {checkpoint.seq} would go. Nothing was changed; add --yes.")
            return
        if not allowed:
            raise NotAllowed("This database account may not delete audit events. Use that of the tables' owner.")
        print(f"{forgetting.forget(govern.unit_of_work, host.host_actor(), checkpoint)} events are gone, up to {checkpoint.seq}.")
