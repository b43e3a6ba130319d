"""`govern init`: what a fresh install needs before anybody can sign in."""

from __future__ import annotations

import base64
import os
import secrets
import sys
from pathlib import Path

import click

from govern.cli import host
from govern.core.clock import utcnow
from govern.core.errors import Conflict, InvalidInput
from govern.identity import queries as identity_queries
from govern.identity import service as identity
from govern.identity.rules import SETUP_LINK_LIFE


@click.command()
@click.option(
    "--new-sealing-key", "key_file", type=click.Path(path_type=Path), metavar="FILE",
    help="Write a new sealing key to FILE (which must not exist yet) and stop.",
)  # fmt: skip
@click.option("--admin", "email", metavar="EMAIL", help="Whom the one-time link signs in.")
@click.option("--again", is_flag=True, help="Make a link although there is an administrator or single sign-on already.")
def init(key_file: Path | None, email: str | None, again: bool) -> None:
    """Make a sealing key, or a one-time link for the first administrator.

    \b
    govern init --new-sealing-key /etc/govern/sealing.keys
    govern db upgrade
    govern init --admin you@example.com

    The link works once, within 15 minutes. It is also the way in when single sign-on is broken (--again); every link is
    written to the audit log.
    """
    if key_file is not None:
        write_sealing_key(key_file)
        click.echo(f"Wrote a new sealing key to {key_file}. Keep a copy where the database's backups are not,")
        click.echo("and name the file in GOVERN_SEALING_KEYS_FILE. Without it no sealed secret can ever be opened again.")
        return
    with host.opened() as govern:
        host.check_ready(govern)
        host.note_ring(govern)
        with govern.unit_of_work.reading() as session:
            has_admin = identity_queries.has_administrator(session)
        if (has_admin or govern.settings.oidc.issuer is not None) and not again:
            reason = "There is an administrator already" if has_admin else "Single sign-on is set up"
            raise Conflict(
                f"{reason}, so no link is needed: sign in at {govern.settings.web.url}. To make one anyway, add --again."
            )
        if email is None and sys.stdin.isatty():
            email = click.prompt("Address of the administrator", err=True)
        if not email:
            raise InvalidInput(
                "Say whom the link is for: govern init --admin you@example.com", {"admin": "An address is needed."}
            )
        with govern.unit_of_work(host.host_actor()) as uow:
            secret = identity.create_setup_link(uow, email)
        until = utcnow() + SETUP_LINK_LIFE
        click.echo(f"{govern.settings.web.url}/auth/setup/{secret.reveal()}")
        click.echo(f"Open this link once before {until:%H:%M} UTC. It signs {email} in as administrator.", err=True)


def write_sealing_key(path: Path) -> None:
    """Write a ring with one new key, mode 0600. Raises Conflict when the file exists: a lost ring cannot be made again."""
    kid = f"k{utcnow():%Y%m%d}"
    line = f"{kid}:{base64.b64encode(secrets.token_bytes(32)).decode()}\n"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Conflict(
            f"{path} exists already and is left as it is: overwriting a sealing key would lose all it sealed."
        ) from None
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}.") from None
    with os.fdopen(handle, "w") as file:
        file.write(line)
