"""Roles of the organization and of projects: bundles of permissions. The predefined ones cannot be changed."""

from __future__ import annotations

from typing import Final

from govern.fakes.openai.audit_log import record
from govern.fakes.openai.organization import Organization
from govern.fakes.openai.paging import by_age, page
from govern.fakes.openai.problems import invalid, not_found
from govern.fakes.openai.tables import Json, Role
from govern.fakes.openai.wire import Call, Handler, Routes, deleted

routes = Routes()
ORGANIZATION, PROJECT = "api.organization", "api.project"
_WORK = ("api.model.read", "api.model.request", "api.responses.write", "api.files.read", "api.files.write")
PREDEFINED: Final = (
    (ORGANIZATION, "owner", "Full access to the organization",
     ("api.management.read", "api.management.write", "api.usage.read", "api.groups.read", "api.groups.write")),
    (ORGANIZATION, "reader", "Member of the organization", ("api.model.read",)),
    (PROJECT, "owner", "Full access to the project", ("api.organization.projects.api_keys.read",
     "api.organization.projects.api_keys.write", *_WORK)),
    (PROJECT, "member", "Works in the project", _WORK),
    (PROJECT, "viewer", "Reads the project", ("api.all.read",)),
)  # fmt: skip


def view(role: Role) -> Json:
    return {
        "object": "role",
        "id": role.id,
        "name": role.name,
        "description": role.description,
        "permissions": role.permissions,
        "resource_type": role.resource_type,
        "predefined_role": role.predefined,
    }


def roles_of(org: Organization, project_id: str | None) -> list[Role]:
    """The organization's roles, or those that a project can give: its own and the predefined ones."""
    if project_id is None:
        return [r for r in org.tables.roles.values() if r.resource_type == ORGANIZATION]
    return [r for r in org.tables.roles.values() if r.resource_type == PROJECT and r.project_id in {None, project_id}]


def role_for(org: Organization, id: str, project_id: str | None) -> Role:
    found = org.tables.roles.get(id)
    if found and found in roles_of(org, project_id):
        return found
    raise not_found("role", id)


def _project_id(call: Call) -> str | None:
    id = call.path.get("project_id")
    return None if id is None else call.org.project(id).id


def list_roles(call: Call) -> Json:
    descending = call.query.choice("order", {"asc", "desc"}, "asc") == "desc"
    rows = roles_of(call.org, _project_id(call))
    return page(
        call,
        rows,
        view,
        id_of=lambda r: r.id,
        place=by_age,
        descending=descending,
        default=1_000,
        low=0,
        maximum=1_000,
        style="N",
    )


def create_role(call: Call) -> Json:
    org, body, project_id = call.org, call.body(), _project_id(call)
    name, permissions = body.text("role_name"), body.texts("permissions")
    _check_name(org, name, project_id)
    assert call.admin is not None
    role = Role(org.new_id("role"), name, permissions, PROJECT if project_id else ORGANIZATION, project_id)
    role.description, role.created_at, role.created_by = body.maybe_text("description"), call.now, call.admin.owner_user_id
    org.tables.roles[role.id] = role
    record(call, "role.created", role.id, role_name=name, permissions=permissions, resource_type=role.resource_type)
    return view(role)


def retrieve_role(call: Call) -> Json:
    return view(role_for(call.org, call.path["role_id"], _project_id(call)))


def update_role(call: Call) -> Json:
    org, body, role = call.org, call.body(), _own(call)
    if (name := body.maybe_text("role_name")) is not None and name != role.name:
        _check_name(org, name, role.project_id)
        role.name = name
    if body.members.get("permissions") is not None:
        role.permissions = body.texts("permissions")
    if body.has("description"):
        role.description = body.maybe_text("description")
    role.updated_at = call.now
    record(call, "role.updated", role.id, changes_requested={"role_name": role.name})
    return view(role)


def delete_role(call: Call) -> Json:
    role, tables = _own(call), call.org.tables
    del tables.roles[role.id]
    tables.assignments = [a for a in tables.assignments if a.role_id != role.id]
    record(call, "role.deleted", role.id)
    return deleted("role.deleted", role.id)


def _own(call: Call) -> Role:
    role = role_for(call.org, call.path["role_id"], _project_id(call))
    if role.predefined:
        raise invalid("Predefined roles cannot be changed", code="predefined_role")
    return role


def _check_name(org: Organization, name: str, project_id: str | None) -> None:
    if any(role.name == name for role in roles_of(org, project_id)):
        raise invalid(f"A role named {name} already exists", "role_name", "role_name_taken")


_HANDLERS: tuple[tuple[str, str, str, Handler], ...] = (
    ("GET", "list", "", list_roles),
    ("POST", "create", "", create_role),
    ("GET", "retrieve", "/<role_id>", retrieve_role),
    ("POST", "update", "/<role_id>", update_role),
    ("DELETE", "delete", "/<role_id>", delete_role),
)
# The organization's roles live under /organization, a project's do not.
for _prefix, _base in (("roles", "/organization/roles"), ("projects.roles", "/projects/<project_id>/roles")):
    for _method, _verb, _tail, _handler in _HANDLERS:
        _add = {"GET": routes.get, "POST": routes.post, "DELETE": routes.delete}[_method]
        _add(f"{_prefix}.{_verb}", _base + _tail)(_handler)
