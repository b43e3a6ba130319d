"""`govern usage`, `govern costs` and `govern report`: the same answers as over REST and on the pages."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from govern.cli import host, output
from govern.cli.backfill import backfill
from govern.core.clock import utcnow
from govern.core.errors import InvalidInput
from govern.people import queries as people
from govern.usage import chargeback as charges
from govern.usage import exports, focus, queries, reasons, reports
from govern.usage.exports import Sheet
from govern.usage.names import By, Whose
from govern.usage.questions import STEPS, Line, Only, Question, View
from govern.usage.rules import DAY

Command = TypeVar("Command", bound=Callable[..., Any])
_DAYS: Final = click.DateTime(formats=["%Y-%m-%d"])
_NOT_KNOWN: Final = "none"
_LIMITS: Final = ("project", "person", "team", "cost_centre", "key", "model", "endpoint", "line_item", "reason")


def about_range(command: Command) -> Command:
    """The options of days, clock and limits."""
    for name in reversed(_LIMITS):
        words = name.replace("_", "-")
        command = click.option(
            f"--{words}", metavar=words.upper(), help=f"Only this {words.replace('-', ' ')}; none: not known."
        )(command)
    command = click.option(
        "--clock", type=click.Choice([each.value for each in View]), default="best", show_default=True,
        help="Billed is OpenAI's bill, estimated is usage times prices; best: billed where a day is settled.",
    )(command)  # fmt: skip
    command = click.option("--to", "last", type=_DAYS, help="The last UTC day. Without it today.")(command)
    return click.option("--from", "first", type=_DAYS, help="The first UTC day. Without it 30 days before the end.")(command)


@dataclass(frozen=True)
class _Asked:
    start: date
    end: date
    view: View
    limits: dict[str, str | None]

    @classmethod
    def of(cls, first: datetime | None, last: datetime | None, clock: str, limits: dict[str, str | None]) -> _Asked:
        end = (last.date() if last else utcnow().date()) + DAY
        return cls(first.date() if first else end - timedelta(days=30), end, View(clock), limits)

    def only(self, session: Any) -> Only:
        """The limits; a person may be named by address. Raises NotFound."""
        found: dict[str, Any] = {}
        for name, value in self.limits.items():
            if value is not None:
                known = "" if value == _NOT_KNOWN else value
                found[f"{name}_id" if name in ("project", "person", "key") else name] = known
        if found.get("person_id"):
            found["person_id"] = people.get(session, found["person_id"]).id
        return Only(**found)


def _spend(title: str, columns: dict[str, str]) -> click.Command:
    @click.command(title)
    @about_range
    @click.option("--by", multiple=True, type=click.Choice([each.value for each in By]), help="Group by this (day). Repeatable.")
    @click.option("--largest", is_flag=True, help="The largest first.")
    @click.option("--compare", is_flag=True, help="With the range before.")
    @click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many rows.")
    @click.option("--csv", "as_csv", is_flag=True, help="Everything, as CSV with every digit, to standard output.")
    @click.option("--xlsx", type=click.Path(path_type=Path, dir_okay=False), help="Everything, into this spreadsheet.")
    @host.as_json
    def command(
        *, first: datetime | None, last: datetime | None, clock: str, by: tuple[str, ...], largest: bool, compare: bool,
        limit: int, as_csv: bool, xlsx: Path | None, as_json: bool, **limits: str | None,
    ) -> None:  # fmt: skip
        asked = _Asked.of(first, last, clock, limits)
        groups = exports.steps([By(word) for word in by] or [By.DAY])
        with host.opened() as govern:
            reading = govern.unit_of_work.reading
            with reading() as session:
                only = asked.only(session)
            if as_csv or xlsx:
                question = Question(asked.start, asked.end, tuple(groups), asked.view, only)
                _write(exports.spend(reading, question), xlsx)
                return
            with reading() as session:
                lines = queries.lines(
                    session, asked.start, asked.end, by=groups, view=asked.view, only=only, limit=limit, largest_first=largest,
                    compare=compare,
                )  # fmt: skip
                fresh = queries.freshness(session)
        rows = [_row(line, groups) for line in lines]
        shown = {each.value: each.value.replace("_", " ").capitalize() for each in groups} | columns
        output.show(
            rows, shown | ({"previous_usd": "Before USD"} if compare else {}), as_json=as_json, empty="Nothing in these days."
        )
        if not as_json:
            click.echo(_reach(fresh))

    command.help = {
        "usage": "Requests and tokens, by any groups and a step of time.",
        "costs": "Dollars, billed and estimated, by any groups and a step of time.",
    }[title]
    return command


usage = _spend("usage", {"requests": "Requests", "input_tokens": "Tokens in", "output_tokens": "Tokens out", "amount_usd": "USD"})
costs = _spend("costs", {"amount_usd": "USD", "billed_usd": "Billed", "estimated_usd": "Estimated"})


def _row(line: Line, groups: Sequence[By]) -> dict[str, object]:
    row: dict[str, object] = {each.value: line.names[each] or None for each in groups}
    row |= {f"{each.value}_id": line.ids[each] or None for each in groups if each not in STEPS}
    row |= {"amount_usd": line.figure.amount, "billed_usd": line.figure.billed, "estimated_usd": line.figure.estimated}
    return row | line.counts._asdict() | {"previous_usd": line.previous.amount if line.previous else None}


def _reach(fresh: queries.Freshness) -> str:
    until = f"estimated until {output.cell(fresh.estimated_until)} UTC" if fresh.estimated_until else "no usage read yet"
    if not fresh.billed_to:
        return f"No bill read yet; {until}."
    final = f", final through {fresh.settled_to - DAY}" if fresh.settled_to else ""
    return f"Billed through {fresh.billed_to - DAY}{final}; {until}."


def _write(sheet: Sheet, xlsx: Path | None) -> None:
    if xlsx is None:
        for part in exports.csv_lines(sheet):
            sys.stdout.write(part)
        return
    with closing(exports.xlsx(sheet)) as file, xlsx.open("wb") as target:
        shutil.copyfileobj(file, target)
    click.echo(f"Written to {xlsx}.")


@click.group()
def report() -> None:
    """Reports: chargeback, movers, the estimate against the bill, and the bill as FOCUS."""


@report.command()
@click.argument("month")
@click.option("--csv", "as_csv", is_flag=True, help="As CSV with every digit, to standard output.")
@click.option("--xlsx", type=click.Path(path_type=Path, dir_okay=False), help="Into this spreadsheet.")
@host.as_json
def chargeback(*, month: str, as_csv: bool, xlsx: Path | None, as_json: bool) -> None:
    """A month's bill (2026-10) by cost centre and team, with projects' own and what could not be attributed."""
    try:
        first = date.fromisoformat(f"{month}-01")
    except ValueError:
        raise InvalidInput(f"{month!r} is not a month. Write it like 2026-10.") from None
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        found = charges.chargeback(session, first)
    if as_csv or xlsx:
        _write(exports.chargeback(found), xlsx)
        return
    words = {Whose.PERSON: "people", Whose.PROJECT: "project's own", Whose.NOBODY: "unattributed"}
    rows = [
        {
            "kind": words[line.whose] + (", adjusted" if line.adjustment else ""),
            "cost_centre": line.cost_centre or None, "team": line.team or None,
            "project": line.project or None, "people": line.people or None, "amount_usd": line.amount,
        }
        for line in found.lines
    ]  # fmt: skip
    columns = {
        "kind": "What", "cost_centre": "Cost centre", "team": "Team", "project": "Project", "people": "People",
        "amount_usd": "USD",
    }  # fmt: skip
    output.show(rows, columns, as_json=as_json, empty="Nothing was billed in that month.")
    if not as_json:
        state = "final" if found.final else "not final yet"
        click.echo(f"Together {output.cell(found.total)} USD; the bill is {output.cell(found.bill)} USD, {state}.")


@report.command()
@about_range
@click.option(
    "--by",
    type=click.Choice([each.value for each in By if each not in STEPS]),
    default="person",
    show_default=True,
    help="Of whom.",
)
@click.option("--limit", type=click.IntRange(1, 100), default=10, show_default=True, help="How many.")
@host.as_json
def movers(
    *, first: datetime | None, last: datetime | None, clock: str, by: str, limit: int, as_json: bool, **limits: str | None
) -> None:
    """Whose spend changed most against the range before."""
    asked = _Asked.of(first, last, clock, limits)
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        found = reports.movers(session, asked.start, asked.end, by=By(by), view=asked.view, only=asked.only(session), limit=limit)
        fresh = queries.freshness(session)
    rows = [
        {
            "id": each.id or None, "name": each.name or None, "amount_usd": each.now.amount, "previous_usd": each.before.amount,
            "change_usd": each.change,
        }
        for each in found
    ]  # fmt: skip
    columns = {"name": by.capitalize(), "amount_usd": "USD", "previous_usd": "Before", "change_usd": "Change"}
    output.show(rows, columns, as_json=as_json, empty="Nothing moved.")
    if not as_json:
        click.echo(_reach(fresh))


@report.command()
@click.option("--from", "first", type=_DAYS, help="The first UTC day. Without it 30 days before the end.")
@click.option("--to", "last", type=_DAYS, help="The last UTC day. Without it today.")
@host.as_json
def accuracy(*, first: datetime | None, last: datetime | None, as_json: bool) -> None:
    """How well the estimate meets the bill on settled days, by model."""
    asked = _Asked.of(first, last, "best", {})
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        found = reports.accuracy(session, asked.start, asked.end)
        fresh = queries.freshness(session)
    rows = [
        {
            "model": model or None, "estimated_usd": estimated, "billed_usd": billed,
            "error": error if as_json else _per_cent(error),
            "met": reports.meets(error),
        }
        for model, estimated, billed, error in found.models()
    ]  # fmt: skip
    columns = {
        "model": "Model", "estimated_usd": "Estimated", "billed_usd": "Billed", "error": "Median error", "met": "Target met",
    }  # fmt: skip
    output.show(rows, columns, as_json=as_json, empty="No settled day in the range.")
    if as_json:
        return
    if found.error is not None:
        verdict = "the target is met" if found.met else "the target is missed"
        click.echo(f"Median error {_per_cent(found.error)}; to be within {_per_cent(reports.TARGET)}: {verdict}.")
    if found.unpriced:
        click.echo(f"Without a price: {', '.join(sorted(found.unpriced))}.")
    click.echo(_reach(fresh))


def _per_cent(share: Decimal | None) -> str | None:
    return None if share is None else f"{share * 100:.2f} %"


@report.command()
@click.option("--from", "first", type=_DAYS, help="The first UTC day. Without it 30 days before the end.")
@click.option("--to", "last", type=_DAYS, help="The last UTC day. Without it today.")
@host.as_json
def ownerless(*, first: datetime | None, last: datetime | None, as_json: bool) -> None:
    """Why spend has no person, how much for each reason, and what to do about it."""
    asked = _Asked.of(first, last, "best", {})
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        found = reasons.ownerless(session, asked.start, asked.end)
        whole = queries.totals(session, asked.start, asked.end)
        fresh = queries.freshness(session)
    rows = [
        {
            "whose": each.whose, "reason": each.reason or None, "title": each.words.title, "remedy": each.words.remedy,
            "amount_usd": each.figure.amount, "billed_usd": each.figure.billed, "estimated_usd": each.figure.estimated,
            "requests": each.counts.requests,
        }
        for each in found
    ]  # fmt: skip
    columns = {"whose": "Whose", "title": "Why", "amount_usd": "USD", "billed_usd": "Billed", "estimated_usd": "Estimated"}
    output.show(rows, columns, as_json=as_json, empty="Everything in these days has a person.")
    if as_json:
        return
    for each in {each.reason: each for each in found}.values():
        click.echo(f"{each.words.title}: {each.words.remedy}")
    own, nobody = output.cell(whole.projects), output.cell(whole.unattributed)
    click.echo(f"Projects' own {own} USD, unattributed {nobody} USD, of {output.cell(whole.whole.amount)} USD. {_reach(fresh)}")


report.add_command(backfill)


@report.command("focus")
@click.option("--from", "first", type=_DAYS, required=True, help="The first UTC day.")
@click.option("--to", "last", type=_DAYS, required=True, help="The last UTC day.")
@click.option("--account", default=focus.ACCOUNT, show_default=True, help="The BillingAccountId.")
def focus_file(*, first: datetime, last: datetime, account: str) -> None:
    """The bill as FOCUS 1.2, CSV, to standard output."""
    with host.opened() as govern:
        _write(focus.sheet(govern.unit_of_work.reading, first.date(), last.date() + DAY, account), None)
