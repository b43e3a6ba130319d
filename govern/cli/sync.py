"""`govern sync`."""

from __future__ import annotations

from typing import Final

import click

from govern.cli import host, output
from govern.cli.jobs import row_of
from govern.cli.runs import run_and_watch

WHAT: Final = {"directory": "directory.sync", "usage": "usage.sync", "costs": "costs.sync"}


@click.command()
@click.argument("what", nargs=-1, type=click.Choice(list(WHAT)))
@click.option("--backfill", is_flag=True, help="Read the history of usage and costs, `sync.history_days` back.")
@host.as_json
def sync(what: tuple[str, ...], backfill: bool, as_json: bool) -> None:
    """Pull the directory, usage and costs now (all three without WHAT).

    The running worker does it and this command watches; where no worker runs, this command does it itself. A backfill that is
    interrupted goes on where it was.
    """
    if backfill and "directory" in what:
        raise click.UsageError("Only usage and costs have a history.")
    jobs = ["usage.backfill"] if backfill else [WHAT[word] for word in what or tuple(WHAT)]
    runs = run_and_watch(jobs, quiet=as_json)
    rows = [row_of(run) for run in runs]
    output.show(rows, {"job": "Job", "state": "State", "report": "Report"}, as_json=as_json, empty="Nothing to do.")
