"""Which roles a user or a group holds, in the organization or in one project: four times the same four operations."""

from __future__ import annotations

from govern.fakes.openai import groups, roles, users
from govern.fakes.openai.audit_log import record
from govern.fakes.openai.groups import paged
from govern.fakes.openai.organization import Organization
from govern.fakes.openai.problems import not_found
from govern.fakes.openai.tables import Assignment, Json, Role
from govern.fakes.openai.wire import Call, Handler, Routes, deleted

routes = Routes()


def held(org: Organization, kind: str, id: str, project_id: str | None) -> dict[str, list[str]]:
    """Role id → the groups it comes through (none: held directly).

    An owner or reader of the organization holds the predefined role of that name without an assignment.
    """
    found: dict[str, list[str]] = {}
    user = org.tables.users.get(id)
    if user and project_id is None:
        name = next((r.id for r in roles.roles_of(org, None) if r.predefined and r.name == user.role), None)
        if name:
            found[name] = []
    mine = {group.id for group in org.tables.groups.values() if id in group.members}
    for assignment in org.tables.assignments:
        if assignment.project_id != project_id:
            continue
        if assignment.principal_kind == kind and assignment.principal_id == id:
            found.setdefault(assignment.role_id, [])
        elif kind == "user" and assignment.principal_id in mine:
            found.setdefault(assignment.role_id, []).append(assignment.principal_id)
    return found


def _details(role: Role, sources: list[str]) -> Json:
    return {
        "id": role.id,
        "name": role.name,
        "description": role.description,
        "permissions": role.permissions,
        "resource_type": role.resource_type,
        "predefined_role": role.predefined,
        "created_at": role.created_at,
        "updated_at": role.updated_at,
        "created_by": role.created_by,
        "created_by_user_obj": None,
        "metadata": {},
        "assignment_sources": [{"principal_id": id, "principal_type": "group"} for id in sources] or None,
    }


def _principal(call: Call) -> tuple[str, str, str | None]:
    """(kind, id, project) of the path; each must exist."""
    project_id = call.path.get("project_id")
    if project_id is not None:
        call.org.active_project(project_id)
    if "group_id" in call.path:
        return "group", groups.find(call.org, call.path["group_id"]).id, project_id
    return "user", call.org.user(call.path["user_id"]).id, project_id


def _list(call: Call) -> Json:
    found = held(call.org, *_principal(call))
    rows = [(call.org.tables.roles[id], sources) for id, sources in found.items()]
    return paged(call, rows, lambda row: _details(*row), lambda row: row[0].id, default=1_000)


def _create(call: Call) -> Json:
    org, (kind, id, project_id) = call.org, _principal(call)
    role = roles.role_for(org, call.body().text("role_id"), project_id)
    mine = [a for a in org.tables.assignments if (a.principal_id, a.project_id, a.role_id) == (id, project_id, role.id)]
    if not mine:
        org.tables.assignments.append(Assignment(kind, id, project_id, role.id, call.now))
        _record(call, "role.assignment.created", role, (kind, id, project_id))
    if kind == "group":
        return {"object": "group.role", "group": groups.summary(org.tables.groups[id]), "role": roles.view(role)}
    return {"object": "user.role", "user": users.view(org, org.user(id)), "role": roles.view(role)}


def _retrieve(call: Call) -> Json:
    found, id = held(call.org, *_principal(call)), call.path["role_id"]
    if id not in found:
        raise not_found("role assignment", id)
    return _details(call.org.tables.roles[id], found[id])


def _delete(call: Call) -> Json:
    """Only what is held directly can be taken away here."""
    tables, (kind, id, project_id), role_id = call.org.tables, _principal(call), call.path["role_id"]
    kept = [a for a in tables.assignments if (a.principal_id, a.project_id, a.role_id) != (id, project_id, role_id)]
    if len(kept) == len(tables.assignments):
        raise not_found("role assignment", role_id)
    tables.assignments = kept
    _record(call, "role.assignment.deleted", tables.roles[role_id], (kind, id, project_id))
    return deleted(f"{kind}.role.deleted")


def _record(call: Call, type: str, role: Role, principal: tuple[str, str, str | None]) -> None:
    kind, id, project_id = principal
    where = {"resource_id": project_id or "organization", "resource_type": role.resource_type}
    record(call, type, role.id, principal_id=id, principal_type=kind, **where)


_HANDLERS: tuple[tuple[str, str, str, Handler], ...] = (
    ("GET", "list", "", _list),
    ("POST", "create", "", _create),
    ("GET", "retrieve", "/<role_id>", _retrieve),
    ("DELETE", "delete", "/<role_id>", _delete),
)
for _prefix, _base in (
    ("users.roles", "/organization/users/<user_id>/roles"),
    ("groups.roles", "/organization/groups/<group_id>/roles"),
    ("projects.users.roles", "/projects/<project_id>/users/<user_id>/roles"),
    ("projects.groups.roles", "/projects/<project_id>/groups/<group_id>/roles"),
):
    for _method, _verb, _tail, _handler in _HANDLERS:
        _add = {"GET": routes.get, "POST": routes.post, "DELETE": routes.delete}[_method]
        _add(f"{_prefix}.{_verb}", _base + _tail)(_handler)
