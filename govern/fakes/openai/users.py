"""Members of the organization. They cannot be created, only invited; the last owner cannot leave."""

from __future__ import annotations

from govern.fakes.openai.audit_log import record
from govern.fakes.openai.organization import Organization
from govern.fakes.openai.paging import page
from govern.fakes.openai.problems import invalid
from govern.fakes.openai.tables import Json, User
from govern.fakes.openai.wire import Call, Routes, deleted

routes = Routes()


def view(org: Organization, user: User, *, projects: bool = False) -> Json:
    found: Json = {
        "object": "organization.user",
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "role": user.role,
        "added_at": user.added_at,
        "created": user.added_at,
        "is_default": False,
        "is_service_account": user.is_service_account,
        "is_scim_managed": user.is_scim_managed,
        "is_scale_tier_authorized_purchaser": False,
        "api_key_last_used_at": None,
        "technical_level": user.technical_level,
        "developer_persona": user.developer_persona,
        "user": {
            "object": "user",
            "id": user.id,
            "email": user.email,
            "name": user.name,
            "picture": None,
            "enabled": True,
            "banned": False,
            "banned_at": None,
        },
    }
    if projects:
        places = [(m, org.tables.projects[p]) for p, members in org.tables.memberships.items() if (m := members.get(user.id))]
        data = [{"id": p.id, "name": p.name, "role": m.role} for m, p in places if m.removed_at is None and p.archived_at is None]
        found["projects"] = {"object": "list", "data": data}
    return found


@routes.get("users.list", "/organization/users")
def list_users(call: Call) -> Json:
    emails = {email.casefold() for email in call.query.texts("emails")}
    rows = [u for u in call.org.tables.users.values() if not emails or (u.email or "").casefold() in emails]
    return page(call, rows, lambda user: view(call.org, user), id_of=lambda user: user.id)


@routes.get("users.retrieve", "/organization/users/<user_id>")
def retrieve_user(call: Call) -> Json:
    return view(call.org, call.org.user(call.path["user_id"]), projects=True)


@routes.post("users.update", "/organization/users/<user_id>")
def update_user(call: Call) -> Json:
    org, body = call.org, call.body()
    user = org.user(call.path["user_id"])
    role = body.choice("role", {"owner", "reader"}) if body.members.get("role") is not None else None
    role_id = body.maybe_text("role_id")
    if role_id is not None:
        found = org.tables.roles.get(role_id)
        if found is None or found.project_id is not None or not found.predefined:
            raise invalid(f"Unknown role: {role_id}", "role_id", "invalid_value")
        role = role or found.name
    if role:
        if user.is_scim_managed:
            raise invalid("This user is managed by your identity provider", "role", "scim_managed")
        if role != "owner":
            check_not_last_owner(org, user)
        user.role = role
        record(call, "user.updated", user.id, changes_requested={"role": "owner" if role == "owner" else "member"})
    for name in ("technical_level", "developer_persona"):
        if body.has(name):
            setattr(user, name, body.maybe_text(name))
    return view(org, user, projects=True)


@routes.delete("users.delete", "/organization/users/<user_id>")
def delete_user(call: Call) -> Json:
    """Their personal keys and memberships end; service accounts, whoever made them, stay."""
    org = call.org
    user = org.user(call.path["user_id"])
    check_not_last_owner(org, user)
    remove_user(org, user)
    record(call, "user.deleted", user.id)
    return deleted("organization.user.deleted", user.id)


def remove_user(org: Organization, user: User) -> None:
    tables = org.tables
    del tables.users[user.id]
    for members in tables.memberships.values():
        members.pop(user.id, None)
    for group in tables.groups.values():
        group.members.pop(user.id, None)
    tables.assignments = [a for a in tables.assignments if a.principal_id != user.id]
    org.kill_keys(lambda key: key.owner_user_id == user.id)


def check_not_last_owner(org: Organization, user: User) -> None:
    if user.role == "owner" and sum(u.role == "owner" for u in org.tables.users.values()) == 1:
        raise invalid("The last owner of the organization cannot be removed or demoted", code="last_owner")
