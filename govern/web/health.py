"""Is it up, is it ready: for load balancers and for people with curl. Open to all, and silent about everything else."""

from __future__ import annotations

from functools import cache

import sqlalchemy as sa
import structlog
from flask import Blueprint, Response, jsonify
from sqlalchemy.exc import SQLAlchemyError

from govern.core import migrations
from govern.core.clock import utcnow
from govern.jobs import queries as jobs
from govern.web.access import govern, open_to_all

blueprint = Blueprint("health", __name__)
log = structlog.get_logger("govern.web")


@blueprint.get("/healthz")
@open_to_all("Says only that the process answers.")
def healthz() -> Response:
    """The process answers."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
@open_to_all("Says only whether the parts are there.")
def readyz() -> tuple[Response, int]:
    """Whether requests can be served. A silent worker does not count: without one, reads and containment still work."""
    checks = {"database": _database(), "migrations": "unknown", "worker": "unknown"}
    if checks["database"] == "ok":
        checks["migrations"] = _migrations()
    if checks["migrations"] == "ok":
        checks["worker"] = _worker()
    ready = checks["database"] == checks["migrations"] == "ok"
    return jsonify(status="ready" if ready else "not ready", checks=checks), 200 if ready else 503


def _database() -> str:
    try:
        with govern().unit_of_work.reading() as session:
            session.execute(sa.select(1))
    except SQLAlchemyError as error:
        log.warning("database does not answer", error=type(error).__name__)
        return "unreachable"
    return "ok"


@cache
def _newest() -> str | None:
    return migrations.newest()


def _migrations() -> str:
    return "ok" if migrations.current(govern().engine) == _newest() else "not at head: run `govern db upgrade`"


def _worker() -> str:
    with govern().unit_of_work.reading() as session:
        return "ok" if jobs.live_workers(session, utcnow()) else "silent"
