"""Suspend a person, the gentler verb: cut off here, their keys stopped and not ended, and everything given back as it was.

What OpenAI offers no way to stop is named, so that nobody takes a suspension for a removal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.approvals import service as approvals
from govern.audit import service as audit
from govern.core.errors import Conflict, GovernError, NotFound, PolicyViolation
from govern.core.uow import UnitOfWork
from govern.identity import service as identity
from govern.inventory.models import AdminKey
from govern.keys import freezing
from govern.keys import queries as keys
from govern.keys import service as key_service
from govern.keys.models import Freeze, FreezeState, Key, KeyKind, KeyState, ObservedKey
from govern.offboarding import guards, queries, rules
from govern.offboarding.models import KeyFate, Suspension, SuspensionState
from govern.offboarding.queries import Subject
from govern.people import service as people
from govern.people.models import PersonState

MOST: Final = 1000
CANNOT: Final = (
    "This organization's API (generation 2026-08) cannot narrow a key, so their keys cannot be frozen. "
    "Choose to revoke them (they are issued anew after the return) or to leave them working."
)


@dataclass(frozen=True)
class Held:
    """Their own keys: those that we issued and that work, those that are promised, and those that they made themselves."""

    live: Sequence[Key]
    promised: Sequence[Key]
    observed: Sequence[ObservedKey]

    def __len__(self) -> int:
        return len(self.live) + len(self.observed)


@dataclass(frozen=True)
class Effects:
    """What a suspension would do. `remains` says what it cannot stop, in sentences for people."""

    subject: Subject
    keys: Held
    remains: Sequence[str]
    refused: str | None


def preview(session: Session, id_or_email: str, *, actor_id: str, generation: str) -> Effects:
    """What a suspension would do. Raises NotFound."""
    subject = queries.subject_of(session, id_or_email)
    held, refused = _held(session, subject), None
    try:
        _check(session, subject, actor_id)
    except GovernError as error:
        refused = error.sentence
    cannot = [CANNOT] if generation == "2026-08" and held else []
    return Effects(subject, held, [*cannot, *_remains(session, subject, held, KeyFate.FREEZE)], refused)


def suspend(uow: UnitOfWork, id_or_email: str, *, reason: str, generation: str, fate: KeyFate = KeyFate.FREEZE) -> Suspension:
    """Cut the person off until they are resumed. Repeating it changes nothing.

    `fate` says what becomes of their keys: frozen, where the organization's API can narrow a key; else revoked (which is not
    given back), or left. Raises NotFound, InvalidInput, Conflict, PolicyViolation.
    """
    reason = rules.check_reason(reason)
    subject = queries.subject_of(uow.session, id_or_email)
    if subject.person is None:
        raise Conflict("Only a person who is known here can be suspended. Remove the seat, or take the invite back.")
    person = people.lock(uow.session, subject.person.id)
    lasting = queries.open_suspension(uow.session, person.id)
    if lasting is not None:
        return lasting
    guards.one_at_a_time(uow, subject.member)
    _check(uow.session, subject, uow.actor.id)
    held = _held(uow.session, subject)
    if fate is KeyFate.FREEZE and generation == "2026-08" and held:
        raise Conflict(CANNOT)
    row = Suspension(
        id=uow.new_id("sus"), person_id=person.id, email=person.email, state=SuspensionState.SUSPENDED, fate=fate, reason=reason,
        started_by=uow.actor.id, started_at=uow.now, freezes=[], revoked=[], remains=[],
    )  # fmt: skip
    uow.session.add(row)
    people.suspend(uow, person)
    identity.end_everything(uow, person.id)
    why = f"Suspension of {person.email}: {reason}"[:500]
    for key in held.promised:
        _withdraw(uow, key, why)
    if fate is KeyFate.FREEZE:
        row.freezes = _freeze(uow, held, why, generation)
    elif fate is KeyFate.REVOKE:
        row.revoked = [key_service.revoke_key(uow, key.id, reason=why).id for key in held.live]
    row.remains = _remains(uow.session, subject, held, fate)
    counts = {"frozen": len(row.freezes), "revoked": len(row.revoked), "withdrawn": len(held.promised)}
    audit.record(uow, "member.suspended", row, email=person.email, reason=reason, keys=fate.value, **counts)
    return row


def _freeze(uow: UnitOfWork, held: Held, why: str, generation: str) -> list[str]:
    """Freeze what is not frozen yet; the ids of what was begun here, so that a freeze of somebody else's stays theirs."""
    begun = []
    for key in held.live:
        for version in keys.live_versions(uow.session, key.id):
            if version.remote_id and keys.open_freeze(uow.session, version.remote_id) is None:
                begun.append(freezing.freeze_version(uow, key, version, reason=why, generation=generation).id)
    for found in held.observed:
        if keys.open_freeze(uow.session, found.remote_id) is None:
            begun.append(freezing.freeze_observed(uow, found.id, reason=why, generation=generation).id)
    return begun


def resume(uow: UnitOfWork, id_or_email: str, *, reason: str) -> Suspension:
    """Give everything back as it was: sign-in, and exactly the keys that the suspension froze.

    Sessions, tokens and devices ended and are made anew by signing in. Repeating it changes nothing. Raises NotFound,
    InvalidInput, Conflict (not suspended; a key is still being frozen).
    """
    reason = rules.check_reason(reason)
    subject = queries.subject_of(uow.session, id_or_email)
    person = people.lock(uow.session, subject.person.id) if subject.person else None
    row = queries.open_suspension(uow.session, person.id) if person else None
    if person is None or row is None:
        latest = queries.latest_suspension(uow.session, subject.person.id) if subject.person else None
        if latest is not None and latest.state is SuspensionState.RESUMED and person and person.state is PersonState.ACTIVE:
            return latest
        raise Conflict(f"{subject.email} is not suspended.")
    left: list[str] = []
    for freeze in _begun(uow.session, row):
        if freeze.state is FreezeState.FREEZING:
            raise Conflict("One of their keys is still being frozen. Try again in a moment.")
        if freeze.state is FreezeState.FROZEN and freeze.original is None:
            left.append(f"Nobody knows what the key {freeze.remote_id} was allowed. Thaw it by hand, naming its permissions.")
        elif freeze.state is FreezeState.FROZEN:
            freezing.thaw(uow, freeze.id, reason=f"{person.email} is back: {reason}"[:500])
    people.resume(uow, person)
    approvals.go_on_for(uow, person.id, since=row.started_at)
    row.state, row.ended_by, row.ended_at, row.end_reason, row.remains = (
        SuspensionState.RESUMED,
        uow.actor.id,
        uow.now,
        reason,
        left,
    )
    audit.record(uow, "member.resumed", row, email=person.email, reason=reason, still_frozen=len(left))
    return row


def give_way_to_removal(uow: UnitOfWork, person_id: str) -> None:
    """Somebody who is suspended is removed: nothing is to be given back any more."""
    row = queries.open_suspension(uow.session, person_id)
    if row is not None:
        row.state, row.ended_by, row.ended_at = SuspensionState.REMOVED, uow.actor.id, uow.now
        audit.record(uow, "member.suspension_ended", row, how="removed")


def standing(session: Session, row: Suspension) -> dict[str, int]:
    """How the freezes that it began stand: state → how many."""
    counts = dict.fromkeys((state.value for state in FreezeState), 0)
    for freeze in _begun(session, row):
        counts[freeze.state.value] += 1
    return counts


def problems(session: Session, row: Suspension) -> list[str]:
    """What is not as it should be: keys that OpenAI would not narrow or widen, and what remains by its nature."""
    begun = _begun(session, row)
    return [*(f"{freeze.remote_id}: {freeze.problem}" for freeze in begun if freeze.problem), *row.remains]


def _begun(session: Session, row: Suspension) -> Sequence[Freeze]:
    return session.scalars(sa.select(Freeze).where(Freeze.id.in_(row.freezes)).order_by(Freeze.id)).all()


def _check(session: Session, subject: Subject, actor_id: str) -> None:
    person = subject.person
    if person is None:
        raise NotFound(f"There is no person {subject.email!r}.")
    if person.id == actor_id:
        raise PolicyViolation("Nobody suspends themselves: nobody else might be there to resume you.", "own_branch")
    if person.state in (PersonState.LEAVING, PersonState.LEFT):
        raise Conflict(f"{person.name} is being removed or has left; there is nothing to suspend.")
    guards.check_owner_stays(session, subject.member)


def _held(session: Session, subject: Subject) -> Held:
    member = subject.member if subject.member and subject.member.vanished_at is None else None
    observed = keys.observed_keys(session, owner_remote_id=member.remote_id, limit=MOST) if member else []
    if subject.person is None:
        return Held([], [], observed)
    own = keys.find_keys(session, person_id=subject.person.id, kind=KeyKind.PERSONAL, limit=MOST)
    promised = [key for key in own if any(v.state is KeyState.REQUESTED for v in keys.versions_of(session, key.id))]
    return Held([key for key in own if key.state is KeyState.LIVE], promised, observed)


def _withdraw(uow: UnitOfWork, key: Key, why: str) -> None:
    """What is only promised is taken back: it would come to life in nobody's hands."""
    for version in keys.versions_of(uow.session, key.id):
        if version.state is KeyState.REQUESTED and key.state is KeyState.LIVE:
            key_service.end_version(uow, key, version)
            for older in keys.live_versions(uow.session, key.id):
                older.retire_at = None  # nothing takes its place, so it stays
    if key.state is KeyState.REQUESTED:
        key_service.revoke_key(uow, key.id, reason=why)


def _remains(session: Session, subject: Subject, held: Held, fate: KeyFate) -> list[str]:
    """Sentences about what a suspension does not stop."""
    member = subject.member if subject.member and subject.member.vanished_at is None else None
    said: list[str] = []
    if member is not None:
        said.append(
            "Their seat and their places stay, so that nothing is lost: they can still sign in at OpenAI's own dashboard."
        )
    if fate is KeyFate.LEAVE and held:
        said.append(f"{len(held)} keys go on working, as was chosen.")
    if fate is KeyFate.REVOKE and held.observed:
        said.append(f"{len(held.observed)} keys that they made themselves go on working; a removal ends them.")
    shared = keys.shared_keys_seen_by(session, subject.person.id) if subject.person else []
    if shared:
        said.append(f"They know the value of {len(shared)} shared keys, which applications use. Rotate those if that matters.")
    if member is not None:
        admin = sa.select(sa.func.count()).select_from(AdminKey)
        if count := session.scalar(admin.where(AdminKey.owner_remote_id == member.remote_id, AdminKey.vanished_at.is_(None))):
            said.append(f"They own {count} admin keys, which OpenAI lets nobody freeze. Delete them if that matters.")
    return said


def facts(row: Suspension, session: Session) -> dict[str, Any]:
    """A suspension as programs are told it, over REST and on the command line alike."""
    counts = standing(session, row)
    return {
        "id": row.id, "email": row.email, "person": row.person_id, "state": row.state, "keys": row.fate, "reason": row.reason,
        "started_by": row.started_by, "started_at": row.started_at, "ended_by": row.ended_by, "ended_at": row.ended_at,
        "end_reason": row.end_reason, "freezes": counts, "revoked": row.revoked, "remains": problems(session, row),
    }  # fmt: skip


def foreseen(effects: Effects) -> dict[str, Any]:
    """A preview as programs are told it."""
    held = effects.keys
    return {
        "email": effects.subject.email, "freezes": [key.name for key in held.live],
        "freezes_own": [key.name for key in held.observed], "withdraws": [key.name for key in held.promised],
        "remains": list(effects.remains), "refused": effects.refused,
    }  # fmt: skip
