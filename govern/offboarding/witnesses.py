"""Who testifies to a removal: complete listings, OpenAI's own audit log, and usage; and what the evidence says of all three.

Each witness is asked about each thing that it can know of, and says how many of them it has proven. None stands in for another.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.calls import ProviderCall, calls_for
from govern.inventory import queries as events
from govern.inventory.models import ProviderEvent
from govern.inventory.queries import LogState
from govern.keys import queries as keys
from govern.keys.models import Key, KeyKind, KeyVersion
from govern.members.models import Invite
from govern.offboarding import queries, rules
from govern.offboarding.models import Holding, Kind, Offboarding, OffboardingState
from govern.people import queries as people
from govern.projects import queries as projects
from govern.usage import queries as usage

NOT_PROMISED: Final = (
    "A key may be accepted for a short while after its end, until OpenAI has told all of its servers.",
    "Access tokens that were minted before the end live until they expire.",
    "What was copied out of the organization before is out of reach.",
)
TOLD: Final = {
    Kind.KEYS: "service_account.deleted", Kind.SERVICE_ACCOUNTS: "service_account.deleted", Kind.ADMIN_KEYS: "api_key.deleted",
    Kind.FEDERATION_RULES: "workload_identity_provider_mapping.deleted", Kind.INVITES: "invite.deleted",
    Kind.PERSONAL_KEYS: "api_key.deleted", Kind.SEAT: "user.deleted",
}  # fmt: skip
"""What OpenAI's log says when such a thing ends. Of places in groups and projects and of roles it does not say whose."""


class WitnessState(StrEnum):
    """PENDING: it may still prove more. PROVEN: all that it can know of. SILENT: it cannot testify (the log is off).
    INCOMPLETE: it was asked, and does not tell of everything. AGAINST: it tells the contrary."""

    PENDING = "pending"
    PROVEN = "proven"
    SILENT = "silent"
    INCOMPLETE = "incomplete"
    AGAINST = "against"


@dataclass(frozen=True)
class Witness:
    """One of the three: `proven` of `of` things. The sentence says what that rests on."""

    name: str
    state: WitnessState
    proven: int
    of: int
    sentence: str


def heard(session: Session, removal: Offboarding, now: datetime) -> list[Witness]:
    """What the three witnesses say now: listings, log, usage."""
    held = queries.holdings(session, removal.id)
    return [_listings(removal, held), _log(session, removal, held, now), _usage(session, removal)]


def _listings(removal: Offboarding, held: Sequence[Holding]) -> Witness:
    proven, done = sum(row.proven_at is not None for row in held), removal.state is OffboardingState.DONE
    twice = sum("second" in marks for marks in removal.listings.values())
    sentence = f"{twice} listings were read to their end twice and show nothing of them."
    if not done:
        sentence = f"{twice} of {len(removal.listings)} listings read so far have shown nothing of them twice."
    return Witness("complete_listings", WitnessState.PROVEN if done else WitnessState.PENDING, proven, len(held), sentence)


def _log(session: Session, removal: Offboarding, held: Sequence[Holding], now: datetime) -> Witness:
    name, asked = "openai_audit_log", [row for row in held if row.kind in TOLD]
    log = events.log_standing(session, now)
    if log.state in (LogState.OFF, LogState.NEVER_READ):
        why = "is not switched on for this organization" if log.state is LogState.OFF else "was never read"
        return Witness(name, WitnessState.SILENT, 0, len(asked), f"OpenAI's audit log {why}: it proves nothing here.")
    proven = len(ends(session, removal, asked))
    if asked and proven == len(asked):
        return Witness(name, WitnessState.PROVEN, proven, len(asked), "OpenAI's audit log tells of the end of each of them.")
    told = f"OpenAI's audit log, read until {log.read_until:%Y-%m-%d %H:%M} UTC, tells of {proven} of {len(asked)} ends."
    over = removal.done_at is not None and log.covers(removal.started_at, removal.done_at)
    return Witness(name, WitnessState.INCOMPLETE if over else WitnessState.PENDING, proven, len(asked), told)


def _usage(session: Session, removal: Offboarding) -> Witness:
    remote_ids = remote_key_ids(session, removal)
    if removal.done_at is None:
        return Witness("no_usage", WitnessState.PENDING, 0, len(remote_ids), "Usage is watched once the listings have proven it.")
    used = used_after(session, remote_ids, removal.done_at)
    if used:
        said = f"OpenAI reports use of {len(used)} of {len(remote_ids)} keys after their end."
        return Witness("no_usage", WitnessState.AGAINST, len(remote_ids) - len(used), len(remote_ids), said)
    if removal.sealed_at is not None:
        return Witness(
            "no_usage", WitnessState.PROVEN, len(remote_ids), len(remote_ids), "No use of them was reported before the seal."
        )
    return Witness("no_usage", WitnessState.PENDING, 0, len(remote_ids), "No use of them is reported so far; sealed a day later.")


def ends(session: Session, removal: Offboarding, held: Collection[Holding]) -> dict[str, ProviderEvent]:
    """Holding's id → the event in OpenAI's log that says that it ended, whoever ended it."""
    found: dict[str, ProviderEvent] = {}
    lasting = [row for row in held if row.kind is not Kind.SEAT]
    told = events.events_about(session, {row.remote_id for row in lasting})
    by_id = {(event.type, event.resource_remote_id): event for event in told}
    for row in lasting:
        event = by_id.get((TOLD.get(row.kind, ""), row.remote_id))
        if event is not None:
            found[row.id] = event
    for row in held:
        if row.kind is Kind.SEAT and (event := _seat_end(session, removal, row)) is not None:
            found[row.id] = event
    return found


def _seat_end(session: Session, removal: Offboarding, row: Holding) -> ProviderEvent | None:
    """The event of the seat's end. Leaving a project makes one of the same name and id, so there has to be one more than those,
    or one after the last of them."""
    events_ = [e for e in events.events_about(session, [row.remote_id], since=removal.started_at) if e.type == TOLD[Kind.SEAT]]
    path = f"/organization/users/{row.remote_id}"
    ours = sa.select(ProviderCall).where(ProviderCall.path.endswith(f"/users/{row.remote_id}", autoescape=True))
    made = session.scalars(ours.where(ProviderCall.method == "DELETE", ProviderCall.status < 300)).all()
    places = [call.at for call in made if call.path != path and call.at >= removal.started_at]
    if len(events_) > len(places) or (events_ and events_[-1].at > max(places)):
        return events_[-1]
    return None


def removal_facts(session: Session, removal: Offboarding) -> dict[str, Any]:
    """Everything that evidence of a removal says, in JSON's terms. Never a value of a key."""
    assert removal.done_at is not None  # evidence is of what is proven
    versions = keys.all_versions(session, removal.person_id) if removal.person_id else []
    invites = session.scalars(sa.select(Invite.id).where(Invite.email == removal.email)).all()
    rotated, held = _rotated(session, removal), queries.holdings(session, removal.id)
    subjects = [removal.id, *(version.id for version in versions), *invites, *(version.id for version in rotated)]
    first_look = max(marks["first"] for marks in removal.listings.values())
    return {
        "email": removal.email,
        "person": removal.person_id,
        "member": removal.member_remote_id,
        "reason": removal.reason,
        "started_by": removal.started_by,
        "started_by_name": _name_of(session, removal.started_by),
        "started_at": removal.started_at.isoformat(),
        "proven_at": removal.done_at.isoformat(),
        "steps": removal.steps,
        "holdings": [_holding(row) for row in held],
        "keys": [_version(session, version) for version in versions],
        "shared_keys_rotated": [_version(session, version) for version in rotated],
        "witnesses": {
            "complete_listings": [first_look, removal.done_at.isoformat()],
            "proven": {"proven": sum(row.proven_at is not None for row in held), "of": len(held)},
            "listings": [
                {"listing": name, "first": marks["first"], "second": marks["second"]}
                for name, marks in sorted(removal.listings.items())
                if {"first", "second"} <= marks.keys()
            ],
            "openai_audit_log": "read after this was signed; see the seal of this removal",
            "usage": "watched after this was signed; see the seal of this removal",
        },
        "changes_at_openai": [
            {
                "at": call.at.isoformat(), "method": call.method, "path": call.path, "status": call.status,
                "request_id": call.request_id,
            }
            for call in calls_for(session, subjects)
            if call.at >= removal.started_at
        ],
        "not_promised": list(NOT_PROMISED),
    }  # fmt: skip


def _name_of(session: Session, actor_id: str) -> str | None:
    """Who that is, for readers who have only the file; None for what is no person."""
    person = people.find(session, actor_id)
    return f"{person.name} <{person.email}>" if person else None


def _holding(row: Holding) -> dict[str, Any]:
    return {
        "kind": row.kind.value, "in": row.place or None, "id": row.remote_id, "name": row.name, "api_key": row.key_remote_id,
        "found_at": row.found_at.isoformat(), "ended_at": row.asked_at.isoformat() if row.asked_at else None,
        "refused": row.refusal, "proven_at": row.proven_at.isoformat() if row.proven_at else None,
    }  # fmt: skip


def _version(session: Session, version: KeyVersion) -> dict[str, Any]:
    key = keys.get(session, version.key_id)
    return {
        "key": key.id, "name": key.name, "version": version.id, "project": projects.get(session, key.project_id).remote_id,
        "service_account": version.service_account_remote_id, "api_key": version.remote_id, "state": version.state.value,
        "ended_at": version.ended_at.isoformat() if version.ended_at else None,
    }  # fmt: skip


def _rotated(session: Session, removal: Offboarding) -> list[KeyVersion]:
    """The new versions of shared keys that this removal asked for."""
    query = (
        sa.select(KeyVersion)
        .join(Key, Key.id == KeyVersion.key_id)
        .where(Key.kind == KeyKind.SHARED, KeyVersion.created_at >= removal.started_at)
        .where(KeyVersion.reason == rules.why(removal.email, removal.reason))
    )
    return list(session.scalars(query.order_by(KeyVersion.id)))


def remote_key_ids(session: Session, removal: Offboarding) -> set[str]:
    """OpenAI's ids of the keys that ended: those that we issued, and those that they made."""
    versions = keys.all_versions(session, removal.person_id) if removal.person_id else []
    made = {row.remote_id for row in queries.holdings(session, removal.id) if row.kind is Kind.PERSONAL_KEYS}
    return {version.remote_id for version in versions if version.remote_id} | made


def seal_facts(session: Session, removal: Offboarding, until: datetime, now: datetime) -> dict[str, Any]:
    """What the seal says: usage that was watched, and what OpenAI's own audit log tells of the same ends."""
    assert removal.done_at is not None  # only what is proven is sealed
    held = queries.holdings(session, removal.id)
    log, found = events.log_standing(session, now), ends(session, removal, [row for row in held if row.kind in TOLD])
    return {
        "email": removal.email,
        "evidence": removal.evidence_id,
        "proven_at": removal.done_at.isoformat(),
        "keys_watched": sorted(remote_key_ids(session, removal)),
        "watched_until": until.isoformat(),
        "used": [],
        "witnesses": [asdict(witness) for witness in heard(session, removal, now)],
        "openai_audit_log": {
            "state": rules.LOG_SAID[log.state],
            "read_until": log.read_until.isoformat() if log.read_until else None,
            "events": [_event(event) for event in dict.fromkeys(found.values())],
            "not_told": [row.remote_id for row in held if row.kind in TOLD and row.id not in found],
        },
    }


def _event(event: ProviderEvent) -> Mapping[str, Any]:
    return {
        "id": event.remote_id, "type": event.type, "at": event.at.isoformat(), "resource": event.resource_remote_id,
        "by_us": event.is_ours,
    }  # fmt: skip


def log_has_spoken(session: Session, removal: Offboarding, now: datetime) -> bool:
    """Whether waiting for OpenAI's log would bring nothing more: it is off, was read past the end, or tells of everything."""
    if heard(session, removal, now)[1].state is not WitnessState.PENDING:
        return True
    return removal.done_at is not None and now - removal.done_at > rules.LOG_PATIENCE


def used_after(session: Session, remote_ids: Collection[str], end: datetime) -> set[str]:
    """Which of the keys were used in a bucket that began after the end; the hour of the end itself says nothing."""
    next_hour = end.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return {remote_id for remote_id, at in usage.last_uses(session, remote_ids).items() if at >= next_hour}


def usage_is_known_until(session: Session, at: datetime) -> bool:
    """Whether usage was read far enough to say that there was none."""
    until = usage.freshness(session).estimated_until
    return until is not None and until >= at
