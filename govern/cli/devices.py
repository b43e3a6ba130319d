"""`govern devices`: the command lines that act for people, seen from the host."""

from __future__ import annotations

import click

from govern.cli import host, output
from govern.core.clock import utcnow
from govern.identity import devices as commands
from govern.identity import queries
from govern.people import queries as people


@click.group()
def devices() -> None:
    """List and end the devices that people signed in with `govern login`."""


@devices.command("list")
@click.option("--person", metavar="ID-OR-EMAIL", help="Only this person's.")
@click.option("--ended", is_flag=True, help="Also those that are over.")
@host.as_json
def list_devices(person: str | None, ended: bool, as_json: bool) -> None:
    """Devices, newest first."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        ids = [people.get(session, person).id] if person else None
        found = queries.find_devices(session, utcnow(), limit=500, person_ids=ids, with_ended=ended)
        names = people.names(session, [row.person_id for row in found])
        rows = [
            {
                "id": row.id, "person": names.get(row.person_id), "name": row.name, "ip": row.ip, "created_at": row.created_at,
                "used_at": row.used_at, "expires_at": row.expires_at, "ended_at": row.ended_at, "end_reason": row.end_reason,
            }
            for row in found
        ]  # fmt: skip
    columns = {
        "id": "Device", "person": "Person", "name": "Calls itself", "ip": "Signed in from", "created_at": "Since (UTC)",
        "used_at": "Last used (UTC)", "ended_at": "Ended (UTC)",
    }  # fmt: skip
    output.show(rows, columns, as_json=as_json, empty="No device is signed in.")


@devices.command()
@click.argument("device_id", metavar="DEVICE")
@click.option("--reason", default="ended on the host", show_default=True, help="Why; it stands in the audit log.")
def end(device_id: str, reason: str) -> None:
    """End a device with all its tokens, at once. Repeating it does no harm."""
    with host.opened() as govern, govern.unit_of_work(host.host_actor()) as uow:
        commands.end_device(uow, device_id, reason=reason)
    click.echo(f"{device_id} is signed out.")
