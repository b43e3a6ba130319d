"""`govern db`."""

from __future__ import annotations

import click

from govern.cli import host
from govern.core import grants as privileges
from govern.core import migrations
from govern.core.db import make_engine
from govern.core.errors import Conflict
from govern.settings import load_settings


@click.group()
def db() -> None:
    """Bring the database to the newest schema, or check it."""


@db.command()
def upgrade() -> None:
    """Bring the database to the newest schema. Safe to repeat, and from several machines at once."""
    settings = load_settings(without_admin_key=True)
    engine = make_engine(host.prepared(settings.database.url))
    try:
        before = migrations.current(engine)
        if before is None or host.is_older(before):
            migrations.upgrade(engine)
        after = migrations.current(engine)
    finally:
        engine.dispose()
    if settings.sealing.keys is not None:
        with host.opened() as govern:
            host.note_ring(govern)
    click.echo(f"The database is at {after}." if before == after else f"The database went from {before or 'empty'} to {after}.")


@db.command()
@click.argument("role")
def grants(role: str) -> None:
    """Print the SQL by which ROLE, an account of PostgreSQL, may run the service but not change or delete an audit event.

    Pipe it into psql as the owner of the tables, after each upgrade: govern db grants govern_app | psql -v ON_ERROR_STOP=1 …
    """
    click.echo("".join(f"{statement};\n" for statement in privileges.statements(role)), nl=False)


@db.command()
def check() -> None:
    """Say whether the database is at the newest schema; exit code 4 if it is not."""
    engine = make_engine(host.prepared(load_settings(without_admin_key=True).database.url))
    try:
        at = migrations.current(engine)
    finally:
        engine.dispose()
    if at is None or host.is_older(at):
        raise Conflict(
            f"The database is at {at or 'no revision'}; this release needs {migrations.newest()}. Run `govern db upgrade`."
        )
    click.echo(f"The database is at {at}.")
