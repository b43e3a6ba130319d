"""Rules about seats, invites, roles, admin keys, accounts and changes made around us. Pure, like `rules`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from govern.findings.candidates import Candidate, found, is_leaving
from govern.findings.models import Severity
from govern.findings.snapshot import Snapshot
from govern.findings.types import NONE
from govern.inventory.models import ProviderEvent, Verdict
from govern.keys.models import ENDED_STATES, KeyState
from govern.keys.sync import NAME_PREFIX
from govern.people.models import PersonState


def too_wide(seen: Snapshot) -> Iterator[Candidate]:
    keyed = {key.owner_remote_id for key in seen.keys if key.owner_kind == "service_account"}
    for account in seen.accounts:
        if account.role == "owner" and account.remote_id in keyed:
            sentence = "It owns its project: whoever has one of its keys can administer the project."
            yield found(
                "too_wide", "service_accounts", account.id, account.name, sentence, account.first_seen_at,
                fix=NONE if account.name.startswith(NAME_PREFIX) else "delete_account", project_id=account.project_id,
                quiet=account.id in seen.busy,
            )  # fmt: skip


def ghost_member(seen: Snapshot) -> Iterator[Candidate]:
    if not seen.has_directory:
        return
    for member in seen.members.values():
        person = seen.people.get(member.person_id or "")
        if member.is_service_account or (person and (person.id in seen.known_people or person.state is not PersonState.ACTIVE)):
            continue
        label = member.email or member.name or member.remote_id
        sentence = "The address stands in no directory, and nobody signed in with it."
        if person and person.directory_gone_at:
            sentence = f"The complete directory of {person.directory_gone_at:%Y-%m-%d} does not name the address any more."
        yield found(
            "ghost_member", "members", member.id, label, sentence, member.added_at,
            fix="remove_person", target=member.person_id or member.id, owner_id=member.person_id,
        )  # fmt: skip


def stale_invite(seen: Snapshot) -> Iterator[Candidate]:
    for invite in seen.invites:
        if seen.now - invite.created_at > seen.limits.stale_invite:
            sentence = f"It was sent on {invite.created_at:%Y-%m-%d} as {invite.role} and still waits."
            yield found(
                "stale_invite",
                "invites",
                invite.id,
                invite.email,
                sentence,
                invite.created_at,
                fix="cancel_invite",
                quiet=invite.id in seen.busy,
            )


def admin_key_unowned_or_old(seen: Snapshot) -> Iterator[Candidate]:
    for key in seen.admin_keys:
        seat = seen.members.get(key.owner_remote_id or "")
        old = seen.now - key.created_at > seen.limits.admin_key
        if seat is not None and not old:
            continue
        sentence = "Its owner has no seat any more." if seat is None else f"It was made on {key.created_at:%Y-%m-%d}."
        if key.is_ours:
            sentence += " It is the one that this service uses: give the worker a new one first."
        yield found(
            "admin_key_unowned_or_old", "admin_keys", key.id, f"{key.name} ({key.redacted})", sentence, key.created_at,
            fix=NONE if key.is_ours else "delete_admin_key", severity=None if seat is None else Severity.MEDIUM,
            owner_id=seat.person_id if seat else None,
            quiet=key.id in seen.busy or is_leaving(seen, seat.person_id if seat else None),
        )  # fmt: skip


def role_drift(seen: Snapshot) -> Iterator[Candidate]:
    """More than the invite promised, or an owner by assignment whose seat says something else."""
    owners = {
        row.principal_remote_id: row for row in seen.roles
        if row.principal_kind == "user" and not row.project_remote_id and row.role == "owner"
    }  # fmt: skip
    for member in seen.members.values():
        if member.is_service_account or is_leaving(seen, member.person_id):
            continue
        label = member.email or member.remote_id
        invite, held = seen.accepted.get(member.email or ""), owners.get(member.remote_id)
        if member.role == "owner" and invite is not None and invite.role != "owner":
            sentence = f"Invited as {invite.role}, and an owner of the organization now."
        elif member.role != "owner" and held is not None:
            sentence = (
                f"The seat says {member.role}, but {'a group makes' if held.through else 'an assignment makes'} them an owner."
            )
        else:
            continue
        yield found("role_drift", "members", member.id, label, sentence, member.last_seen_at, owner_id=member.person_id)


_WATCHED: Final = (
    "api_key.created", "api_key.updated", "service_account.created", "service_account.updated", "role.", "user.added",
    "user.updated", "invite.sent", "workload_identity", "group.", "project.created", "project.archived", "organization.updated",
    "tenant.admin_api_key",
)  # fmt: skip


def changed_around_us(seen: Snapshot) -> Iterator[Candidate]:
    """What gives access and was not done by us; ends are no findings, they take access away. What was done with the admin key of
    this service but not by it is told whatever it is: somebody else has the key."""
    for event in seen.events:
        label = f"{event.type}: {event.resource_remote_id or 'unknown'}"
        if event.verdict is Verdict.OUR_KEY:
            sentence = "With the admin key of this service, and by no call of it: somebody else uses that key. Replace it."
            yield found(
                "changed_around_us", "provider_events", event.id, label, sentence, event.at, severity=Severity.HIGH
            )  # fmt: skip
        elif event.type.startswith(_WATCHED) and not event.type.endswith((".deleted", ".removed")):
            if _came_as_invited(seen, event):
                continue
            who = event.actor_email or event.actor_remote_id or "somebody"
            how = "with an admin key" if event.actor_kind == "api_key" else "at OpenAI's dashboard"
            yield found(
                "changed_around_us", "provider_events", event.id, label, f"By {who}, {how}, not through this service.", event.at
            )


def _came_as_invited(seen: Snapshot, event: ProviderEvent) -> bool:
    """Whether somebody took the seat that an invite of ours offered: they did it, and we wanted it."""
    seat = seen.members.get(event.resource_remote_id or "")
    own = seat is not None and seat.email is not None and seat.email == event.actor_email
    return event.type == "user.added" and own and event.actor_email in seen.accepted


def stray_account(seen: Snapshot) -> Iterator[Candidate]:
    for account in seen.accounts:
        if not account.name.startswith(NAME_PREFIX):
            continue
        version = seen.versions.get(account.name.removeprefix(NAME_PREFIX))
        if version is not None and (version.id in seen.busy or version.state not in ENDED_STATES):
            live_elsewhere = version.state is KeyState.LIVE and version.service_account_remote_id != account.remote_id
            if version.id in seen.busy or not live_elsewhere:
                continue
        if (
            version is not None
            and version.ended_at is not None
            and account.last_seen_at <= version.ended_at + timedelta(minutes=1)
        ):
            continue  # seen before its end was proven
        sentence = "No key of this service has it." if version is None else "Its key has ended, or has another account."
        yield found(
            "stray_account", "service_accounts", account.id, account.name, sentence, account.first_seen_at,
            fix="delete_account", project_id=account.project_id,
            quiet=account.id in seen.busy,
        )  # fmt: skip
