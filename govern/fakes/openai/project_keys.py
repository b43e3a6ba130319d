"""Keys of a project, people's and service accounts'. They can be listed, narrowed, dated and deleted, never made for a person."""

from __future__ import annotations

from govern.fakes.openai.audit_log import record
from govern.fakes.openai.organization import Organization
from govern.fakes.openai.paging import page
from govern.fakes.openai.problems import invalid, not_found
from govern.fakes.openai.project_users import places
from govern.fakes.openai.tables import Json, Key
from govern.fakes.openai.traffic import last_used
from govern.fakes.openai.wire import MAX_LIFETIME, Call, Routes, deleted

routes = Routes()
_ITEM = "/organization/projects/<project_id>/api_keys/<api_key_id>"


def access(org: Organization, key: Key) -> str:
    if key.owner_account_id:
        return "active"
    return "active" if org.has_access(key.owner_user_id or "", key.project_id) else "inactive"


def view(org: Organization, key: Key) -> Json:
    found: Json = {
        "object": "organization.project.api_key",
        "id": key.id,
        "name": key.name,
        "redacted_value": key.redacted,
        "created_at": key.created_at,
        "last_used_at": last_used(org, key),
        "owner_project_access": access(org, key),
        "owner": _owner(org, key),
    }
    return found if org.behaviour.generation == "2026-08" else found | {"expires_at": key.expires_at}


@routes.get("projects.api_keys.list", "/organization/projects/<project_id>/api_keys")
def list_keys(call: Call) -> Json:
    """Without `owner_project_access` the keys of people who lost the project are left out although they are still enabled."""
    org, project = call.org, call.org.project(call.path["project_id"])
    wanted = call.query.choice("owner_project_access", {"active", "inactive", "any"}, "active")
    rows = [key for key in org.enabled_keys(project.id) if wanted == "any" or access(org, key) == wanted]
    return page(call, rows, lambda key: view(org, key), id_of=lambda key: key.id)


@routes.get("projects.api_keys.retrieve", _ITEM)
def retrieve_key(call: Call) -> Json:
    return view(call.org, _key(call))


@routes.post("projects.api_keys.update", _ITEM, since="2026-11")
def update_key(call: Call) -> Json:
    """Scopes replace the old ones, and `[]` lifts every restriction. The expiry counts from this request."""
    org, body, key = call.org, call.body(), _key(call)
    org.active_project(key.project_id)
    if not body.has("scopes") and not body.has("expires_in_seconds"):
        raise invalid("At least one of scopes and expires_in_seconds is required", "scopes", "missing_required_parameter")
    if key.expires_at is not None and key.expires_at <= call.now:
        raise invalid("An expired key cannot be updated", code="api_key_expired")
    scopes = body.texts("scopes") if body.has("scopes") else key.scopes
    expires_in = body.integer("expires_in_seconds", 1, MAX_LIFETIME) if body.has("expires_in_seconds") else None
    longest = org.behaviour.max_key_lifetime_seconds
    if expires_in is not None and longest is not None and expires_in > longest:
        raise invalid(f"expires_in_seconds must be at most {longest}", "expires_in_seconds", "max_key_lifetime")
    key.before = {"scopes": key.scopes, "expires_at": key.expires_at, "at": org.clock.instant()}
    key.scopes = scopes
    if expires_in is not None:
        key.expires_at = call.now + expires_in
    record(call, "api_key.updated", key.id, changes_requested={"scopes": scopes})
    return view(org, key)


@routes.delete("projects.api_keys.delete", _ITEM)
def delete_key(call: Call) -> Json:
    org, key = call.org, _key(call)
    if key.owner_account_id and org.behaviour.generation == "2026-08":
        raise invalid("API keys of service accounts cannot be deleted; delete the service account", code="service_account_key")
    key.deleted_at = org.clock.instant()
    record(call, "api_key.deleted", key.id)
    return deleted("organization.project.api_key.deleted", key.id)


def _owner(org: Organization, key: Key) -> Json:
    if key.owner_account_id:
        account = org.tables.service_accounts[key.owner_account_id]
        return {
            "type": "service_account",
            "service_account": {
                "id": account.id,
                "name": account.name,
                "created_at": account.created_at,
                "role": account.role,
            },
        }
    user = org.user(key.owner_user_id or "")
    project = org.project(key.project_id)
    place = org.membership(key.project_id, user.id) or places(org, project).get(user.id)
    role = "owner" if user.role == "owner" else place.role if place else "member"
    return {
        "type": "user",
        "user": {"id": user.id, "email": user.email or "", "name": user.name, "created_at": user.added_at, "role": role},
    }


def _key(call: Call) -> Key:
    project, id = call.org.project(call.path["project_id"]), call.path["api_key_id"]
    found = call.org.tables.keys.get(id)
    if found and found.project_id == project.id and found.deleted_at is None:
        return found
    raise not_found("API key", id)
