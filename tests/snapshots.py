"""A world that many tests begin with is brought about once for each process and copied from then on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from freezegun.api import freeze_factories

from govern.audit.models import AuditEvent
from govern.core.clock import utcnow

if TYPE_CHECKING:
    from govern.fakes.openai import FakeOpenAI
    from tests.given import World

_STILL_NOW = timedelta(seconds=15)
"""Where a test's clock runs, what was brought about longer ago was not "just now" any more."""


@dataclass
class Snapshots:
    """`snapshots.begin("known", world, bring_about)`: the database holds what `bring_about` does to one that is new.

    Copies are taken of SQLite files. A copy serves tests whose organization looks the same, at the same moment, or nearly so
    where the clock runs.
    """

    folder: Path
    _kept: dict[str, tuple[str, datetime]] = field(default_factory=dict)

    def begin(self, name: str, world: World, bring_about: Callable[[], object]) -> None:
        engine, looks, now = world.govern.engine, _looks(world.openai), utcnow()
        if engine.dialect.name != "sqlite" or not _is_new(engine):
            bring_about()
            return
        database, copy = Path(str(engine.url.database)), self.folder / f"{name}.db"
        before, at = self._kept.get(name, ("", now))
        if looks == before and timedelta(0) <= now - at <= (timedelta(0) if freeze_factories else _STILL_NOW):
            engine.dispose()
            shutil.copy(copy, database)
            return
        bring_about()
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        engine.dispose()
        shutil.copy(database, copy)
        self._kept[name] = (looks, now)


def _is_new(engine: sa.Engine) -> bool:
    with engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(AuditEvent)) == 0


def _looks(openai: FakeOpenAI) -> str:
    """All that a pull of the directory sees."""
    t = openai.org.tables
    places = (t.memberships, t.service_accounts, t.keys, t.groups, t.project_groups, t.roles, t.assignments)
    return repr((openai.behaviour, t.users, t.invites, t.projects, *places))
