"""Groups, their members, and the projects that they may use. Three shapes describe a group, as in the real API."""

from __future__ import annotations

from typing import Any

from govern.fakes.openai.audit_log import record
from govern.fakes.openai.organization import Organization
from govern.fakes.openai.paging import by_age, page
from govern.fakes.openai.problems import invalid, not_found
from govern.fakes.openai.roles import role_for
from govern.fakes.openai.tables import Assignment, Group, Json, ProjectGroup, User
from govern.fakes.openai.wire import Call, Routes, deleted

routes = Routes()
_GROUP = "/organization/groups/<group_id>"
_PROJECT = "/organization/projects/<project_id>/groups"


def view(group: Group) -> Json:
    """As a resource of its own."""
    return {
        "id": group.id,
        "name": group.name,
        "created_at": group.created_at,
        "is_scim_managed": group.is_scim_managed,
        "group_type": "group",
    }


def summary(group: Group) -> Json:
    """Inside a role assignment."""
    return {
        "object": "group",
        "id": group.id,
        "name": group.name,
        "created_at": group.created_at,
        "scim_managed": group.is_scim_managed,
    }


def find(org: Organization, id: str) -> Group:
    if found := org.tables.groups.get(id):
        return found
    raise not_found("group", id)


def paged(
    call: Call, rows: Any, render: Any, id_of: Any, *, order: str = "asc", default: int = 100, maximum: int = 1_000
) -> Json:
    """Style N in the order of age."""
    descending = call.query.choice("order", {"asc", "desc"}, order) == "desc"
    return page(
        call, rows, render, id_of=id_of, place=by_age, descending=descending, default=default, low=0, maximum=maximum, style="N"
    )


@routes.get("groups.list", "/organization/groups")
def list_groups(call: Call) -> Json:
    return paged(call, call.org.tables.groups.values(), view, lambda group: group.id)


@routes.post("groups.create", "/organization/groups")
def create_group(call: Call) -> Json:
    org, name = call.org, call.body().text("name", longest=255)
    if any(group.name == name for group in org.tables.groups.values()):
        raise invalid(f"A group named {name} already exists", "name", "group_name_taken")
    group = Group(org.new_id("group"), name, call.now)
    org.tables.groups[group.id] = group
    record(call, "group.created", group.id, data={"group_name": name})
    return view(group)


@routes.get("groups.retrieve", _GROUP)
def retrieve_group(call: Call) -> Json:
    return view(find(call.org, call.path["group_id"]))


@routes.post("groups.update", _GROUP)
def update_group(call: Call) -> Json:
    group = _own(call)
    group.name = call.body().text("name", longest=255)
    record(call, "group.updated", group.id, changes_requested={"group_name": group.name})
    return {"id": group.id, "name": group.name, "created_at": group.created_at, "is_scim_managed": group.is_scim_managed}


@routes.delete("groups.delete", _GROUP)
def delete_group(call: Call) -> Json:
    tables, group = call.org.tables, _own(call)
    del tables.groups[group.id]
    tables.project_groups = [link for link in tables.project_groups if link.group_id != group.id]
    tables.assignments = [a for a in tables.assignments if a.principal_id != group.id]
    record(call, "group.deleted", group.id)
    return deleted("group.deleted", group.id)


@routes.get("groups.users.list", f"{_GROUP}/users")
def list_group_users(call: Call) -> Json:
    """The newest first, unlike other lists."""
    group = find(call.org, call.path["group_id"])
    return paged(call, [call.org.user(id) for id in group.members], _member, lambda user: user.id, order="desc")


@routes.post("groups.users.create", f"{_GROUP}/users")
def create_group_user(call: Call) -> Json:
    group, id = _own(call), call.body().text("user_id")
    user = call.org.user(id)
    if user.id in group.members:
        raise invalid(f"User {id} is already a member of the group", "user_id", "user_already_in_group")
    group.members[user.id] = call.now
    return {"object": "group.user", "user_id": user.id, "group_id": group.id}


@routes.get("groups.users.retrieve", f"{_GROUP}/users/<user_id>")
def retrieve_group_user(call: Call) -> Json:
    user = _group_user(call, find(call.org, call.path["group_id"]))
    return _member(user) | {"picture": None, "is_service_account": user.is_service_account, "user_type": "user"}


@routes.delete("groups.users.delete", f"{_GROUP}/users/<user_id>")
def delete_group_user(call: Call) -> Json:
    group = _own(call)
    del group.members[_group_user(call, group).id]
    return deleted("group.user.deleted")


@routes.get("projects.groups.list", _PROJECT)
def list_project_groups(call: Call) -> Json:
    org, project = call.org, call.org.active_project(call.path["project_id"])
    rows = [link for link in org.tables.project_groups if link.project_id == project.id]
    return paged(call, rows, lambda link: _link(org, link), lambda link: link.group_id, default=20, maximum=100)


@routes.post("projects.groups.create", _PROJECT)
def create_project_group(call: Call) -> Json:
    """`role` is a role's id here, and does not come back in the answer."""
    org, body, project = call.org, call.body(), call.org.active_project(call.path["project_id"])
    group, role = find(org, body.text("group_id")), role_for(org, body.text("role"), project.id)
    if any(link.group_id == group.id and link.project_id == project.id for link in org.tables.project_groups):
        raise invalid(f"Group {group.id} already exists in project {project.id}", "group_id", "group_already_in_project")
    link = ProjectGroup(project.id, group.id, call.now)
    org.tables.project_groups.append(link)
    org.tables.assignments.append(Assignment("group", group.id, project.id, role.id, call.now))
    _assigned(call, "role.assignment.created", role.id, group.id, project.id)
    return _link(org, link)


@routes.get("projects.groups.retrieve", f"{_PROJECT}/<group_id>")
def retrieve_project_group(call: Call) -> Json:
    kind = call.query.choice("group_type", {"group", "tenant_group"}, "group")
    if kind == "tenant_group":
        raise not_found("group", call.path["group_id"])
    return _link(call.org, _project_group(call))


@routes.delete("projects.groups.delete", f"{_PROJECT}/<group_id>")
def delete_project_group(call: Call) -> Json:
    """Whoever had the project through the group alone loses it now."""
    tables, link = call.org.tables, _project_group(call)
    tables.project_groups.remove(link)
    gone = [a for a in tables.assignments if a.principal_id == link.group_id and a.project_id == link.project_id]
    tables.assignments = [a for a in tables.assignments if a not in gone]
    for assignment in gone:
        _assigned(call, "role.assignment.deleted", assignment.role_id, link.group_id, link.project_id)
    return deleted("project.group.deleted")


def _assigned(call: Call, type: str, role_id: str, group_id: str, project_id: str) -> None:
    where = {"resource_id": project_id, "resource_type": "api.project"}
    record(call, type, role_id, principal_id=group_id, principal_type="group", **where)


def _member(user: User) -> Json:
    return {"id": user.id, "name": user.name, "email": user.email}


def _link(org: Organization, link: ProjectGroup) -> Json:
    return {
        "object": "project.group",
        "project_id": link.project_id,
        "group_id": link.group_id,
        "group_name": org.tables.groups[link.group_id].name,
        "group_type": "group",
        "created_at": link.created_at,
    }


def _own(call: Call) -> Group:
    group = find(call.org, call.path["group_id"])
    if group.is_scim_managed:
        raise invalid("This group is managed by your identity provider", code="scim_managed")
    return group


def _group_user(call: Call, group: Group) -> User:
    id = call.path["user_id"]
    if id in group.members:
        return call.org.user(id)
    raise not_found("group user", id)


def _project_group(call: Call) -> ProjectGroup:
    project, id = call.org.active_project(call.path["project_id"]), call.path["group_id"]
    for link in call.org.tables.project_groups:
        if link.project_id == project.id and link.group_id == id:
            return link
    raise not_found("project group", id)
