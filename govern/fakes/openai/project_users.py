"""People in projects. Organization owners are owners of every project without a row of their own, and cannot be
moved from there.
"""

from __future__ import annotations

from govern.fakes.openai.audit_log import record
from govern.fakes.openai.organization import Organization
from govern.fakes.openai.paging import page
from govern.fakes.openai.problems import invalid, not_found
from govern.fakes.openai.tables import Json, Membership, Project, User
from govern.fakes.openai.wire import Call, Routes, deleted

routes = Routes()
ROLES = {"owner", "member"}


def places(org: Organization, project: Project) -> dict[str, Membership]:
    """Everyone in the project: those with a place of their own, and the organization's owners."""
    found = {m.user_id: m for m in org.members_of(project.id)}
    for user in org.tables.users.values():
        if user.role == "owner" and not user.is_service_account:
            added = found[user.id].added_at if user.id in found else max(project.created_at, user.added_at)
            found[user.id] = Membership(project.id, user.id, "owner", added)
    return found


def view(org: Organization, place: Membership) -> Json:
    user = org.user(place.user_id)
    return {
        "object": "organization.project.user",
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "role": place.role,
        "added_at": place.added_at,
    }


@routes.get("projects.users.list", "/organization/projects/<project_id>/users")
def list_project_users(call: Call) -> Json:
    rows = places(call.org, call.org.active_project(call.path["project_id"])).values()
    return page(call, rows, lambda row: view(call.org, row), id_of=lambda row: row.user_id)


@routes.post("projects.users.create", "/organization/projects/<project_id>/users")
def create_project_user(call: Call) -> Json:
    org, body = call.org, call.body()
    project = org.active_project(call.path["project_id"])
    if project.is_default:
        raise invalid("Users cannot be added to the default project", code="default_project")
    role, user = body.choice("role", ROLES), _wanted(call)
    if user.id in places(org, project):
        raise invalid(f"User {user.id} already exists in project {project.id}", "user_id", "user_already_in_project")
    row = Membership(project.id, user.id, role, call.now)
    org.tables.memberships.setdefault(project.id, {})[user.id] = row
    record(call, "user.added", user.id, data={"role": role})
    return view(org, row)


@routes.get("projects.users.retrieve", "/organization/projects/<project_id>/users/<user_id>")
def retrieve_project_user(call: Call) -> Json:
    return view(call.org, _place(call, call.org.active_project(call.path["project_id"])))


@routes.post("projects.users.update", "/organization/projects/<project_id>/users/<user_id>")
def update_project_user(call: Call) -> Json:
    org, body = call.org, call.body()
    place = _place(call, org.active_project(call.path["project_id"]))
    if body.members.get("role") is None:
        return view(org, place)
    role = body.choice("role", ROLES)
    if org.user(place.user_id).role == "owner" and role != "owner":
        raise invalid(
            "This user is an owner of the organization and cannot be demoted in a project", "role", "organization_owner"
        )
    place.role = role
    record(call, "user.updated", place.user_id, changes_requested={"role": role})
    return view(org, place)


@routes.delete("projects.users.delete", "/organization/projects/<project_id>/users/<user_id>")
def delete_project_user(call: Call) -> Json:
    """Their keys stay, enabled but without effect: `owner_project_access` turns to inactive."""
    org = call.org
    place = _place(call, org.active_project(call.path["project_id"]))
    if org.user(place.user_id).role == "owner":
        raise invalid("This user is an owner of the organization and cannot be removed from a project", code="organization_owner")
    org.tables.memberships[place.project_id][place.user_id].removed_at = org.clock.instant()
    record(call, "user.deleted", place.user_id)
    return deleted("organization.project.user.deleted", place.user_id)


def _wanted(call: Call) -> User:
    body = call.body()
    id, email = body.maybe_text("user_id"), body.maybe_text("email")
    if (id is None) == (email is None):
        raise invalid("Exactly one of user_id and email is required", "user_id", "invalid_value")
    user = call.org.tables.users.get(id) if id else call.org.user_by_email(email or "")
    if user is None:
        raise invalid("The user must be a member of the organization first", "user_id" if id else "email", "user_not_found")
    return user


def _place(call: Call, project: Project) -> Membership:
    id = call.path["user_id"]
    own = call.org.membership(project.id, id)
    user = call.org.tables.users.get(id)
    if own and user and user.role != "owner":
        return own
    if found := places(call.org, project).get(id):
        return found
    raise not_found("project user", id)
