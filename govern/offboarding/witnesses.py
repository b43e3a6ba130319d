"""What stands in the evidence of a removal: what was found, ended and verified, by whom, and the changes made at OpenAI."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.calls import calls_for
from govern.core.readings import completed_at
from govern.inventory import events
from govern.inventory.models import ProviderEvent
from govern.keys import queries as keys
from govern.keys.models import Key, KeyKind, KeyVersion, ObservedKey
from govern.members.models import Invite
from govern.offboarding import rules
from govern.offboarding.models import Offboarding
from govern.people import queries as people
from govern.projects import queries as projects
from govern.usage import queries as usage

NOT_PROMISED: Final = (
    "A key may be accepted for a short while after its end, until OpenAI has told all of its servers.",
    "Access tokens that were minted before the end live until they expire.",
    "What was copied out of the organization before is out of reach.",
)


def removal_facts(session: Session, removal: Offboarding) -> dict[str, Any]:
    """Everything that evidence of a removal says, in JSON's terms. Never a value of a key."""
    assert removal.done_at is not None  # evidence is of what is proven
    assert removal.first_look_at is not None
    versions = keys.all_versions(session, removal.person_id) if removal.person_id else []
    invites = session.scalars(sa.select(Invite.id).where(Invite.email == removal.email)).all()
    rotated = _rotated(session, removal)
    subjects = [removal.id, *(version.id for version in versions), *invites, *(version.id for version in rotated)]
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
        "keys": [_version(session, version) for version in versions],
        "shared_keys_rotated": [_version(session, version) for version in rotated],
        "witnesses": {
            "complete_listings": [removal.first_look_at.isoformat(), removal.done_at.isoformat()],
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
    return f"{person.name} <{person.email}>" if person and person.name else person.email if person else None


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
    """OpenAI's ids of the keys that ended: those that we issued, and those that they made, as far as they were seen."""
    versions = keys.all_versions(session, removal.person_id) if removal.person_id else []
    own = sa.select(ObservedKey.remote_id).where(ObservedKey.owner_remote_id == removal.member_remote_id)
    made = session.scalars(own).all() if removal.member_remote_id else []
    return {version.remote_id for version in versions if version.remote_id} | set(made)


def seal_facts(session: Session, removal: Offboarding, until: datetime) -> dict[str, Any]:
    """What the seal says: usage that was watched, and what OpenAI's own audit log tells of the same ends."""
    assert removal.done_at is not None  # only what is proven is sealed
    remote_ids = remote_key_ids(session, removal)
    return {
        "email": removal.email,
        "evidence": removal.evidence_id,
        "proven_at": removal.done_at.isoformat(),
        "keys_watched": sorted(remote_ids),
        "watched_until": until.isoformat(),
        "used": [],
        "openai_audit_log": _events(session, removal, remote_ids),
    }


def _events(session: Session, removal: Offboarding, remote_ids: Collection[str]) -> dict[str, Any]:
    if completed_at(session, events.SWEEP) is None:
        return {"state": "not enabled or never read", "events": []}
    versions = keys.all_versions(session, removal.person_id) if removal.person_id else []
    ended = {*remote_ids, removal.member_remote_id, *(version.service_account_remote_id for version in versions)} - {None}
    # OpenAI tells whole seconds.
    since = removal.started_at.replace(microsecond=0)
    query = sa.select(ProviderEvent).where(ProviderEvent.resource_remote_id.in_(ended), ProviderEvent.at >= since)
    found = session.scalars(
        query.where(ProviderEvent.type.endswith(".deleted")).order_by(ProviderEvent.at, ProviderEvent.id)
    ).all()
    return {
        "state": "read",
        "events": [
            {"id": event.remote_id, "type": event.type, "at": event.at.isoformat(), "resource": event.resource_remote_id,
             "by_us": event.is_ours}
            for event in found
        ],
    }  # fmt: skip


def used_after(session: Session, remote_ids: Collection[str], end: datetime) -> set[str]:
    """Which of the keys were used in a bucket that began after the end; the hour of the end itself says nothing."""
    next_hour = end.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return {remote_id for remote_id, at in usage.last_uses(session, remote_ids).items() if at >= next_hour}


def usage_is_known_until(session: Session, at: datetime) -> bool:
    """Whether usage was read far enough to say that there was none."""
    until = usage.freshness(session).estimated_until
    return until is not None and until >= at
