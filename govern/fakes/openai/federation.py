"""Workload identity: providers and federation rules (called mappings in audit events), managed with an admin key."""

from __future__ import annotations

import re

from govern.fakes.openai.audit_log import record
from govern.fakes.openai.organization import Organization
from govern.fakes.openai.paging import by_age, page
from govern.fakes.openai.problems import invalid, not_found
from govern.fakes.openai.tables import FederationRule, IdentityProvider, Json
from govern.fakes.openai.wire import Body, Call, Routes, deleted

routes = Routes()
_PROVIDERS = "/organization/workload_identity_providers"
_PROVIDER = f"{_PROVIDERS}/<provider_id>"
_RULES = f"{_PROVIDER}/federation_rules"
MOST = 50  # providers of an organization, and rules of a provider
EXPRESSION = re.compile(r"(?:claims|assertion)\.([A-Za-z_][\w.]*)")


def view_provider(provider: IdentityProvider) -> Json:
    return {
        "object": "organization.workload_identity_provider",
        "id": provider.id,
        "type": "oidc",
        "name": provider.name,
        "description": provider.description,
        "issuer": provider.issuer,
        "audience": provider.audience,
        "verification": provider.verification,
        "attribute_transformations": provider.attribute_transformations,
        "enabled": provider.enabled,
        "created_at": provider.created_at,
        "updated_at": provider.updated_at,
    }


def view_rule(rule: FederationRule) -> Json:
    return {
        "object": "organization.workload_identity_federation_rule",
        "id": rule.id,
        "workload_identity_provider_id": rule.provider_id,
        "project_id": rule.project_id,
        "service_account_id": rule.service_account_id,
        "attribute_matchers": rule.attribute_matchers,
        "permissions": rule.permissions,
        "name": rule.name,
        "description": rule.description,
        "enabled": rule.enabled,
        "created_at": rule.created_at,
        "updated_at": rule.updated_at,
    }


@routes.get("workload_identity_providers.list", _PROVIDERS, since="2026-11")
def list_providers(call: Call) -> Json:
    descending = call.query.choice("order", {"asc", "desc"}, "asc") == "desc"
    rows = call.org.tables.providers.values()
    return page(call, rows, view_provider, id_of=lambda p: p.id, place=by_age, descending=descending)


@routes.post("workload_identity_providers.create", _PROVIDERS, since="2026-11")
def create_provider(call: Call) -> Json:
    org, body = call.org, call.body()
    body.choice("type", {"oidc"})
    if len(org.tables.providers) >= MOST:
        raise invalid(f"An organization can have at most {MOST} providers", code="limit_exceeded")
    now = call.now
    provider = IdentityProvider(
        org.new_id("provider"),
        body.text("name"),
        body.text("issuer"),
        body.text("audience"),
        _verification(body) if body.has("verification") else {"type": "discovery", "discovery_url": None},
        _transformations(body) if body.has("attribute_transformations") else [],
        body.maybe_text("description"),
        body.flag("enabled", True),
        now,
        now,
    )
    org.tables.providers[provider.id] = provider
    record(call, "workload_identity_provider.created", provider.id, data={"name": provider.name, "issuer": provider.issuer})
    return view_provider(provider)


@routes.get("workload_identity_providers.retrieve", _PROVIDER, since="2026-11")
def retrieve_provider(call: Call) -> Json:
    return view_provider(_provider(call))


@routes.post("workload_identity_providers.update", _PROVIDER, since="2026-11")
def update_provider(call: Call) -> Json:
    body, provider = call.body(), _provider(call)
    for name in ("name", "issuer", "audience"):
        if body.has(name):
            setattr(provider, name, body.text(name))
    if body.has("description"):
        provider.description = body.maybe_text("description")
    if body.has("verification"):
        provider.verification = _verification(body)
    if body.has("attribute_transformations"):
        provider.attribute_transformations = _transformations(body)
    provider.enabled = body.flag("enabled", provider.enabled)
    provider.updated_at = call.now
    record(call, "workload_identity_provider.updated", provider.id, changes_requested=dict.fromkeys(body.members, "changed"))
    return view_provider(provider)


@routes.delete("workload_identity_providers.delete", _PROVIDER, since="2026-11")
def delete_provider(call: Call) -> Json:
    provider, tables = _provider(call), call.org.tables
    if any(rule.provider_id == provider.id for rule in tables.rules.values()):
        raise invalid("Delete the provider's federation rules first", code="provider_in_use")
    del tables.providers[provider.id]
    record(call, "workload_identity_provider.deleted", provider.id, name=provider.name)
    return deleted("organization.workload_identity_provider.deleted", provider.id)


@routes.get("workload_identity_providers.federation_rules.list", _RULES, since="2026-11")
def list_rules(call: Call) -> Json:
    provider, account = _provider(call), call.query.text("service_account_id")
    descending = call.query.choice("order", {"asc", "desc"}, "asc") == "desc"
    rows = [r for r in call.org.tables.rules.values() if r.provider_id == provider.id and account in {None, r.service_account_id}]
    return page(call, rows, view_rule, id_of=lambda r: r.id, place=by_age, descending=descending)


@routes.post("workload_identity_providers.federation_rules.create", _RULES, since="2026-11")
def create_rule(call: Call) -> Json:
    """A rule binds to a service account that exists already; neither it nor its project can be changed later."""
    org, body, provider = call.org, call.body(), _provider(call)
    project, account_id = org.active_project(body.text("project_id")), body.text("service_account_id")
    account = org.tables.service_accounts.get(account_id)
    if account is None or account.project_id != project.id:
        raise not_found("service account", account_id)
    if sum(rule.provider_id == provider.id for rule in org.tables.rules.values()) >= MOST:
        raise invalid(f"A provider can have at most {MOST} rules", code="limit_exceeded")
    rule = FederationRule(
        org.new_id("rule"),
        provider.id,
        project.id,
        account.id,
        _matchers(body),
        _permissions(body) if body.has("permissions") else {"type": "service_account_default"},
        body.maybe_text("name"),
        body.maybe_text("description"),
        body.flag("enabled", True),
        call.now,
        call.now,
    )
    org.tables.rules[rule.id] = rule
    where: Json = {"project_id": project.id, "service_account_id": account.id}
    record(call, "workload_identity_provider_mapping.created", rule.id, identity_provider_id=provider.id, data=where)
    return view_rule(rule)


@routes.get("workload_identity_providers.federation_rules.retrieve", f"{_RULES}/<rule_id>", since="2026-11")
def retrieve_rule(call: Call) -> Json:
    return view_rule(_rule(call))


@routes.post("workload_identity_providers.federation_rules.update", f"{_RULES}/<rule_id>", since="2026-11")
def update_rule(call: Call) -> Json:
    body, rule = call.body(), _rule(call)
    if body.has("attribute_matchers"):
        rule.attribute_matchers = _matchers(body)
    if body.has("permissions"):
        rule.permissions = _permissions(body)
    for name in ("name", "description"):
        if body.has(name):
            setattr(rule, name, body.maybe_text(name))
    rule.enabled = body.flag("enabled", rule.enabled)
    rule.updated_at = call.now
    changes = dict.fromkeys(body.members, "changed")
    record(
        call,
        "workload_identity_provider_mapping.updated",
        rule.id,
        identity_provider_id=rule.provider_id,
        changes_requested=changes,
    )
    return view_rule(rule)


@routes.delete("workload_identity_providers.federation_rules.delete", f"{_RULES}/<rule_id>", since="2026-11")
def delete_rule(call: Call) -> Json:
    rule = _rule(call)
    del call.org.tables.rules[rule.id]
    where = {"project_id": rule.project_id, "service_account_id": rule.service_account_id}
    record(call, "workload_identity_provider_mapping.deleted", rule.id, identity_provider_id=rule.provider_id, **where)
    return deleted("organization.workload_identity_federation_rule.deleted", rule.id)


def rules_for(org: Organization, provider: IdentityProvider, account_id: str) -> list[FederationRule]:
    """The enabled rules that let tokens of the provider act as the account."""
    rows = org.tables.rules.values()
    return [r for r in rows if r.provider_id == provider.id and r.service_account_id == account_id and r.enabled]


def _provider(call: Call) -> IdentityProvider:
    id = call.path["provider_id"]
    if found := call.org.tables.providers.get(id):
        return found
    raise not_found("workload identity provider", id)


def _rule(call: Call) -> FederationRule:
    id, provider = call.path["rule_id"], _provider(call)
    found = call.org.tables.rules.get(id)
    if found and found.provider_id == provider.id:
        return found
    raise not_found("federation rule", id)


def _verification(body: Body) -> Json:
    given = body.object("verification")
    if given.choice("type", {"discovery", "uploaded_jwks"}) == "discovery":
        return {"type": "discovery", "discovery_url": given.maybe_text("discovery_url")}
    keys = given.object("jwks")
    keys.objects("keys")
    return {"type": "uploaded_jwks", "jwks": keys.members}


def _transformations(body: Body) -> list[dict[str, str]]:
    """Only expressions that name a claim are understood, `claims.a.b` or `assertion.a.b`."""
    rows = [
        {"attribute": r.text("attribute"), "expression": r.text("expression")} for r in body.objects("attribute_transformations")
    ]
    for row in rows:
        if not EXPRESSION.fullmatch(row["expression"]):
            raise invalid(f"Invalid expression: {row['expression']}", "attribute_transformations", "invalid_value")
    return rows


def _matchers(body: Body) -> Json:
    matchers = body.object("attribute_matchers").members
    if not matchers or not all(isinstance(value, str | bool | int | float) for value in matchers.values()):
        raise invalid("attribute_matchers must map at least one attribute to a value", "attribute_matchers", "invalid_value")
    return dict(matchers)


def _permissions(body: Body) -> Json:
    given = body.object("permissions")
    if given.choice("type", {"service_account_default", "restricted"}) == "restricted":
        return {"type": "restricted", "scopes": given.texts("scopes", least=1)}
    return {"type": "service_account_default"}
