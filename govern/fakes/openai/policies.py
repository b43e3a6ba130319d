"""What a project may do: rate limits, model permissions, hosted tools, service tiers, data retention."""

from __future__ import annotations

from typing import Any

from govern.fakes.openai.audit_log import record
from govern.fakes.openai.catalogue import MODELS, Model
from govern.fakes.openai.paging import page
from govern.fakes.openai.problems import invalid, not_found, unwrapped_not_found
from govern.fakes.openai.tables import Json, Project
from govern.fakes.openai.wire import Call, Routes, deleted

routes = Routes()
_PROJECT = "/organization/projects/<project_id>"
_TOOLS = ("file_search", "web_search", "image_generation", "mcp", "code_interpreter")
_RETENTION = {"zero_data_retention", "modified_abuse_monitoring", "enhanced_zero_data_retention",
              "enhanced_modified_abuse_monitoring"}  # fmt: skip
_LIMITS = ("max_requests_per_1_minute", "max_tokens_per_1_minute", "max_images_per_1_minute", "max_audio_megabytes_per_1_minute",
           "max_requests_per_1_day", "batch_1_day_max_input_tokens")  # fmt: skip


# -- rate limits: one for each model -----------------------------------------------------------------------------------------


def _ceiling(model: Model) -> dict[str, int]:
    """The organization's own limits; a project can only go below. Some members exist for some models only."""
    limits = {"max_requests_per_1_minute": model.requests_per_minute, "max_tokens_per_1_minute": model.tokens_per_minute}
    if model.endpoint == "images":
        limits["max_images_per_1_minute"] = 150
    if model.endpoint.startswith("audio"):
        limits["max_audio_megabytes_per_1_minute"] = 50
    if model.endpoint == "completions":
        limits["batch_1_day_max_input_tokens"] = 200_000_000
    return limits


def _rate_limit(project: Project, model: Model) -> Json:
    limits = _ceiling(model) | project.rate_limits.get(model.name, {})
    return {"object": "project.rate_limit", "id": f"rl-{model.name}", "model": model.name, **limits}


def _limited_project(call: Call) -> Project:
    id = call.path["project_id"]
    found = call.org.tables.projects.get(id)
    if found is None:
        raise unwrapped_not_found(id)
    return call.org.active_project(id)


@routes.get("projects.rate_limits.list_rate_limits", f"{_PROJECT}/rate_limits")
def list_rate_limits(call: Call) -> Json:
    project, order = _limited_project(call), [f"rl-{name}" for name in MODELS]

    def place(_: Call, id: str) -> tuple[int, bytes]:
        return order.index(id), b""

    for id in order:
        call.org.tables.born.setdefault(id, 0)
    rows = list(MODELS.values())
    return page(
        call,
        rows,
        lambda m: _rate_limit(project, m),
        id_of=lambda m: f"rl-{m.name}",
        place=place,
        default=100,
        maximum=10_000,
        backwards=True,
    )


@routes.post("projects.rate_limits.update_rate_limit", f"{_PROJECT}/rate_limits/<rate_limit_id>")
def update_rate_limit(call: Call) -> Json:
    body, project, id = call.body(), _limited_project(call), call.path["rate_limit_id"]
    model = MODELS.get(id.removeprefix("rl-"))
    if model is None or not id.startswith("rl-"):
        raise not_found("rate limit", id)
    ceiling, changes = _ceiling(model), dict[str, int]()
    for name in _LIMITS:
        if (value := body.maybe_integer(name, 0)) is None:
            continue
        if name not in ceiling:
            raise invalid(f"{name} does not apply to {model.name}", name, "invalid_value")
        if value > ceiling[name]:
            raise invalid(f"{name} exceeds the organization's limit of {ceiling[name]}", name, "rate_limit_exceeds_organization")
        changes[name] = value
    project.rate_limits.setdefault(model.name, {}).update(changes)
    record(call, "rate_limit.updated", id, changes_requested=changes)
    return _rate_limit(project, model)


# -- model permissions -----------------------------------------------------------------------------------------------------


def _policy(project: Project) -> Json:
    if project.model_policy is None:
        raise not_found("model permissions", project.id)
    return {"object": "project.model_permissions", **project.model_policy}


@routes.get("projects.model_permissions.retrieve", f"{_PROJECT}/model_permissions")
def retrieve_model_permissions(call: Call) -> Json:
    """404 where no policy is set."""
    return _policy(call.org.project(call.path["project_id"]))


@routes.post("projects.model_permissions.update", f"{_PROJECT}/model_permissions")
def update_model_permissions(call: Call) -> Json:
    body, project = call.body(), call.org.active_project(call.path["project_id"])
    project.model_policy = {"mode": body.choice("mode", {"allow_list", "deny_list"}), "model_ids": body.texts("model_ids")}
    return _policy(project)


@routes.delete("projects.model_permissions.delete", f"{_PROJECT}/model_permissions")
def delete_model_permissions(call: Call) -> Json:
    project = call.org.active_project(call.path["project_id"])
    _policy(project)
    project.model_policy = None
    return deleted("project.model_permissions.deleted")


# -- hosted tools ------------------------------------------------------------------------------------------------------------


def _tools(project: Project) -> Json:
    return {name: {"enabled": project.tools.get(name, True)} for name in _TOOLS}


@routes.get("projects.hosted_tool_permissions.retrieve", f"{_PROJECT}/hosted_tool_permissions")
def retrieve_tools(call: Call) -> Json:
    return _tools(call.org.project(call.path["project_id"]))


@routes.post("projects.hosted_tool_permissions.update", f"{_PROJECT}/hosted_tool_permissions")
def update_tools(call: Call) -> Json:
    """Only the tools that are named change."""
    body, project = call.body(), call.org.active_project(call.path["project_id"])
    named = [name for name in _TOOLS if body.members.get(name) is not None]
    changes = {name: body.object(name).flag("enabled", True) for name in named}
    project.tools.update(changes)
    return _tools(project)


# -- service tiers -----------------------------------------------------------------------------------------------------------


@routes.get("projects.service_tier_settings.retrieve", f"{_PROJECT}/service_tier_settings", since="2026-11")
def retrieve_tiers(call: Call) -> Json:
    return {"object": "project.service_tier_settings", **call.org.project(call.path["project_id"]).tiers}


@routes.post("projects.service_tier_settings.update", f"{_PROJECT}/service_tier_settings", since="2026-11")
def update_tiers(call: Call) -> Json:
    body, project = call.body(), call.org.active_project(call.path["project_id"])
    if not body.has("default") and not body.has("enabled_tiers"):
        raise invalid("At least one of default and enabled_tiers is required", "default", "missing_required_parameter")
    changes: dict[str, Any] = {}
    if body.has("default"):
        changes["default"] = body.choice("default", {"standard", "fast", "scale"})
    if body.has("enabled_tiers"):
        tiers = body.members["enabled_tiers"]
        changes["enabled_tiers"] = tiers if tiers == "all" else body.texts("enabled_tiers")
        if tiers != "all" and set(changes["enabled_tiers"]) - {"flex", "fast", "ultrafast"}:
            raise invalid("Unknown service tier", "enabled_tiers", "invalid_value")
    project.tiers.update(changes)
    return {"object": "project.service_tier_settings", **project.tiers}


# -- data retention ------------------------------------------------------------------------------------------------------------


@routes.get("data_retention.retrieve", "/organization/data_retention")
def retrieve_retention(call: Call) -> Json:
    return {"object": "organization.data_retention", "type": call.org.tables.retention}


@routes.post("data_retention.update", "/organization/data_retention")
def update_retention(call: Call) -> Json:
    """Asked for as `retention_type`, answered as `type`."""
    call.org.tables.retention = call.body().choice("retention_type", _RETENTION)
    return {"object": "organization.data_retention", "type": call.org.tables.retention}


@routes.get("projects.data_retention.retrieve", f"{_PROJECT}/data_retention")
def retrieve_project_retention(call: Call) -> Json:
    return {"object": "project.data_retention", "type": call.org.project(call.path["project_id"]).retention}


@routes.post("projects.data_retention.update", f"{_PROJECT}/data_retention")
def update_project_retention(call: Call) -> Json:
    project = call.org.active_project(call.path["project_id"])
    project.retention = call.body().choice("retention_type", _RETENTION | {"organization_default", "none"})
    return {"object": "project.data_retention", "type": project.retention}
