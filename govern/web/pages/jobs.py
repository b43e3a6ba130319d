"""Scheduled jobs: how each stands, its last runs, and a run by hand."""

from __future__ import annotations

from flask import Blueprint, render_template, url_for
from werkzeug.wrappers import Response

from govern.core.clock import utcnow
from govern.jobs import queries, service
from govern.jobs.models import JobRun, RunState
from govern.jobs.rules import NAMES
from govern.usage import backfill
from govern.web.access import govern, reads, requires
from govern.web.pages import forms, words
from govern.web.pages.acting import act, wait_until
from govern.web.pages.going import see

blueprint = Blueprint("jobs_page", __name__, url_prefix="/jobs")


@blueprint.get("")
@requires("jobs:read")
def index() -> str:
    """The timetable, the workers, and the last runs."""
    asked = forms.query_text("job")
    found = queries.find_runs(
        reads(), after=forms.query_text("after"), limit=forms.PAGE + 1, job=asked, state=forms.query_state("state", RunState)
    )
    page = forms.paged(found)
    standings = queries.standings(reads())
    read = backfill.standing(reads(), govern().settings.sync, utcnow())
    return render_template(
        "jobs/index.html",
        page=page,
        standings=standings,
        read=read,
        workers=queries.live_workers(reads(), utcnow()),
        last_heard=queries.last_heartbeat(reads()),
        names=[(name, name) for name in NAMES],
        states=words.states(RunState),
        busy=any(standing.newest is not None and is_busy(standing.newest) for standing in standings),
    )


@blueprint.post("/<string(maxlength=60):job>/runs")
@requires("jobs:run")
def run(job: str) -> Response:
    """Ask the worker to run it now."""
    run_id = act(lambda uow: service.request_run(uow, job).id)
    wait_until(lambda session: not is_busy(queries.get_run(session, run_id)))
    return see(url_for("jobs_page.index"), f"{job} was asked for. It is in the list below.")


def is_busy(run: JobRun) -> bool:
    """Whether the run has not ended."""
    return run.state in (RunState.REQUESTED, RunState.RUNNING)
