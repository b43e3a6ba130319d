"""`govern token`."""

from __future__ import annotations

from datetime import timedelta

import click

from govern.cli import host, output
from govern.identity import queries, tokens
from govern.identity.models import ApiToken
from govern.identity.permissions import Role


@click.group()
def token() -> None:
    """Create, list and revoke API tokens."""


@token.command()
@click.argument("name")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True, help="It may do what this role may.")
@click.option("--days", type=click.IntRange(1, 365), default=90, show_default=True, help="How long it lives.")
@host.as_json
def create(name: str, role: str, days: int, as_json: bool) -> None:
    """Create a token for a program. Its value is shown once, here."""
    with host.opened() as govern:
        host.check_ready(govern)
        with govern.unit_of_work(host.host_actor()) as uow:
            row, value = tokens.create_system_token(uow, name=name, role=Role(role), lifetime=timedelta(days=days))
    output.show_one(_row(row) | {"value": value.reveal()}, as_json=as_json, sentence=value.reveal())
    if not as_json:
        click.echo(f"{row.id}: good until {row.expires_at:%Y-%m-%d}. It is not kept and cannot be shown again.", err=True)


@token.command("list")
@host.as_json
def list_tokens(as_json: bool) -> None:
    """Tokens, never their values."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        rows = [_row(row) for row in queries.find_tokens(session, limit=500)]
    columns = {
        "id": "Id", "name": "Name", "prefix": "Begins", "expires_at": "Expires (UTC)", "last_used_at": "Last used (UTC)",
        "revoked_at": "Revoked (UTC)",
    }  # fmt: skip
    output.show(rows, columns, as_json=as_json, empty="There are no tokens.")


@token.command()
@click.argument("token_id", metavar="TOKEN")
@click.option("--reason", help="Why; it stands in the audit log.")
def revoke(token_id: str, reason: str | None) -> None:
    """End a token, and those that it made."""
    with host.opened() as govern, govern.unit_of_work(host.host_actor()) as uow:
        tokens.revoke_token(uow, token_id, reason=reason)
    click.echo(f"{token_id} is revoked.")


def _row(row: ApiToken) -> dict[str, object]:
    return {
        "id": row.id, "name": row.name, "prefix": row.prefix, "permissions": row.permissions, "created_at": row.created_at,
        "expires_at": row.expires_at, "last_used_at": row.last_used_at, "revoked_at": row.revoked_at,
    }  # fmt: skip
