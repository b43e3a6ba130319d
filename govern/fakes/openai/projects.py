"""Projects. They are never deleted, only archived, and that for good."""

from __future__ import annotations

from govern.fakes.openai.audit_log import record
from govern.fakes.openai.paging import page
from govern.fakes.openai.problems import invalid
from govern.fakes.openai.tables import Json, Project
from govern.fakes.openai.wire import Call, Routes

routes = Routes()
RESIDENCIES = {
    "GLOBAL", "US_STORAGE_PROCESSING", "EU_STORAGE_PROCESSING", "JP_STORAGE", "KR_STORAGE", "CA_STORAGE", "SG_STORAGE",
    "IN_STORAGE",    "AU_STORAGE", "GB_STORAGE", "AE_STORAGE", "AE_STORAGE_PROCESSING",
}  # fmt: skip
NEWER_RESIDENCIES = RESIDENCIES | {"JP_STORAGE_PROCESSING", "IN_STORAGE_PROCESSING", "AU_STORAGE_PROCESSING"}


def view(project: Project) -> Json:
    return {
        "id": project.id,
        "object": "organization.project",
        "name": project.name,
        "created_at": project.created_at,
        "archived_at": project.archived_at,
        "status": "active" if project.archived_at is None else "archived",
        "external_key_id": project.external_key_id,
        "residency": project.residency,
    }


@routes.get("projects.list", "/organization/projects")
def list_projects(call: Call) -> Json:
    archived = call.query.flag("include_archived") or False
    rows = [p for p in call.org.tables.projects.values() if archived or p.archived_at is None]
    return page(call, rows, view, id_of=lambda project: project.id)


@routes.post("projects.create", "/organization/projects")
def create_project(call: Call) -> Json:
    org, body = call.org, call.body()
    known = RESIDENCIES if org.behaviour.generation == "2026-08" else NEWER_RESIDENCIES
    residency = body.choice("residency", known) if body.members.get("residency") is not None else "GLOBAL"
    project = Project(org.new_id("project"), body.text("name"), call.now, residency=residency)
    project.external_key_id = body.maybe_text("external_key_id")
    org.tables.projects[project.id] = project
    record(call, "project.created", project.id, data={"name": project.name, "title": project.name})
    return view(project)


@routes.get("projects.retrieve", "/organization/projects/<project_id>")
def retrieve_project(call: Call) -> Json:
    return view(call.org.project(call.path["project_id"]))


@routes.post("projects.update", "/organization/projects/<project_id>")
def update_project(call: Call) -> Json:
    body, project = call.body(), call.org.active_project(call.path["project_id"])
    if project.is_default:
        raise invalid("The default project cannot be modified", code="default_project")
    if (name := body.maybe_text("name")) is not None:
        project.name = name
        record(call, "project.updated", project.id, changes_requested={"title": name})
    if body.has("external_key_id"):
        project.external_key_id = body.maybe_text("external_key_id")
    return view(project)


@routes.post("projects.archive", "/organization/projects/<project_id>/archive")
def archive_project(call: Call) -> Json:
    project = call.org.project(call.path["project_id"])
    if project.is_default:
        raise invalid("The default project cannot be archived", code="default_project")
    if project.archived_at is None:
        project.archived_at = call.now
        record(call, "project.archived", project.id)
    return view(project)
