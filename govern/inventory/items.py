"""Reads of the inventory: one shape for every kind of thing, with its place, whose it is, and since when it is or is no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.errors import NotFound
from govern.inventory.listings import LISTINGS, Listing, in_project, is_listed, matches, owned_by
from govern.inventory.models import Adoption, Group, GroupMember, ProjectGroup, RoleAssignment
from govern.keys.models import Key, KeyVersion, ObservedKey
from govern.members.models import Invite, InviteState, Member
from govern.people import queries as people
from govern.people.models import Person
from govern.projects.models import Project, ServiceAccount


class Shown(StrEnum):
    """What to list: what OpenAI lists now, what it lists no more, or both."""

    LISTED = "listed"
    VANISHED = "vanished"
    ALL = "all"


@dataclass(frozen=True)
class Item:
    """A thing in the inventory. `native` is OpenAI's id; `owner_id` the person who answers for it, where that is known.

    `key_id`: the key of ours that it is or belongs to. An invite is first seen when it was made, and last while it waits.
    """

    kind: str
    id: str
    native: str | None
    label: str
    facts: Mapping[str, Any]
    project_id: str | None
    project_name: str | None
    owner_id: str | None
    owner_name: str | None
    key_id: str | None
    first_seen_at: datetime
    last_seen_at: datetime | None
    vanished_at: datetime | None


def listing_of(kind: str) -> Listing:
    """The kind by its word. Raises NotFound."""
    if kind not in LISTINGS:
        raise NotFound(f"The inventory has no {kind!r}. It has {', '.join(LISTINGS)}.")
    return LISTINGS[kind]


def find(
    session: Session, kind: str, *, after: str | None = None, limit: int = 50, search: str | None = None,
    project: Project | None = None, person_id: str | None = None, shown: Shown = Shown.LISTED,
) -> list[Item]:  # fmt: skip
    """Things of one kind in the order of our ids, after the id `after`. `search` looks into names and ids, without case.

    Raises NotFound for a kind that there is not.
    """
    listing = listing_of(kind)
    query = sa.select(listing.table).order_by(listing.table.id).limit(limit)
    conditions = [listing.table.id > after] if after else []
    if shown is not Shown.ALL:
        conditions.append(is_listed(listing) if shown is Shown.LISTED else ~is_listed(listing))
    if search:
        conditions.append(matches(listing, search))
    if project is not None:
        conditions.append(in_project(listing, project))
    if person_id is not None:
        conditions.append(owned_by(listing, person_id))
    return _items(session, kind, listing, session.scalars(query.where(*conditions)).all())


def get(session: Session, kind: str, item_id: str) -> Item:
    """One thing, by our id or by OpenAI's. Raises NotFound."""
    listing = listing_of(kind)
    which = [listing.table.id == item_id, *([listing.native == item_id] if listing.native is not None else [])]
    row = session.scalars(sa.select(listing.table).where(sa.or_(*which))).first()
    if row is None:
        raise NotFound(f"There is nothing {item_id!r} among the {listing.title.casefold()}.")
    return _items(session, kind, listing, [row])[0]


def counts(session: Session) -> dict[str, tuple[int, int]]:
    """Kind → how many are listed now, and how many have vanished."""
    found = {}
    for kind, listing in LISTINGS.items():
        listed = sa.func.coalesce(sa.func.sum(sa.case((is_listed(listing), 1), else_=0)), 0)
        row = session.execute(sa.select(listed, sa.func.count()).select_from(listing.table)).one()
        found[kind] = (int(row[0]), int(row[1]) - int(row[0]))
    return found


def _items(session: Session, kind: str, listing: Listing, rows: Sequence[Any]) -> list[Item]:
    projects = _projects(session, listing, rows)
    owners, keys = _owners(session, listing, rows)
    names = people.names(session, sorted(set(owners.values())))
    labels = _labels(session, listing, rows)
    return [_item(kind, listing, row, projects, owners, names, keys, labels) for row in rows]


def _item(  # noqa: PLR0917 - what was read for the whole page
    kind: str, listing: Listing, row: Any, projects: Mapping[str, Project], owners: Mapping[str, str], names: Mapping[str, str],
    keys: Mapping[str, str], labels: Mapping[str, str],
) -> Item:  # fmt: skip
    project = projects.get(getattr(row, listing.project.key)) if listing.project is not None else None
    owner = owners.get(row.id)
    facts = {word: getattr(row, column.key) for word, column in listing.facts.items()}
    facts |= {word: labels[str(facts[word])] for word in ("group", "principal") if str(facts.get(word)) in labels}
    if isinstance(row, Invite):
        seen = (row.created_at, None if row.state is InviteState.PENDING else row.settled_at, row.settled_at)
    else:
        seen = (row.first_seen_at, row.last_seen_at, row.vanished_at)
    return Item(
        kind, row.id, getattr(row, listing.native.key) if listing.native is not None else None, labels.get(row.id, row.id), facts,
        project.id if project else None, project.name if project else None, owner, names.get(owner) if owner else None,
        keys.get(row.id), *seen,
    )  # fmt: skip


def _projects(session: Session, listing: Listing, rows: Sequence[Any]) -> dict[str, Project]:
    if listing.project is None:
        return {}
    by = Project.remote_id if listing.project_is_remote else Project.id
    wanted = {getattr(row, listing.project.key) for row in rows}
    found = session.scalars(sa.select(Project).where(by.in_(wanted)))
    return {project.remote_id if listing.project_is_remote else project.id: project for project in found}


def _owners(session: Session, listing: Listing, rows: Sequence[Any]) -> tuple[dict[str, str], dict[str, str]]:
    """Row id → the person who answers for it, and row id → the key of ours that it belongs to."""
    if listing.table in (ObservedKey, ServiceAccount):
        return _holders_of_keys(session, rows)
    if listing.table is Invite:
        found = sa.select(Person.email, Person.id).where(Person.email.in_({row.email for row in rows}))
        by_email = {row[0]: row[1] for row in session.execute(found)}
        return {row.id: by_email[row.email] for row in rows if row.email in by_email}, {}
    if listing.holder is None:
        return {}, {}
    seats = _seats(session, (getattr(row, listing.holder.key) for row in rows))
    held = ((row.id, seats.get(getattr(row, listing.holder.key) or "")) for row in rows)
    return {row_id: seat.person_id for row_id, seat in held if seat and seat.person_id}, {}


def _holders_of_keys(session: Session, rows: Sequence[Any]) -> tuple[dict[str, str], dict[str, str]]:
    """Of ours by their version or account; of adopted ones by who answers for them; of people's own by the seat."""
    versions = {row.version_id for row in rows if isinstance(row, ObservedKey) and row.version_id}
    accounts = {row.remote_id for row in rows if isinstance(row, ServiceAccount)}
    natives = {row.remote_id for row in rows if isinstance(row, ObservedKey)}
    ours = session.execute(
        sa.select(KeyVersion.id, KeyVersion.service_account_remote_id, Key.id, Key.person_id)
        .join(Key, Key.id == KeyVersion.key_id)
        .where(sa.or_(KeyVersion.id.in_(versions), KeyVersion.service_account_remote_id.in_(accounts)))
    ).all()
    by_mark = {mark: (row[2], row[3]) for row in ours for mark in (row[0], row[1]) if mark}
    adopted = {row.key_remote_id: row.person_id
               for row in session.scalars(sa.select(Adoption).where(Adoption.key_remote_id.in_(natives)))}  # fmt: skip
    seats = _seats(session, (row.owner_remote_id for row in rows if isinstance(row, ObservedKey)))
    owners, keys = {}, {}
    for row in rows:
        mark = row.version_id if isinstance(row, ObservedKey) else row.remote_id
        if mark in by_mark:
            keys[row.id], owners[row.id] = by_mark[mark]
        elif isinstance(row, ObservedKey):
            seat = seats.get(row.owner_remote_id or "") if row.owner_kind == "user" else None
            person_id = adopted.get(row.remote_id) or (seat.person_id if seat else None)
            owners |= {row.id: person_id} if person_id else {}
    return owners, keys


def _seats(session: Session, remote_ids: Iterable[str | None]) -> dict[str, Member]:
    wanted = {each for each in remote_ids if each}
    return {row.remote_id: row for row in session.scalars(sa.select(Member).where(Member.remote_id.in_(wanted)))}


def _labels(session: Session, listing: Listing, rows: Sequence[Any]) -> dict[str, str]:
    """Row id, and OpenAI's id of a member or group in it → what people call it."""
    names: dict[str, str] = {}
    if listing.table in (GroupMember, ProjectGroup, RoleAssignment):
        marks = {getattr(row, name) for row in rows for name in ("group_id", "group_remote_id", "principal_remote_id")
                 if hasattr(row, name)}  # fmt: skip
        for group in session.scalars(sa.select(Group).where(sa.or_(Group.id.in_(marks), Group.remote_id.in_(marks)))):
            names |= {group.id: group.name, group.remote_id: group.name}
    if listing.holder is not None and listing.table is not Member:
        seats = _seats(session, (getattr(row, listing.holder.key) for row in rows))
        names |= {remote_id: seat.email or seat.name or remote_id for remote_id, seat in seats.items()}
    return names | {row.id: _label(row, names) for row in rows}


def _label(row: Any, names: Mapping[str, str]) -> str:
    if isinstance(row, Member | Invite):
        return row.email or getattr(row, "name", None) or row.remote_id or row.id
    if isinstance(row, RoleAssignment):
        return f"{names.get(row.principal_remote_id, row.principal_remote_id)}: {row.role}"
    if isinstance(row, ProjectGroup):
        return names.get(row.group_remote_id, row.group_remote_id)
    if hasattr(row, "member_remote_id"):
        return names.get(row.member_remote_id, row.member_remote_id)
    return str(row.name or row.remote_id)
