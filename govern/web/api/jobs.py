"""`/jobs`: the timetable, its runs, and starting one by hand."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response
from flask.views import MethodView
from sqlalchemy.orm import Session

from govern.core.errors import NotFound
from govern.jobs import queries, service
from govern.jobs.models import JobRun, RunState
from govern.jobs.rules import NAMES
from govern.web.access import reads, requires
from govern.web.api import paging
from govern.web.api.acting import Answer, carry_out
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.shapes import PageQuery, Schema, instant, maybe_instant, maybe_text, page_of

blueprint = ApiBlueprint("jobs", "Scheduled work and its runs.")


class RunOut(Schema):
    """One run of one job. `report` holds counts."""

    id = ma.fields.String(required=True)
    job = ma.fields.String(required=True)
    slot = ma.fields.String(required=True)
    state = ma.fields.Enum(RunState, by_value=True, required=True)
    requested_by = maybe_text()
    requested_at = instant(required=True)
    started_at = maybe_instant()
    finished_at = maybe_instant()
    progress = ma.fields.Dict(
        keys=ma.fields.String(), allow_none=True, metadata={"description": "While it runs: `what`, `done`, `total`."}
    )
    report = ma.fields.Dict(keys=ma.fields.String(), allow_none=True)
    problem = maybe_text()


class JobOut(Schema):
    """A job of the timetable, its newest run, and when it last ended well."""

    name = ma.fields.String(attribute="job", required=True)
    newest = ma.fields.Nested(RunOut, required=True, allow_none=True)
    last_success_at = maybe_instant()


class RunsQuery(PageQuery):
    """What to list."""

    state = ma.fields.Enum(RunState, by_value=True)


def _check_name(name: str) -> None:
    if name not in NAMES:
        raise NotFound(f"There is no job {name!r}. The jobs are {', '.join(NAMES)}.")


@blueprint.route("")
class Jobs(MethodView):
    """Jobs."""

    @requires("jobs:read")
    @blueprint.arguments(PageQuery, location="query")
    @blueprint.response(200, page_of(JobOut))
    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """List the timetable."""
        after = paging.after_id(args.get("cursor"))
        rows = queries.standings(reads())
        if after is not None:
            seen = [row.job for row in rows].index(after) + 1 if after in NAMES else len(rows)
            rows = rows[seen:]
        items, following = paging.page(rows, args["limit"], lambda row: row.job)
        return {"items": items, "next": following}


@blueprint.route("/<id:name>/runs")
class Runs(MethodView):
    """Runs of a job."""

    @requires("jobs:read")
    @blueprint.arguments(RunsQuery, location="query")
    @blueprint.response(200, page_of(RunOut))
    def get(self, args: dict[str, Any], name: str) -> dict[str, Any]:
        """List a job's runs, newest first."""
        _check_name(name)
        rows = queries.find_runs(
            reads(), job=name, state=args.get("state"), after=paging.after_id(args.get("cursor")), limit=args["limit"] + 1
        )
        items, following = paging.page(rows, args["limit"], lambda row: row.id)
        return {"items": items, "next": following}

    @requires("jobs:run")
    @blueprint.response(201, RunOut, description="It ran; its report is here.")
    @blueprint.alt_response(202, schema=RunOut, description="It will run; look again at Location.", success=True)
    def post(self, name: str) -> Response:
        """Start a job now. A run that waits already is the same one."""
        _check_name(name)
        return carry_out(lambda uow: service.request_run(uow, name).id, _run)


def _run(session: Session, run_id: str) -> Answer:
    run = queries.get_run(session, run_id)
    settled = run.state in (RunState.DONE, RunState.FAILED)
    location = {"Location": f"/api/v1/jobs/{run.job}/runs/{run.id}"}
    return Answer(RunOut().dump(run), 201 if settled else 202, location, settled)


@blueprint.route("/<id:name>/runs/<id:run_id>")
class OneRun(MethodView):
    """One run."""

    @requires("jobs:read")
    @blueprint.response(200, RunOut)
    def get(self, name: str, run_id: str) -> JobRun:
        """Show a run."""
        run = queries.get_run(reads(), run_id)
        if run.job != name:
            raise NotFound(f"There is no run {run_id!r} of {name!r}.")
        return run
