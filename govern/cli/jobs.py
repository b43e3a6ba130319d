"""`govern jobs`: the timetable, the run ledger, a run by hand."""

from __future__ import annotations

import click

from govern.cli import host, output
from govern.cli.runs import run_and_watch
from govern.jobs import queries, rules
from govern.jobs.models import JobRun, RunState


@click.group(invoke_without_command=True)
@click.pass_context
def jobs(context: click.Context) -> None:
    """See the timetable and its runs; run a job now. Without a command: the timetable."""
    if context.invoked_subcommand is None:
        context.invoke(list_jobs)


@jobs.command("list")
@host.as_json
def list_jobs(as_json: bool) -> None:
    """Every job, with its newest run and its last success."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        rows = [
            {
                "job": standing.job,
                "state": standing.newest.state if standing.newest else None,
                "started_at": standing.newest.started_at if standing.newest else None,
                "last_success_at": standing.last_success_at,
                "report": standing.newest.report if standing.newest else None,
                "problem": standing.newest.problem if standing.newest else None,
            }
            for standing in queries.standings(session)
        ]
    columns = {
        "job": "Job",
        "state": "Newest run",
        "last_success_at": "Last success (UTC)",
        "report": "Report",
        "problem": "Problem",
    }
    output.show(rows, columns, as_json=as_json, empty="There are no jobs.")


@jobs.command("runs")
@click.option("--job", type=click.Choice(rules.NAMES), help="Only this job.")
@click.option("--state", type=click.Choice([state.value for state in RunState]), help="Only runs in this state.")
@click.option("--limit", type=click.IntRange(1, 500), default=30, show_default=True)
@host.as_json
def list_runs(job: str | None, state: str | None, limit: int, as_json: bool) -> None:
    """The run ledger, newest first."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        found = queries.find_runs(session, limit=limit, job=job, state=RunState(state) if state else None)
        rows = [row_of(run) for run in found]
    columns = {
        "id": "Run", "job": "Job", "slot": "Slot", "state": "State", "started_at": "Started (UTC)",
        "finished_at": "Finished (UTC)", "report": "Report", "problem": "Problem",
    }  # fmt: skip
    output.show(rows, columns, as_json=as_json, empty="No job has run yet. `govern worker` runs them.")


@jobs.command("run")
@click.argument("job", type=click.Choice(rules.NAMES))
@host.as_json
def run_job(job: str, as_json: bool) -> None:
    """Run a job now and show its report. The worker does it; where none runs, this command does."""
    run = run_and_watch([job], quiet=as_json)[0]
    words = ", ".join(f"{name} {count}" for name, count in (run.report or {}).items())
    output.show_one(row_of(run), as_json=as_json, sentence=f"{job} is done: {words or 'nothing was due'}.")


def row_of(run: JobRun) -> dict[str, object]:
    """A run as the command line shows it."""
    return {
        "id": run.id, "job": run.job, "slot": run.slot, "state": run.state, "requested_by": run.requested_by,
        "started_at": run.started_at, "finished_at": run.finished_at, "report": run.report, "problem": run.problem,
    }  # fmt: skip
