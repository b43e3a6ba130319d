"""What should not be as it is: pure functions over a snapshot. Each yields candidates; nothing here reads or writes.

Here are the rules about keys; `access_rules` holds those about seats, invites, roles, admin keys and accounts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Final

from govern.findings.access_rules import (
    admin_key_unowned_or_old,
    changed_around_us,
    ghost_member,
    role_drift,
    stale_invite,
    stray_account,
    too_wide,
)
from govern.findings.candidates import Candidate, found, has_left, is_leaving
from govern.findings.snapshot import Snapshot
from govern.findings.types import NONE
from govern.keys.models import KeyKind, KeyState, ObservedKey
from govern.keys.rules import scopes_of
from govern.keys.sync import NAME_PREFIX
from govern.people.models import Person, PersonState
from govern.policies.rules import covers
from govern.ports import ALL_SCOPES


def find(seen: Snapshot) -> list[Candidate]:
    """Everything that should not be, at most once per type and subject."""
    candidates: dict[tuple[str, str], Candidate] = {}
    for rule in RULES:
        for candidate in rule(seen):
            name = (candidate.type, candidate.subject_id)
            if name not in candidates or candidates[name].quiet:  # of several reasons, one that is not being dealt with counts
                candidates[name] = candidate
    return list(candidates.values())


def owner_of(seen: Snapshot, key: ObservedKey) -> str | None:
    """The person who answers for a key: whose it is here, who adopted it, or whose seat made it."""
    version = seen.versions.get(key.version_id or "")
    if version is not None:
        return seen.our_keys[version.key_id].person_id
    member = seen.all_members.get(key.owner_remote_id or "") if key.owner_kind == "user" else None
    return seen.adopted.get(key.remote_id) or (member.person_id if member else None)


def _about_key(seen: Snapshot, type_: str, key: ObservedKey, sentence: str, since: datetime, *, fix: str = "") -> Candidate:
    version = seen.versions.get(key.version_id or "")
    ours = seen.our_keys[version.key_id] if version is not None else None
    return found(
        type_, "observed_keys", key.id, f"{ours.name if ours else key.name} ({key.redacted})", sentence, since,
        fix=fix or ("revoke_key" if ours else "delete_key"), target=ours.id if ours else key.id, owner_id=owner_of(seen, key),
        project_id=key.project_id, spend=seen.spend.get(key.remote_id, Decimal(0)), quiet=_quiet(seen, key),
    )  # fmt: skip


def _quiet(seen: Snapshot, key: ObservedKey) -> bool:
    """Whether the key is about to end anyway: its version is being revoked, or its owner is being removed."""
    version = seen.versions.get(key.version_id or "")
    ending = version is not None and (
        version.state is not KeyState.LIVE or version.id in seen.busy or version.retire_at is not None
    )
    return ending or is_leaving(seen, owner_of(seen, key)) or key.id in seen.busy


def _is_our_accounts(key: ObservedKey) -> bool:
    return key.owner_kind == "service_account" and (key.owner_name or "").startswith(NAME_PREFIX)


def unmanaged_key(seen: Snapshot) -> Iterator[Candidate]:
    """Not ours, not adopted. What belongs to a gone owner is an orphan instead; our own prefix makes a stray account."""
    for key in seen.keys:
        if key.version_id or key.remote_id in seen.adopted or _is_our_accounts(key):
            continue
        personal = key.owner_kind == "user"
        if personal and (not seen.limits.personal_keys or key.owner_remote_id not in seen.members):
            continue
        sentence = (
            f"{key.owner_name or 'Somebody'} made it at OpenAI."
            if personal
            else f"It belongs to {key.owner_name or 'a service account'}."
        )
        yield _about_key(seen, "unmanaged_key", key, sentence, key.first_seen_at)


def orphan(seen: Snapshot) -> Iterator[Candidate]:
    """The owner's seat is gone, or their place in the project; or the person who adopted it left."""
    for key in seen.keys:
        owner = owner_of(seen, key)
        if key.owner_kind == "user" and key.owner_remote_id not in seen.members and not has_left(seen, owner):
            yield _about_key(seen, "orphan", key, f"{key.owner_name or 'Its owner'} has no seat any more.", key.last_seen_at)
        elif key.owner_kind == "user" and key.access == "inactive" and not has_left(seen, owner):
            sentence = f"{key.owner_name or 'Its owner'} has lost the project; with it the key would work again."
            yield _about_key(seen, "orphan", key, sentence, key.last_seen_at)
        elif has_left(seen, owner) and (key.remote_id in seen.adopted or _is_shared(seen, key)):
            yield _about_key(seen, "orphan", key, "The person who answers for it has left.", key.last_seen_at, fix=NONE)


def _is_shared(seen: Snapshot, key: ObservedKey) -> bool:
    version = seen.versions.get(key.version_id or "")
    return version is not None and seen.our_keys[version.key_id].kind is KeyKind.SHARED


def leaver_alive(seen: Snapshot) -> Iterator[Candidate]:
    """Left, and a listing later than the proof shows something; or the contract is over and the seat still there."""
    alive: dict[str, list[str]] = {}
    for member in seen.members.values():
        if member.person_id and _after_the_end(seen, member.person_id, member.last_seen_at):
            alive.setdefault(member.person_id, []).append("a seat")
    for key in seen.keys:
        owner, personal = owner_of(seen, key), not _is_shared(seen, key) and key.remote_id not in seen.adopted
        if owner and personal and not _quiet(seen, key) and _after_the_end(seen, owner, key.last_seen_at):
            alive.setdefault(owner, []).append(f"the key {key.redacted}")
    by_email = {person.email: person for person in seen.people.values()}
    for invite in seen.invites:
        person = by_email.get(invite.email)
        if person and seen.swept_at and invite.id not in seen.busy and _after_the_end(seen, person.id, seen.swept_at):
            alive.setdefault(person.id, []).append("an open invite")
    for admin in seen.admin_keys:
        seat = seen.all_members.get(admin.owner_remote_id or "")
        if seat and seat.person_id and _after_the_end(seen, seat.person_id, admin.last_seen_at):
            alive.setdefault(seat.person_id, []).append("an admin key")
    for person_id, things in alive.items():
        person = seen.people[person_id]
        what = ", ".join(sorted(set(things))[:5])
        sentence = f"They left, and OpenAI still shows {what}."
        if person.state is PersonState.ACTIVE:
            sentence = f"Their contract ended on {person.ends_on}; they still have {what}."
        since = seen.left_at.get(person_id, seen.now)
        yield found("leaver_alive", "people", person_id, person.email, sentence, since, fix="remove_person", owner_id=person_id)


def _after_the_end(seen: Snapshot, person_id: str, shown_at: datetime) -> bool:
    """Whether something that a listing showed at that time should have been gone by then."""
    person = seen.people.get(person_id)
    if person is None or person.state is PersonState.LEAVING:
        return False
    if person.state is PersonState.LEFT:
        left_at = seen.left_at.get(person_id)
        return left_at is None or shown_at > left_at
    return person.ends_on is not None and person.ends_on <= seen.now.date()


def _used(seen: Snapshot, key: ObservedKey) -> datetime | None:
    return max((at for at in (key.last_used_at, seen.last_uses.get(key.remote_id)) if at is not None), default=None)


def dormant(seen: Snapshot) -> Iterator[Candidate]:
    for key in seen.keys:
        used = _used(seen, key)
        if used is not None and seen.now - used > seen.limits.dormant:
            yield _about_key(seen, "dormant", key, f"It was used last on {used:%Y-%m-%d}.", used)


def never_used(seen: Snapshot) -> Iterator[Candidate]:
    for key in seen.keys:
        if _used(seen, key) is None and seen.now - key.created_at > seen.limits.never_used:
            sentence = f"It was made on {key.created_at:%Y-%m-%d}, and no use of it was ever reported."
            yield _about_key(seen, "never_used", key, sentence, key.created_at)


def over_age(seen: Snapshot) -> Iterator[Candidate]:
    for key in seen.keys:
        if seen.now - key.created_at > seen.limits.over_age:
            fix = "rotate_key" if key.version_id else "delete_key"
            yield _about_key(seen, "over_age", key, f"It was made on {key.created_at:%Y-%m-%d}.", key.created_at, fix=fix)


def never_expires(seen: Snapshot) -> Iterator[Candidate]:
    """Only where some key has an expiry: an organization on the older API shows none at all, and can set none."""
    if not any(key.expires_at for key in seen.keys):
        return
    for key in seen.keys:
        if key.expires_at is None:
            yield _about_key(
                seen, "never_expires", key, "It has no expiry: whoever finds it can use it for ever.", key.created_at
            )


def wider_than_policy(seen: Snapshot) -> Iterator[Candidate]:
    """A key of ours that may do more than its owner may have here, and that nobody approved so."""
    for key in seen.keys:
        version = seen.versions.get(key.version_id or "")
        if version is None or version.state is not KeyState.LIVE or version.key_id not in seen.allowed:
            continue
        allowed, scopes = seen.allowed[version.key_id], scopes_of(version)
        if not covers(allowed, scopes):
            may = "everything" if scopes == ALL_SCOPES else ", ".join(scopes)
            sentence = (
                f"It may do {may}; the policy allows {', '.join(sorted(allowed)) or 'nothing'}. Issue a narrower one first."
            )
            yield _about_key(seen, "too_wide", key, sentence, version.issued_at or key.created_at)


def shared_key_holder_left(seen: Snapshot) -> Iterator[Candidate]:
    """A live version whose value somebody knows who left, and that no rotation is replacing."""
    for version in seen.versions.values():
        if version.state is not KeyState.LIVE:
            continue
        key = seen.our_keys[version.key_id]
        gone = [person for person in map(seen.people.get, seen.seen_by.get(version.id, ())) if person and _gone(person)]
        if key.kind is KeyKind.SHARED and gone:
            names = ", ".join(sorted(person.email for person in gone)[:3])
            yield found(
                "shared_key_holder_left", "keys", key.id, key.name, f"{names} left and knows its value.", seen.now,
                fix="rotate_key", owner_id=key.person_id, project_id=key.project_id,
                spend=seen.spend.get(version.remote_id or "", Decimal(0)),
                quiet=version.retire_at is not None or version.id in seen.busy,
            )  # fmt: skip


def _gone(person: Person) -> bool:
    return person.state is PersonState.LEFT


RULES: Final[tuple[Callable[[Snapshot], Iterable[Candidate]], ...]] = (
    unmanaged_key, orphan, leaver_alive, dormant, never_used, over_age, never_expires, too_wide, wider_than_policy,
    shared_key_holder_left,
    ghost_member, stale_invite, admin_key_unowned_or_old, role_drift, changed_around_us, stray_account,
)  # fmt: skip
