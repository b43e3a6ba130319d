"""`govern people`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime
from typing import BinaryIO, TextIO

import click

from govern.cli import host, output, telling
from govern.core.clock import utcnow
from govern.core.errors import Conflict, InvalidInput
from govern.people import directory, export, queries
from govern.people.models import PersonState
from govern.people.plan import Plan, rows_of, told

_DAY = click.DateTime(formats=["%Y-%m-%d"])
_COUNTS: Mapping[str, str] = {
    "new": "new", "changed": "changed", "unchanged": "as they were", "problems": "rows that cannot be used", "left": "who left",
    "missing": "not in the file",
}  # fmt: skip


@click.group()
def people() -> None:
    """See people and keep the directory."""


@people.command("list")
@click.option("--search", help="Part of an address or name.")
@click.option("--team", help="Only who stands in this team today.")
@click.option("--state", type=click.Choice([state.value for state in PersonState]), help="Only people who stand so.")
@click.option(
    "--directory", "listed", type=click.Choice([each.value for each in queries.Listed]), help="How the directory stands."
)
@click.option("--ending", is_flag=True, help="Only who has an end date.")
@host.as_json
def list_people(
    *, search: str | None, team: str | None, state: str | None, listed: str | None, ending: bool, as_json: bool
) -> None:
    """Everybody who is known: from sign-in, from a directory, or from the organization."""
    rows: list[dict[str, object]] = []
    today, after = utcnow().date(), None
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        while page := queries.find_people(
            session, after=after, limit=500, search=search, team=team, state=PersonState(state) if state else None,
            directory=queries.Listed(listed) if listed else None, ending=ending, on=today,
        ):  # fmt: skip
            rows += queries.described(session, page, today)
            after = page[-1].id
    columns = {
        "email": "Address", "name": "Name", "team": "Team", "cost_centre": "Cost centre", "manager": "Manager", "state": "State",
        "directory": "Directory", "ends_on": "Ends on",
    }  # fmt: skip
    output.show(rows, columns, as_json=as_json, empty="Nobody matches.")


@people.command()
@click.argument("who", metavar="ID-OR-EMAIL")
@host.as_json
def show(who: str, as_json: bool) -> None:
    """A person, and where they stood from day to day."""
    today = utcnow().date()
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        person = queries.get(session, who)
        row = queries.described(session, [person], today)[0]
        history = queries.history(session, person.id)
    if as_json:
        output.show_one(row | {"assignments": history}, as_json=True, sentence="")
        return
    ends = f", ends on {person.ends_on}" if person.ends_on else ""
    click.echo(output.printable(f"{person.name} <{person.email}> {person.id}: {person.state.value}{ends}."))
    columns = {"from_on": "From", "until_on": "Over on", "team": "Team", "cost_centre": "Cost centre", "manager": "Manager"}
    output.show(history, columns, as_json=False, empty="No directory says where they stand.")


@people.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--complete", is_flag=True, help="The file names everybody: whoever is not in it is not in the directory.")
@click.option("--effective-on", type=_DAY, help="The day from which rows hold that name none (today).")
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@host.as_json
def import_file(
    *, file: BinaryIO, complete: bool, effective_on: datetime | None, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Bring the directory up to a CSV FILE (- reads standard input). Doing it twice does no harm.

    Columns: email, name, team, cost_centre, manager, starts_on, ends_on, effective_on; usual other spellings are understood. A
    column that is not there leaves things as they are, an empty cell clears.
    """
    data = file.read()
    with host.opened() as govern:
        on = effective_on.date() if effective_on else utcnow().date()
        with govern.unit_of_work.reading() as session:
            found = directory.preview(session, data, complete=complete, effective_on=on)
        if not as_json:
            _show_plan(found)
        if not dry_run and not yes and not found.does_nothing:
            if as_json or not sys.stdin.isatty():
                raise InvalidInput("Nobody can be asked here. Look with --dry-run, then say --yes.")
            click.confirm("Do it?", abort=True)
        import_id: str | None = None
        if not dry_run and not found.does_nothing:
            with govern.unit_of_work(host.host_actor()) as uow:
                row = directory.draft(uow, data, file_name=file.name, complete=complete, effective_on=on)
                directory.carry_out(uow, row.id, digest=found.digest())
                import_id = row.id
    if as_json:
        whole = {"id": import_id, "dry_run": dry_run, **told(found)}
        output.show_one(whole, as_json=True, sentence="")
    else:
        click.echo("Nothing was done." if dry_run or found.does_nothing else f"Done: {import_id}.")
    if found.problems and not dry_run:
        raise Conflict(f"{len(found.problems)} rows could not be used; the others are in. Mend them and import the file again.")


@people.command("export")
@click.option("--output", "target", type=click.File("w", encoding="utf-8"), default="-", help="A file; else standard output.")
def export_file(target: TextIO) -> None:
    """Everybody with the company as CSV, as `import` reads it. Formulas are written as text."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        for line in export.lines(session, utcnow().date()):
            target.write(line)


@people.command()
@click.argument("who", metavar="ID-OR-EMAIL")
@click.option("--on", "day", type=_DAY, help="The first day on which they are no longer with the company.")
@click.option("--never", is_flag=True, help="Take the end date back.")
@click.option("--reason", required=True, help="Why; it stands in the audit log.")
@host.as_json
def end(who: str, day: datetime | None, never: bool, reason: str, as_json: bool) -> None:
    """Set the day on which somebody's removal starts by itself."""
    if (day is None) is not never:
        raise InvalidInput("Say --on DAY or --never.")
    with host.opened() as govern, govern.unit_of_work(host.host_actor()) as uow:
        person = directory.set_end(uow, who, day.date() if day else None, reason=reason)
    said = f"The removal of {person.email} starts on {person.ends_on}." if person.ends_on else f"{person.email} has no end date."
    output.show_one({"id": person.id, "email": person.email, "ends_on": person.ends_on}, as_json=as_json, sentence=said)


telling.enter(people, "notices", "ID-OR-EMAIL", lambda session, who: queries.get(session, who).id)


def _show_plan(found: Plan) -> None:
    rows = [row | {"what": row["sentence"] or "; ".join(map(_told, row["changes"]))} for row in rows_of(found)]
    columns = {"line": "Line", "email": "Address", "outcome": "Outcome", "what": "What"}
    output.show(rows, columns, as_json=False, empty="No row changes anything.")
    for note in found.notes:
        click.echo(output.printable(note))
    if found.missing:
        some = ", ".join(found.missing[:10]) + (f" and {len(found.missing) - 10} more" if len(found.missing) > 10 else "")
        fate = "they become “not in the directory”" if found.complete else "nothing happens to them without --complete"
        click.echo(output.printable(f"Not in the file: {some}; {fate}."))
    counted = ", ".join(f"{number} {_COUNTS[name]}" for name, number in found.counts.items() if number)
    click.echo(f"{counted or 'Nobody'}.")


def _told(change: Mapping[str, str | None]) -> str:
    return f"{change['what']}: {change['before'] or 'none'} → {change['after'] or 'none'}"
