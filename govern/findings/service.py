"""Commands on findings: accept, assign, adopt, and what brings a fix about. The rules themselves are in `rules`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

import sqlalchemy as sa

from govern.audit import service as audit
from govern.core import outbox
from govern.core.errors import Conflict, GovernError, InvalidInput, PolicyViolation
from govern.core.uow import UnitOfWork
from govern.findings import queries
from govern.findings.models import WAITING, Finding, FindingState
from govern.findings.types import NONE
from govern.inventory.models import AdminKey, Adoption
from govern.keys import rotation
from govern.keys import service as keys
from govern.keys.models import ObservedKey
from govern.members import service as members
from govern.offboarding import service as offboarding
from govern.people import queries as people
from govern.people.models import PersonState
from govern.projects.models import ServiceAccount

LONGEST: Final = timedelta(days=366)
OPEN_TO_CHANGE: Final = (*WAITING, FindingState.ACCEPTED)


def accept(uow: UnitOfWork, finding_id: str, *, reason: str, until: date) -> Finding:
    """It may stay until that day; then it is open again. Raises NotFound, Conflict, InvalidInput."""
    row = _open(uow, finding_id)
    reason = _check_reason(reason)
    if not uow.now.date() < until <= (uow.now + LONGEST).date():
        raise InvalidInput("Accept it until a day within a year.", {"until": "A day after today, at most a year from now."})
    row.state, row.accepted_reason, row.accepted_until, row.accepted_by = FindingState.ACCEPTED, reason, until, uow.actor.id
    audit.record(uow, "finding.accepted", row, reason=reason, type=row.type, label=row.label, until=until)
    return row


def assign(uow: UnitOfWork, finding_id: str, person: str) -> Finding:
    """Somebody is to look at it. Raises NotFound, Conflict."""
    row = _open(uow, finding_id)
    who = people.get(uow.session, person)
    row.state, row.assigned_to = FindingState.ASSIGNED, who.id
    audit.record(uow, "finding.assigned", row, type=row.type, label=row.label, to=who.email)
    return row


def adopt(uow: UnitOfWork, finding_id: str, person: str, *, reason: str) -> Finding:
    """Somebody answers for the unmanaged key from now on. Raises NotFound, Conflict, InvalidInput, PolicyViolation."""
    row = _open(uow, finding_id)
    if row.type not in ("unmanaged_key", "orphan") or row.subject_kind != "observed_keys":
        raise Conflict("Only a key that this service did not issue can be taken under management.")
    reason, who = _check_reason(reason), people.get(uow.session, person)
    if who.state is not PersonState.ACTIVE:
        raise PolicyViolation(f"{who.email} has left or is leaving.", "holder_active")
    key = uow.session.get_one(ObservedKey, row.subject_id)
    held = uow.session.scalars(sa.select(Adoption).where(Adoption.key_remote_id == key.remote_id)).one_or_none()
    if held is None:
        held = Adoption(id=uow.new_id("ado"), key_remote_id=key.remote_id)
        uow.session.add(held)
    held.person_id, held.reason, held.adopted_by, held.adopted_at = who.id, reason, uow.actor.id, uow.now
    row.state, row.closed_at, row.owner_id = FindingState.FIXED, uow.now, who.id
    audit.record(uow, "finding.adopted", row, reason=reason, label=row.label, owner=who.email)
    return row


def fix(uow: UnitOfWork, finding_id: str, *, reason: str, overlap: timedelta) -> Finding:
    """Owe what ends it. It is called fixed when a later look shows it no more. Repeating it changes nothing.

    Raises NotFound, InvalidInput, Conflict, PolicyViolation.
    """
    row = uow.session.get(Finding, finding_id, with_for_update=True, populate_existing=True)
    if row is not None and row.state in (FindingState.FIXING, FindingState.FIXED):
        return row
    row, reason = _open(uow, finding_id), _check_reason(reason)
    if row.fix == NONE:
        raise Conflict("Nothing here can end it. Accept it, assign it, or change it at OpenAI.")
    _bring_about(uow, row, f"Finding {row.type}: {reason}"[:500], overlap)
    row.state, row.problem = FindingState.FIXING, None
    audit.record(uow, "finding.fix_requested", row, reason=reason, type=row.type, label=row.label, fix=row.fix)
    return row


def fix_many(uow: UnitOfWork, finding_ids: Sequence[str], *, reason: str, overlap: timedelta) -> dict[str, str | None]:
    """Fix each; id → None, or the sentence that says why not. One that cannot does not stop the others."""
    outcomes: dict[str, str | None] = {}
    for finding_id in dict.fromkeys(finding_ids):
        try:
            with uow.session.begin_nested():
                fix(uow, finding_id, reason=reason, overlap=overlap)
            outcomes[finding_id] = None
        except GovernError as error:
            outcomes[finding_id] = error.sentence
    return outcomes


def record_ended(uow: UnitOfWork, row: ObservedKey | ServiceAccount | AdminKey) -> None:
    """A complete listing shows it no more."""
    row.vanished_at = uow.now
    if isinstance(row, ServiceAccount):
        its = sa.update(ObservedKey).where(ObservedKey.owner_remote_id == row.remote_id, ObservedKey.vanished_at.is_(None))
        uow.session.execute(its.values(vanished_at=uow.now))
    audit.record(uow, "finding.subject_ended", row, name=row.name)


def _bring_about(uow: UnitOfWork, row: Finding, reason: str, overlap: timedelta) -> None:
    if row.fix == "delete_key":
        key = uow.session.get_one(ObservedKey, row.target_id)
        if key.version_id is not None:
            raise Conflict("This service issued the key by now. Revoke it instead.")
        outbox.enqueue(uow, "observed_key.delete", key.id)
    elif row.fix == "delete_account":
        outbox.enqueue(uow, "service_account.delete", row.target_id)
    elif row.fix == "delete_admin_key":
        if uow.session.get_one(AdminKey, row.target_id).is_ours:
            raise PolicyViolation("This is the admin key that this service uses itself.", "own_admin_key")
        outbox.enqueue(uow, "admin_key.delete", row.target_id)
    elif row.fix == "revoke_key":
        keys.revoke_key(uow, row.target_id, reason=reason)
    elif row.fix == "rotate_key":
        rotation.rotate(uow, row.target_id, reason=reason, overlap=overlap)
    elif row.fix == "remove_person":
        offboarding.start(uow, row.target_id, reason=reason)
    elif row.fix == "cancel_invite":
        members.cancel_invite(uow, row.target_id)
    else:
        raise Conflict(f"This release knows no fix {row.fix!r}.")


def _open(uow: UnitOfWork, finding_id: str) -> Finding:
    queries.get(uow.session, finding_id)
    row = uow.session.get_one(Finding, finding_id, with_for_update=True, populate_existing=True)
    if row.state not in OPEN_TO_CHANGE:
        raise Conflict(f"The finding is {row.state.value}; there is nothing to decide.")
    return row


def _check_reason(reason: str) -> str:
    reason = reason.strip()
    if not 3 <= len(reason) <= 500:
        raise InvalidInput("Say why, in 3 to 500 characters.", {"reason": "Say why, in 3 to 500 characters."})
    return reason
