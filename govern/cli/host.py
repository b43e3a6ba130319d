"""What every command on the host stands on: the settings, the service wired to them, and who is acting."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import sqlalchemy as sa

from govern.bootstrap import Govern, build
from govern.core import migrations, sealing
from govern.core.errors import Conflict
from govern.core.uow import Actor, ActorKind
from govern.settings import load_settings


def host_actor() -> Actor:
    """Whoever sits at this machine: the account's name, and the machine's."""
    try:
        account = getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number without a name
        account = "unknown"
    return Actor(ActorKind.CLI, f"cli:{account}"[:120], f"{account} on {socket.gethostname()}"[:200])


@contextmanager
def opened(*, outside: bool = False) -> Iterator[Govern]:
    """The service for one command. `outside=True` also reads the admin key, which most commands do not need."""
    govern = build(load_settings(without_admin_key=not outside), outside=outside)
    try:
        yield govern
    finally:
        govern.close()


def prepared(url: str) -> str:
    """The database's URL; the folder of an SQLite file is made, readable by nobody else."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return url


def check_ready(govern: Govern) -> None:
    """Raise Conflict when the database is older than this release, InvalidInput when the ring is not the database's own.

    A database that is *newer* is fine: during an upgrade the old release goes on beside the new one.
    """
    at = migrations.current(govern.engine)
    if at is None or is_older(at):
        raise Conflict("The database is not at the schema that this release needs. Run `govern db upgrade`.")
    with govern.unit_of_work.reading() as session:
        sealing.check_ring(session, govern.box)


def is_older(revision: str) -> bool:
    """Whether this release knows the revision and has newer ones. One that it does not know comes from a newer release."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(migrations.scripts_folder()))
    return revision in {script.revision for script in scripts.walk_revisions()} - set(scripts.get_heads())


def note_ring(govern: Govern) -> None:
    """Leave the mark by which a wrong ring is noticed later."""
    with govern.unit_of_work(host_actor()) as uow:
        sealing.note_ring(uow)


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs instead of a table for people.")
