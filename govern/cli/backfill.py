"""`govern report backfill`."""

from __future__ import annotations

from datetime import timedelta

import click

from govern.cli import host, output
from govern.core.clock import utcnow
from govern.usage import backfill as histories
from govern.usage.rules import DAY


@click.command()
@host.as_json
def backfill(as_json: bool) -> None:
    """How much of the history of usage and costs was read, and whether it goes on. `govern sync --backfill` reads it."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        found = histories.standing(session, govern.settings.sync, utcnow())
    history = found.history
    if as_json:
        row: dict[str, object] = {
            "state": found.stage, "start": history.start, "end": history.end, "days": history.days, "days_read": history.whole,
            "read_back_to": history.back_to, "percent": history.percent, "seconds_left": _seconds(found.left),
            "problem": found.problem, "endpoints": {part.endpoint: part.read for part in history.parts},
        }  # fmt: skip
        output.show_one(row, as_json=True, sentence="")
        return
    if history.days:
        rows = [{"endpoint": part.endpoint, "days": f"{part.read} of {history.days}"} for part in history.parts]
        output.show(rows, {"endpoint": "Endpoint", "days": "Days read"}, as_json=False, empty="")
        back = f", back to {history.back_to}" if history.back_to else ""
        click.echo(
            f"{history.start} to {history.end - DAY}: {history.whole} of {history.days} days read of every endpoint{back} "
            f"({history.percent} % of all)."
        )
    left = f" About {timedelta(seconds=_seconds(found.left) or 0)} left." if found.left is not None else ""
    click.echo(output.printable(f"{found.sentence}{left} {found.problem or ''}".strip()))


def _seconds(left: timedelta | None) -> int | None:
    return None if left is None else round(left.total_seconds())
