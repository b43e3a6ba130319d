"""Service accounts: the only way to a usable key through the API. The secret is shown once, in the answer that makes it.

Names are not unique: a request that is sent twice makes two accounts and two live keys.
"""

from __future__ import annotations

from govern.fakes.openai.audit_log import record
from govern.fakes.openai.organization import Organization, digest_of, redact
from govern.fakes.openai.paging import page
from govern.fakes.openai.problems import invalid, not_found
from govern.fakes.openai.tables import Json, Key, Project, ServiceAccount
from govern.fakes.openai.wire import MAX_LIFETIME, Body, Call, Routes, deleted

routes = Routes()
_BASE = "/organization/projects/<project_id>/service_accounts"


def view(account: ServiceAccount) -> Json:
    return {
        "object": "organization.project.service_account",
        "id": account.id,
        "name": account.name,
        "role": account.role,
        "created_at": account.created_at,
    }


@routes.get("projects.service_accounts.list", _BASE)
def list_service_accounts(call: Call) -> Json:
    project = call.org.active_project(call.path["project_id"])
    rows = [a for a in call.org.tables.service_accounts.values() if a.project_id == project.id]
    return page(call, rows, view, id_of=lambda account: account.id)


@routes.post("projects.service_accounts.create", _BASE)
def create_service_account(call: Call) -> Json:
    org, body, project = call.org, call.body(), _project(call)
    name, bare = body.text("name"), body.flag("create_service_account_only", False)
    expires_in = _lifetime(org, body, needed=not bare)
    if bare and expires_in is not None:
        raise invalid("expires_in_seconds cannot be used with create_service_account_only", "expires_in_seconds", "invalid_value")
    account = ServiceAccount(org.new_id("service_account"), project.id, name, "none" if bare else "member", call.now)
    org.tables.service_accounts[account.id] = account
    record(call, "service_account.created", account.id, data={"role": account.role})
    key = None if bare else _issue(call, account, "Secret Key", [], expires_in)
    return view(account) | {"api_key": key}


@routes.get("projects.service_accounts.retrieve", f"{_BASE}/<service_account_id>")
def retrieve_service_account(call: Call) -> Json:
    return view(_account(call, call.org.active_project(call.path["project_id"])))


@routes.post("projects.service_accounts.update", f"{_BASE}/<service_account_id>")
def update_service_account(call: Call) -> Json:
    body, account = call.body(), _account(call, _project(call))
    account.name = body.maybe_text("name") or account.name
    if body.members.get("role") is not None:
        account.role = body.choice("role", {"member", "owner"})
    record(call, "service_account.updated", account.id, changes_requested={"role": account.role})
    return view(account)


@routes.delete("projects.service_accounts.delete", f"{_BASE}/<service_account_id>")
def delete_service_account(call: Call) -> Json:
    org, account = call.org, _account(call, call.org.active_project(call.path["project_id"]))
    remove_account(org, account)
    record(call, "service_account.deleted", account.id)
    return deleted("organization.project.service_account.deleted", account.id)


@routes.post("projects.service_accounts.api_keys.create", f"{_BASE}/<service_account_id>/api_keys")
def create_key(call: Call) -> Json:
    body, account = call.body(), _account(call, _project(call))
    scopes = body.texts("scopes") if body.has("scopes") else []
    return _issue(call, account, body.maybe_text("name") or "Secret Key", scopes, _lifetime(call.org, body, needed=True))


def remove_account(org: Organization, account: ServiceAccount) -> None:
    """Take the account away; every key of it goes with it, and every token and rule that acts as it."""
    del org.tables.service_accounts[account.id]
    org.kill_keys(lambda key: key.owner_account_id == account.id)
    for digest in [t.digest for t in org.tables.tokens.values() if t.service_account_id == account.id]:
        del org.tables.tokens[digest]
    for id in [r.id for r in org.tables.rules.values() if r.service_account_id == account.id]:
        del org.tables.rules[id]


def _issue(call: Call, account: ServiceAccount, name: str, scopes: list[str], expires_in: int | None) -> Json:
    org, secret = call.org, call.org.new_secret("sk-svcacct-")
    key = Key(org.new_id("key"), account.project_id, name, digest_of(secret), redact(secret), call.now)
    key.owner_account_id, key.scopes = account.id, scopes
    key.expires_at = None if expires_in is None else call.now + expires_in
    org.add_key(key)
    record(call, "api_key.created", key.id, data={"scopes": scopes})
    issued: Json = {
        "object": "organization.project.service_account.api_key",
        "id": key.id,
        "name": name,
        "value": secret,
        "created_at": key.created_at,
    }
    return issued if org.behaviour.generation == "2026-08" else issued | {"expires_at": key.expires_at}


def _lifetime(org: Organization, body: Body, *, needed: bool) -> int | None:
    if org.behaviour.generation == "2026-08":
        if body.has("expires_in_seconds"):
            raise invalid("Unrecognized request argument supplied: expires_in_seconds", "expires_in_seconds", "unknown_parameter")
        return None
    expires_in, longest = body.maybe_integer("expires_in_seconds", 1, MAX_LIFETIME), org.behaviour.max_key_lifetime_seconds
    if needed and longest is not None and (expires_in is None or expires_in > longest):
        raise invalid(
            f"Your organization requires expires_in_seconds of at most {longest}", "expires_in_seconds", "max_key_lifetime"
        )
    return expires_in


def _project(call: Call) -> Project:
    project = call.org.active_project(call.path["project_id"])
    if project.is_default:
        raise invalid("The default project cannot hold service accounts", code="default_project")
    return project


def _account(call: Call, project: Project) -> ServiceAccount:
    id = call.path["service_account_id"]
    found = call.org.tables.service_accounts.get(id)
    if found and found.project_id == project.id:
        return found
    raise not_found("service account", id)
