"""`govern inventory`."""

from __future__ import annotations

from datetime import timedelta

import click

from govern.cli import host, output
from govern.core.clock import utcnow
from govern.inventory import freshness, items, queries
from govern.inventory.items import Item, Shown
from govern.inventory.listings import LISTINGS
from govern.inventory.models import ProviderEvent, Verdict
from govern.people import queries as people
from govern.projects import queries as projects

KIND = click.Choice(list(LISTINGS))


@click.group()
def inventory() -> None:
    """Everything at OpenAI that can spend money or administer, and OpenAI's own audit log."""


@inventory.command()
@host.as_json
def status(as_json: bool) -> None:
    """What there is of each kind, how fresh that is, and how far OpenAI's audit log is to be believed."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        fresh, counts = freshness.of_all(session), items.counts(session)
        rows: list[dict[str, object]] = [
            {"kind": kind, "listed": listed, "vanished": vanished, "seen_at": fresh[kind].seen_at,
             "read": fresh[kind].read, "of": fresh[kind].of, "is_whole": fresh[kind].is_whole}
            for kind, (listed, vanished) in counts.items()
        ]  # fmt: skip
        log = queries.log_standing(session, utcnow())
    rows.append({"kind": "openai-audit-log", "seen_at": log.read_until, "is_whole": log.state.value, "not_shown": log.not_shown})
    columns = {
        "kind": "Kind", "listed": "Listed", "vanished": "Vanished", "seen_at": "Seen (UTC)", "read": "Listings read",
        "of": "Of", "is_whole": "Whole",
    }  # fmt: skip
    output.show(rows, columns, as_json=as_json, empty="")


@inventory.command("list")
@click.argument("kind", type=KIND)
@click.option("--search", help="Look into names and ids.")
@click.option("--project", help="Only of this project, by id.")
@click.option("--owner", metavar="ID-OR-EMAIL", help="Only what this person answers for.")
@click.option("--show", type=click.Choice([word.value for word in Shown]), default=Shown.LISTED.value, show_default=True)
@click.option("--limit", type=click.IntRange(1, 5000), default=200, show_default=True)
@host.as_json
def list_items(  # noqa: PLR0917 - the filters of the list
    kind: str, search: str | None, project: str | None, owner: str | None, show: str, limit: int, as_json: bool
) -> None:  # fmt: skip
    """Things of one kind."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        found = items.find(
            session, kind, limit=limit, search=search, project=projects.get(session, project) if project else None,
            person_id=people.get(session, owner).id if owner else None, shown=Shown(show),
        )  # fmt: skip
        rows = [_row(item) for item in found]
    columns = {
        "id": "Id", "label": "What", "project_name": "Project", "owner_name": "Owner", "first_seen_at": "First seen",
        "last_seen_at": "Last seen", "vanished_at": "Vanished",
    }  # fmt: skip
    output.show(rows, columns, as_json=as_json, empty=f"There are no such {LISTINGS[kind].title.casefold()}.")


@inventory.command()
@click.argument("kind", type=KIND)
@click.argument("item_id", metavar="ID")
@host.as_json
def show(kind: str, item_id: str, as_json: bool) -> None:
    """One thing, by our id or OpenAI's."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        row = _row(items.get(session, kind, item_id))
    lines = [f"{name}: {output.cell(value)}" for name, value in row.items()]
    output.show_one(row, as_json=as_json, sentence="\n".join(lines))


@inventory.command()
@click.option("--verdict", type=click.Choice([verdict.value for verdict in Verdict]), help="Whose changes.")
@click.option("--type", "type_", help="A type of event, or a beginning that ends in a dot: api_key.")
@click.option("--about", metavar="NATIVE-ID", help="Only of this thing, by OpenAI's id.")
@click.option("--actor", help="Only by this one: an address, a user's or an admin key's id.")
@click.option("--search", help="Look into type, subject and actor.")
@click.option("--days", type=click.IntRange(1, 3660), help="Only of the last days.")
@click.option("--limit", type=click.IntRange(1, 5000), default=100, show_default=True)
@host.as_json
def events(  # noqa: PLR0917 - the filters of the list
    verdict: str | None, type_: str | None, about: str | None, actor: str | None, search: str | None, days: int | None,
    limit: int, as_json: bool,
) -> None:  # fmt: skip
    """OpenAI's own audit log, newest first: each change with whose it was."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        found = queries.find_events(
            session, limit=limit, verdict=Verdict(verdict) if verdict else None, type_=type_, about=about, actor=actor,
            search=search, since=utcnow() - timedelta(days=days) if days else None,
        )  # fmt: skip
        rows = [_event(event) for event in found]
    columns = {"at": "When (UTC)", "type": "What", "about": "About", "actor": "By", "verdict": "Verdict"}
    output.show(rows, columns, as_json=as_json, empty="The log tells of no such change.")


def _row(item: Item) -> dict[str, object]:
    return {
        "kind": item.kind, "id": item.id, "native": item.native, "label": item.label, "project_id": item.project_id,
        "project_name": item.project_name, "owner_id": item.owner_id, "owner_name": item.owner_name, "key_id": item.key_id,
        "first_seen_at": item.first_seen_at, "last_seen_at": item.last_seen_at, "vanished_at": item.vanished_at,
        "facts": item.facts,
    }  # fmt: skip


def _event(event: ProviderEvent) -> dict[str, object]:
    return {
        "id": event.id, "native": event.remote_id, "at": event.at, "type": event.type, "about": event.resource_remote_id,
        "actor": event.actor_email or event.actor_remote_id or event.actor_key_remote_id, "verdict": event.verdict,
        "joined_by": event.joined_by, "details": event.details,
    }  # fmt: skip
