"""Admin keys: full-scope when made through the API; narrower ones only from the dashboard (here: a control call)."""

from __future__ import annotations

from govern.fakes.openai.audit_log import record
from govern.fakes.openai.organization import Organization, digest_of, redact
from govern.fakes.openai.paging import by_age, page
from govern.fakes.openai.problems import not_found
from govern.fakes.openai.tables import AdminKey, Json
from govern.fakes.openai.wire import ALL_SCOPES, MAX_LIFETIME, Call, Routes, deleted

routes = Routes()


def view(org: Organization, key: AdminKey) -> Json:
    user = org.tables.users.get(key.owner_user_id)
    return {
        "object": "organization.admin_api_key",
        "id": key.id,
        "name": key.name,
        "redacted_value": key.redacted,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
        "owner": {
            "type": "user",
            "object": "organization.user",
            "id": key.owner_user_id,
            "name": user.name if user else "Former member",
            "created_at": user.added_at if user else key.created_at,
            "role": "owner",
        },
    }


def make(org: Organization, name: str, scopes: list[str], owner_id: str, *, value: str | None = None) -> tuple[AdminKey, str]:
    """Make a key; its value is known here only."""
    secret = value or org.new_secret("sk-admin-")
    key = AdminKey(org.new_id("admin_key"), name, digest_of(secret), redact(secret), scopes, owner_id, org.clock.seconds())
    org.add_admin_key(key)
    return key, secret


@routes.get("admin_api_keys.list", "/organization/admin_api_keys")
def list_admin_keys(call: Call) -> Json:
    descending = call.query.choice("order", {"asc", "desc"}, "asc") == "desc"
    rows = call.org.tables.admin_keys.values()
    return page(call, rows, lambda k: view(call.org, k), id_of=lambda k: k.id, place=by_age, descending=descending)


@routes.post("admin_api_keys.create", "/organization/admin_api_keys")
def create_admin_key(call: Call) -> Json:
    org, body = call.org, call.body()
    assert call.admin is not None
    name, expires_in = body.text("name"), body.maybe_integer("expires_in_seconds", 1, MAX_LIFETIME)
    key, secret = make(org, name, list(ALL_SCOPES), call.admin.owner_user_id)
    key.expires_at = None if expires_in is None else call.now + expires_in
    record(call, "api_key.created", key.id, data={"scopes": key.scopes})
    return view(org, key) | {"value": secret}


@routes.get("admin_api_keys.retrieve", "/organization/admin_api_keys/<key_id>")
def retrieve_admin_key(call: Call) -> Json:
    return view(call.org, _key(call))


@routes.delete("admin_api_keys.delete", "/organization/admin_api_keys/<key_id>")
def delete_admin_key(call: Call) -> Json:
    """Nothing stops a caller from deleting the very key it calls with."""
    key = _key(call)
    del call.org.tables.admin_keys[key.id]
    del call.org.admin_by_digest[key.digest]
    record(call, "api_key.deleted", key.id)
    return deleted("organization.admin_api_key.deleted", key.id)


def _key(call: Call) -> AdminKey:
    id = call.path["key_id"]
    if found := call.org.tables.admin_keys.get(id):
        return found
    raise not_found("admin API key", id)
