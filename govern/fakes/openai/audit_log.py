"""The audit log: one event for each change, newest first, filed under the default project whatever it was about."""

from __future__ import annotations

from govern.fakes.openai.organization import Organization
from govern.fakes.openai.paging import page
from govern.fakes.openai.problems import invalid
from govern.fakes.openai.tables import AdminKey, Event, Json, User
from govern.fakes.openai.wire import Call, Routes

routes = Routes()

# Event types of other products and of whole tenants: their names are known, this organization never has one.
_TENANT_ONLY = {"role.bound_to_resource", "role.unbound_from_resource"}
_KINDS = {
    "api_key", "certificate", "certificates", "checkpoint", "external_key", "external_storage", "group", "invite", "ip_allowlist",
    "login", "logout", "organization", "project", "rate_limit", "resource", "tunnel", "workload_identity_provider",
    "workload_identity_provider_mapping", "role", "scim", "service_account", "tenant", "user",
}  # fmt: skip


def record(call: Call, type: str, id: str | None, **details: object) -> None:
    """Write the event of a change made by an admin key."""
    assert call.admin is not None
    append(call.org, type, actor_of_key(call.org, call.admin), call.now, id, **details)


def append(org: Organization, type: str, actor: Json, at: int, id: str | None, **details: object) -> None:
    event = Event(org.new_id("event", at), type, at, actor, ({"id": id} if id else {}) | details)
    org.tables.events.append(event)


def actor_of_key(org: Organization, key: AdminKey) -> Json:
    owner = org.tables.users.get(key.owner_user_id)
    user = {"id": key.owner_user_id, "email": owner.email if owner else None}
    return {"type": "api_key", "api_key": {"id": key.id, "type": "user", "user": {k: v for k, v in user.items() if v}}}


def actor_of_session(user: User) -> Json:
    """Somebody at the dashboard. Real events carry more about the address than is documented; so do these."""
    return {
        "type": "session",
        "session": {
            "user": {"id": user.id, "email": user.email},
            "ip_address": "198.51.100.7",
            "user_agent": "Mozilla/5.0",
            "ip_address_details": {"country": "IE", "city": "Dublin", "asn": "64500"},
        },
    }


@routes.get("audit_logs.list", "/organization/audit_logs")
def list_audit_logs(call: Call) -> Json:
    query = call.query
    bounds = {name: query.integer(f"effective_at[{name}]", 0) for name in ("gt", "gte", "lt", "lte")}
    types = set(query.texts("event_types"))
    if unknown := {name for name in types if name.split(".")[0] not in _KINDS}:
        raise invalid(f"Invalid event type '{min(unknown)}'", "event_types", "invalid_value")
    tenant_only = query.flag("tenant_only") or False
    tenant_types = {name for name in types if name.startswith("tenant.") or name in _TENANT_ONLY}
    if tenant_only and types != tenant_types:
        raise invalid("With tenant_only=true all event types must be tenant-scoped", "event_types", "invalid_value")
    if tenant_types and not tenant_only:
        raise invalid("Tenant-scoped event types need tenant_only=true", "tenant_only", "invalid_value")
    default = call.org.default_project
    projects = set(query.texts("project_ids"))
    nothing = tenant_only or (projects and (default is None or default.id not in projects))
    actors, resources = set(query.texts("actor_ids")), set(query.texts("resource_ids"))
    emails = {email.casefold() for email in query.texts("actor_emails")}

    def wanted(event: Event) -> bool:
        at = event.effective_at
        return not (
            nothing
            or (types and event.type not in types)
            or (bounds["gt"] is not None and at <= bounds["gt"])
            or (bounds["gte"] is not None and at < bounds["gte"])
            or (bounds["lt"] is not None and at >= bounds["lt"])
            or (bounds["lte"] is not None and at > bounds["lte"])
            or (resources and event.details.get("id") not in resources)
            or (actors and not actors & _actor_ids(event.actor))
            or (emails and _actor_email(event.actor) not in emails)
        )

    rows = [(index, event) for index, event in enumerate(call.org.tables.events) if wanted(event)]
    order = {event.id: index for index, event in enumerate(call.org.tables.events)}
    return page(
        call,
        rows,
        lambda row: _view(call.org, row[1]),
        id_of=lambda row: row[1].id,
        place=lambda _, id: (order.get(id, -1), b""),
        descending=True,
        backwards=True,
    )


def _view(org: Organization, event: Event) -> Json:
    view: Json = {"id": event.id, "type": event.type, "effective_at": event.effective_at, "actor": event.actor}
    if org.default_project:
        view["project"] = {"id": org.default_project.id, "name": org.default_project.name}
    # The details sit under the type itself, dots and all.
    return view | {event.type: event.details}


def _actor_ids(actor: Json) -> set[str]:
    ids = {actor[actor["type"]].get("user", {}).get("id")}
    if actor["type"] == "api_key":
        ids.add(actor["api_key"]["id"])
    return {id for id in ids if id}


def _actor_email(actor: Json) -> str:
    return str(actor[actor["type"]].get("user", {}).get("email") or "").casefold()
