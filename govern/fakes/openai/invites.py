"""Invites. A second pending one for an address, or one for a member, is refused; an accepted one cannot be deleted."""

from __future__ import annotations

from govern.fakes.openai.audit_log import actor_of_session, append, record
from govern.fakes.openai.organization import Organization
from govern.fakes.openai.paging import page
from govern.fakes.openai.problems import invalid, not_found
from govern.fakes.openai.tables import Invite, Json, Membership, User
from govern.fakes.openai.wire import Call, Routes, deleted

routes = Routes()
LIFETIME = 7 * 86_400
PROJECT_ROLES = {"member", "owner"}


def status_of(org: Organization, invite: Invite) -> str:
    if invite.accepted_at is not None:
        return "accepted"
    return "expired" if invite.expires_at <= org.clock.seconds() else "pending"


def view(org: Organization, invite: Invite) -> Json:
    return {
        "object": "organization.invite",
        "id": invite.id,
        "email": invite.email,
        "role": invite.role,
        "status": status_of(org, invite),
        "created_at": invite.created_at,
        "expires_at": invite.expires_at,
        "accepted_at": invite.accepted_at,
        "projects": invite.projects,
    }


@routes.get("invites.list", "/organization/invites")
def list_invites(call: Call) -> Json:
    return page(call, call.org.tables.invites.values(), lambda i: view(call.org, i), id_of=lambda i: i.id)


@routes.post("invites.create", "/organization/invites")
def create_invite(call: Call) -> Json:
    org, body = call.org, call.body()
    email, role = body.text("email", longest=320), body.choice("role", {"reader", "owner"})
    if "@" not in email.strip("@"):
        raise invalid("Invalid e-mail address", "email", "invalid_value")
    # Not sent is not the same as empty: without the member the person lands in the default project.
    if body.members.get("projects") is None:
        projects = [{"id": org.default_project.id, "role": "member"}] if org.default_project else []
    else:
        projects = [{"id": p.text("id"), "role": p.choice("role", PROJECT_ROLES)} for p in body.objects("projects")]
    for place in projects:
        org.active_project(place["id"])
    if org.user_by_email(email):
        raise invalid(f"{email} is already a member of the organization", "email", "user_already_in_organization")
    pending = (i for i in org.tables.invites.values() if i.email.casefold() == email.casefold())
    if any(status_of(org, invite) == "pending" for invite in pending):
        raise invalid(f"{email} has a pending invite", "email", "invite_already_exists")
    invite = Invite(org.new_id("invite"), email, role, projects, call.now, call.now + LIFETIME)
    org.tables.invites[invite.id] = invite
    record(call, "invite.sent", invite.id, data={"email": email, "role": "owner" if role == "owner" else "member"})
    return view(org, invite)


@routes.get("invites.retrieve", "/organization/invites/<invite_id>")
def retrieve_invite(call: Call) -> Json:
    return view(call.org, _invite(call))


@routes.delete("invites.delete", "/organization/invites/<invite_id>")
def delete_invite(call: Call) -> Json:
    invite = _invite(call)
    if invite.accepted_at is not None:
        raise invalid("An accepted invite cannot be deleted; remove the user instead", code="invite_accepted")
    del call.org.tables.invites[invite.id]
    record(call, "invite.deleted", invite.id)
    return deleted("organization.invite.deleted", invite.id)


def accept(org: Organization, email: str) -> User:
    """What happens when the invited person signs in: a new user id, without a link to the invite's.

    No pending invite: `LookupError`.
    """
    found = [i for i in org.tables.invites.values() if i.email.casefold() == email.casefold() and status_of(org, i) == "pending"]
    if not found:
        raise LookupError(f"no pending invite for {email}")
    invite, now = found[-1], org.clock.seconds()
    invite.accepted_at = now
    name = invite.email.partition("@")[0].replace(".", " ").title()
    user = User(org.new_id("user"), invite.email, name, invite.role, now)
    org.tables.users[user.id] = user
    for place in invite.projects:
        if org.tables.projects[place["id"]].archived_at is None:
            row = Membership(place["id"], user.id, place["role"], now)
            org.tables.memberships.setdefault(place["id"], {})[user.id] = row
    append(org, "invite.accepted", actor_of_session(user), now, invite.id)
    append(org, "user.added", actor_of_session(user), now, user.id, data={"role": invite.role})
    return user


def _invite(call: Call) -> Invite:
    id = call.path["invite_id"]
    if found := call.org.tables.invites.get(id):
        return found
    raise not_found("invite", id)
