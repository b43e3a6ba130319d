"""The doctor's looks at what is ours: database, migrations, sealing ring, worker, jobs, effects."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from govern.checkpoints import queries as checkpoints
from govern.cli.faults import unexpected
from govern.cli.health import Finding, fail, ok, warn
from govern.cli.host import is_older
from govern.core import migrations, sealing
from govern.core.clock import utcnow
from govern.core.crypto import SecretBox
from govern.core.db import make_engine
from govern.core.errors import InvalidInput
from govern.core.outbox import Effect, EffectState
from govern.jobs import queries
from govern.jobs.models import RunState
from govern.settings import Settings

STALE = timedelta(hours=24)
"""A sync that has not finished well for so long leaves figures that nobody should trust."""


def stored(settings: Settings) -> Iterator[Finding]:
    """Database, migrations, sealing, worker, syncs, effects; stops where the next look could not work."""
    try:
        engine = make_engine(settings.database.url)
    except (SQLAlchemyError, ValueError, ImportError):
        yield fail("database", "GOVERN_DATABASE_URL is not a URL of SQLite (sqlite:///file) or PostgreSQL (postgresql://…).")
        return
    try:
        yield from _with_engine(settings, engine)
    finally:
        engine.dispose()


def _with_engine(settings: Settings, engine: sa.Engine) -> Iterator[Finding]:
    where = engine.url.render_as_string(hide_password=True)
    try:
        at = migrations.current(engine)
    except SQLAlchemyError as error:
        yield fail("database", f"{where}: {unexpected(error)}")
        return
    yield ok("database", f"{where} answers.")
    if at is None or is_older(at):
        yield fail(
            "migrations", f"The database is at {at or 'no revision'}, needed is {migrations.newest()}. Run `govern db upgrade`."
        )
        return
    newer = at != migrations.newest()
    yield (
        warn("migrations", f"The database is at {at}, from a newer release. Upgrade this one.")
        if newer
        else ok("migrations", f"At {at}.")
    )
    with sa.orm.Session(engine) as session:
        yield _sealing(settings, session)
        now = utcnow()
        yield _worker(session, now)
        yield from _syncs(settings, session, now)
        yield _effects(session, now)
        yield _sinks(settings, session)


def _sealing(settings: Settings, session: sa.orm.Session) -> Finding:
    try:
        box = SecretBox(settings.sealing.ring())
        sealing.check_ring(session, box)
    except InvalidInput as error:
        return fail("sealing", error.sentence)
    except ValueError as error:
        return fail("sealing", f"{error} See `govern init --new-sealing-key`.")
    return ok("sealing", f"The ring opens what is sealed; {box.active} seals.")


def _worker(session: sa.orm.Session, now: datetime) -> Finding:
    alive = queries.live_workers(session, now)
    leader = next((worker for worker in alive if worker.is_leader), None)
    if leader is not None:
        others = f", {len(alive) - 1} more stand by" if len(alive) > 1 else ""
        return ok("worker", f"{leader.host} leads{others}.")
    if alive:
        return fail(
            "worker", f"{len(alive)} workers live but none leads. Is another process holding the lock? Restart the workers."
        )
    last = queries.last_heartbeat(session)
    if last is not None:
        return fail(
            "worker",
            f"The worker was last heard of at {last:%Y-%m-%d %H:%M} UTC. Start `govern worker`; its log says why it stopped.",
        )
    return warn("worker", "No worker is running. Start `govern worker`: without it nothing is carried out or pulled.")


def _syncs(settings: Settings, session: sa.orm.Session, now: datetime) -> Iterator[Finding]:
    periods = {
        "directory.sync": settings.sync.directory_minutes, "usage.sync": settings.sync.usage_minutes,
        "costs.sync": settings.sync.costs_minutes,
    }  # fmt: skip
    for standing in queries.standings(session):
        if standing.job not in periods:
            continue
        problem = (
            f" The last run failed: {standing.newest.problem}"
            if standing.newest and standing.newest.state is RunState.FAILED
            else ""
        )
        last = standing.last_success_at
        if last is None:
            yield (fail if problem else warn)(standing.job, f"Never finished yet.{problem or ' The worker begins it by itself.'}")
        elif now - last > STALE:
            yield fail(
                standing.job, f"Last finished {_ago(now - last)} ago. Look at `govern jobs runs --job {standing.job}`.{problem}"
            )
        elif now - last > 3 * timedelta(minutes=periods[standing.job]) or problem:
            yield warn(standing.job, f"Last finished {_ago(now - last)} ago; due every {periods[standing.job]} minutes.{problem}")
        else:
            yield ok(standing.job, f"Last finished {_ago(now - last)} ago.")


def _effects(session: sa.orm.Session, now: datetime) -> Finding:
    count = sa.select(sa.func.count()).select_from(Effect)
    refused = session.scalar(count.where(Effect.state == EffectState.DEAD)) or 0
    late = session.scalar(
        count.where(Effect.state == EffectState.READY, Effect.created_at < now - timedelta(minutes=15), Effect.attempt > 0)
    )
    if late:
        return warn(
            "effects", f"{late} acts at OpenAI or by mail have been tried for more than 15 minutes. The worker's log says why."
        )
    if refused:
        return warn("effects", f"{refused} acts were refused for good. Their keys, invites or alerts show the problem.")
    return ok("effects", "Nothing that is owed is late, and nothing was refused.")


def _sinks(settings: Settings, session: sa.orm.Session) -> Finding:
    standings = checkpoints.standings(session, settings.audit.sinks)
    failing = [
        f"{each.name} since {each.failing_since:%Y-%m-%d %H:%M} UTC ({each.problem})" for each in standings if each.problem
    ]
    if failing:
        return warn("audit sinks", f"Checkpoints of the audit log do not get out: {'; '.join(failing)}")
    if not standings:
        return ok("audit sinks", "None is set up: a cut tail of the audit log cannot be proven from outside ([audit]).")
    return ok("audit sinks", f"Checkpoints of the audit log go to: {', '.join(each.name for each in standings)}.")


def _ago(passed: timedelta) -> str:
    seconds = int(passed.total_seconds())
    for size, word in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size} {word}"
    return f"{seconds} seconds"
