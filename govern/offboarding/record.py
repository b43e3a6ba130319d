"""What a removal finds and does, written down as it goes: `effects` calls these in units of work that also hold its claim."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa

from govern.audit import service as audit
from govern.core import outbox
from govern.core.uow import UnitOfWork
from govern.keys import service as keys
from govern.offboarding import rules
from govern.offboarding.case import Thing
from govern.offboarding.looks import Seen, listings_of
from govern.offboarding.models import Holding, Kind, Offboarding

CLEARED, FIRST, SECOND = "cleared", "first", "second"


def hold(uow: UnitOfWork, removal_id: str, things: Mapping[Thing, tuple[str | None, str | None]]) -> None:
    """Write down what they are known to hold: each thing with its name and, for a service account of ours, its key."""
    for thing, (name, key) in things.items():
        uow.session.add(
            Holding(
                id=uow.new_id("hld"), offboarding_id=removal_id, kind=thing.kind, place=thing.place, remote_id=thing.remote_id,
                name=name[:300] if name else None, key_remote_id=key, found_at=uow.now,
            )
        )  # fmt: skip


def asked(uow: UnitOfWork, removal_id: str, taken: Collection[Thing], refused: Mapping[Thing, str]) -> None:
    """OpenAI took these deletions, and refused those. Neither proves anything."""
    for thing, row in _rows(uow, removal_id).items():
        if thing in taken:
            row.asked_at, row.refusal = uow.now, None
        elif thing in refused:
            row.refusal = refused[thing][:300]
    removal = uow.session.get_one(Offboarding, removal_id)
    audit.record(uow, "member.ends_asked", removal, taken=len(taken), refused=len(refused))


def read(uow: UnitOfWork, removal_id: str, mark: str, clean: Sequence[str], seen: Seen, *, keep: bool = False) -> None:
    """These listings were read to their end and show nothing of them; other listings showed these things.

    What is seen (again) is to be ended (again), and the listings that show it are to be read anew. Whoever still has a seat, or
    an invite to one, may have made anything meanwhile: then every listing is. `keep`: what is seen is ended right now, so the
    listings count as read all the same.
    """
    removal = uow.session.get_one(Offboarding, removal_id, with_for_update=True, populate_existing=True)
    listings = {name: dict(marks) for name, marks in removal.listings.items()}
    for name in clean:
        listings.setdefault(name, {})[mark] = uow.now.isoformat()
    rows = _rows(uow, removal_id)
    fresh = {thing: (name, None) for thing, name in seen.items() if thing not in rows}
    hold(uow, removal_id, fresh)
    for thing in seen.keys() & rows.keys():
        rows[thing].asked_at = rows[thing].proven_at = None
    for thing in seen:
        for name in listings_of(thing):
            listings.pop(name, None)
    for name in clean if keep else ():
        listings.setdefault(name, {})[mark] = uow.now.isoformat()
    if seen and mark != CLEARED:
        _proof_failed(uow, removal, {thing.kind for thing in seen})
    if any(thing.kind is Kind.SEAT for thing in fresh) or (mark != CLEARED and _lets_in(seen)):
        listings = {}
    removal.listings = listings
    if mark == SECOND:
        for thing, row in rows.items():
            if thing not in seen and row.proven_at is None and _bear(listings, listings_of(thing), SECOND):
                row.proven_at = uow.now


def _lets_in(seen: Seen) -> bool:
    return any(thing.kind in (Kind.SEAT, Kind.INVITES) for thing in seen)


def _bear(listings: Mapping[str, Mapping[str, str]], names: Sequence[str], mark: str) -> bool:
    return all(mark in listings.get(name, {}) for name in names)


def _proof_failed(uow: UnitOfWork, removal: Offboarding, kinds: Collection[Kind]) -> None:
    if removal.first_look_at is None and all(step["state"] == "waiting" for step in removal.steps if step["name"] in kinds):
        return  # it is known already
    removal.steps = [step | {"state": "waiting"} if step["name"] in kinds else step for step in removal.steps]
    removal.first_look_at = None
    audit.record(uow, "member.proof_failed", removal, showing=sorted(kinds))


def versions_ended(uow: UnitOfWork, version_ids: Sequence[str]) -> None:
    """Complete listings of their projects show these versions no more: what `key.revoke` owed is done."""
    for version_id in version_ids:
        keys.record_ended(uow, version_id)
        outbox.withdraw(uow, "key.revoke", version_id)


def steps_done(uow: UnitOfWork, removal_id: str, kinds: Collection[Kind]) -> None:
    """Note that these steps are through, so that whoever looks sees how far it is; what was found and ended stays on record."""
    removal, rows = uow.session.get_one(Offboarding, removal_id), _rows(uow, removal_id)
    steps = []
    for step in removal.steps:
        if step["name"] not in kinds or step["state"] == "done":
            steps.append(step)
            continue
        mine = [row for thing, row in rows.items() if thing.kind == step["name"]]
        found, ended = len(mine), sum(row.asked_at is not None for row in mine)
        audit.record(uow, "member.step_done", removal, step=step["name"], found=found, ended=ended)
        steps.append(step | {"state": "done", "found": found, "ended": ended, "at": uow.now.isoformat()})
    removal.steps, removal.waiting_for = steps, None


def first_look(uow: UnitOfWork, removal_id: str) -> None:
    """Complete listings showed nothing of them, once. A listing may lag, so the word *revoked* waits for a second look."""
    removal = uow.session.get_one(Offboarding, removal_id)
    removal.first_look_at, removal.waiting_for = uow.now, rules.SECOND_LOOK
    audit.record(uow, "member.looked_absent", removal)


def waiting(uow: UnitOfWork, removal_id: str, sentence: str) -> None:
    """Say what it waits for."""
    uow.session.get_one(Offboarding, removal_id).waiting_for = sentence[:300]


def all_proven(uow: UnitOfWork, removal_id: str) -> None:
    """Every listing was read twice and shows nothing of them."""
    left = sa.update(Holding).where(Holding.offboarding_id == removal_id, Holding.proven_at.is_(None))
    uow.session.execute(left.values(proven_at=uow.now))


def _rows(uow: UnitOfWork, removal_id: str) -> dict[Thing, Holding]:
    query = sa.select(Holding).where(Holding.offboarding_id == removal_id).order_by(Holding.id)
    return {Thing(row.kind, row.place, row.remote_id): row for row in uow.session.scalars(query)}
