"""How old each listing of the inventory is, from the ledger of complete readings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.readings import Reading
from govern.inventory import sync as inventory
from govern.members import sync as directory
from govern.projects.models import Project


@dataclass(frozen=True)
class Freshness:
    """`seen_at`: everything shown is at least as new as this; None: never read, or not all of it.

    A kind is often many listings (one per project): `read` of `of` were read in the sweep that is under way or was the last.
    """

    seen_at: datetime | None
    read: int
    of: int

    @property
    def is_whole(self) -> bool:
        """Whether the last sweep read all of it."""
        return self.read == self.of and self.seen_at is not None


_PARTS: Final[Mapping[str, tuple[str, str]]] = {
    "project-keys": (directory.SWEEP, "proj"),
    "service-accounts": (directory.SWEEP, "proj"),
    "project-members": (directory.SWEEP, "proj"),
    "members": (directory.TOPS, "members"),
    "invites": (directory.TOPS, "invites"),
    "admin-keys": (inventory.SWEEP, "admin_keys"),
    "groups": (inventory.SWEEP, "groups"),
    "group-members": (inventory.SWEEP, "group:"),
    "project-groups": (inventory.SWEEP, "project:"),
    "roles": (inventory.ROLES, ""),
    "federation-providers": (inventory.SWEEP, "providers"),
    "federation-rules": (inventory.SWEEP, "provider:"),
}
"""Kind → the sweep that reads it, and how its listings are called in the ledger."""


def of_all(session: Session) -> dict[str, Freshness]:
    """Kind → how fresh it is."""
    rows = session.scalars(sa.select(Reading)).all()
    open_projects = set(
        session.scalars(sa.select(Project.remote_id).where(Project.vanished_at.is_(None), Project.archived_at.is_(None)))
    )
    return {kind: _of(rows, sweep, name, open_projects) for kind, (sweep, name) in _PARTS.items()}


def _of(rows: Sequence[Reading], sweep: str, name: str, open_projects: set[str]) -> Freshness:
    number = next((row.number for row in rows if (row.sweep, row.listing) == (sweep, "")), 0)
    mine = {row.listing: row for row in rows if row.sweep == sweep and row.listing}
    if name == "proj":  # an archived project has its last reading still
        wanted = open_projects
    elif name in ("", "group:", "project:", "provider:"):
        wanted = {listing for listing in mine if listing.startswith(name)}
    else:
        wanted = {name}
    # A part that is not read any more (a group that ended) stays behind: only what the last sweeps read counts.
    if name in ("group:", "project:", "provider:"):
        wanted = {listing for listing in wanted if mine[listing].number >= number - 1}
    times = [mine[listing].complete_at for listing in wanted if listing in mine]
    known = [at for at in times if at is not None]
    read = sum(listing in mine and mine[listing].number == number for listing in wanted)
    if not wanted:  # none of it exists; the listing above it says since when
        top = mine.get({"group:": "groups", "project:": "groups", "provider:": "providers"}.get(name, name))
        return Freshness(top.complete_at if top else None, 0, 0)
    return Freshness(min(known) if len(known) == len(wanted) else None, read, len(wanted))
