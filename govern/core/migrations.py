"""Bring a database to the newest schema, and say whether it is there."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

_PACKAGE: Final = Path(__file__).resolve().parents[1]


def scripts_folder() -> Path:
    """Where the migrations are: packed beside the installed code, or at the top of a checkout."""
    packed = _PACKAGE / "_migrations"
    return packed if packed.is_dir() else _PACKAGE.parent / "migrations"


def upgrade(engine: sa.Engine, revision: str = "head") -> None:
    """Upgrade to `revision`. Safe to run from several processes: they wait for one another on PostgreSQL and on SQLite."""
    command.upgrade(_config(engine), revision)


def current(engine: sa.Engine) -> str | None:
    """The revision that the database is at; None when it is empty."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest() -> str | None:
    """The revision that the code needs."""
    return ScriptDirectory(str(scripts_folder())).get_current_head()


def _config(engine: sa.Engine) -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts_folder()))
    config.attributes["engine"] = engine
    return config
