"""Who is calling: the admin API takes admin keys with the right scope, the data plane project keys and federated tokens.

The data plane believes for a while (`propagation_seconds`) what was true before: a deleted key, narrower scopes, a
shorter expiry, a lost place in a project and an archived project take that long to arrive.
"""

from __future__ import annotations

from werkzeug.wrappers import Request

from govern.fakes.openai.organization import Organization, digest_of, redact
from govern.fakes.openai.problems import Refusal, missing_scope, refusal
from govern.fakes.openai.tables import AdminKey, Key
from govern.fakes.openai.wire import Holder


def admin(org: Organization, request: Request, scope: str) -> AdminKey:
    value = _bearer(request)
    key, now = org.admin_by_digest.get(digest_of(value)), org.clock.seconds()
    if key is None:
        found = org.keys_by_digest.get(digest_of(value))
        if (found and found.deleted_at is None) or digest_of(value) in org.tables.tokens:
            raise refusal(403, "This API requires an admin API key; project keys are not accepted.", code="admin_key_required")
        raise _incorrect(value)
    if key.expires_at is not None and key.expires_at <= now:
        raise _incorrect(value, "expired")
    if scope not in key.scopes:
        raise missing_scope(scope)
    key.last_used_at = now
    return key


def holder(org: Organization, request: Request) -> Holder:
    """The caller on the data plane, or a refusal."""
    return holder_of(org, _bearer(request))


def authenticates(org: Organization, value: str) -> bool:
    """Whether the data plane would let this value in now."""
    try:
        holder_of(org, value)
    except Refusal:
        return False
    return True


def holder_of(org: Organization, value: str) -> Holder:
    digest, now = digest_of(value), org.clock.instant()
    believed = now - org.behaviour.propagation_seconds
    if digest in org.admin_by_digest:
        raise refusal(403, "Admin API keys cannot be used for this endpoint.", code="insufficient_permissions")
    if (token := org.tables.tokens.get(digest)) and token.expires_at > now:
        account = org.tables.service_accounts[token.service_account_id]
        archived = org.tables.projects[account.project_id].archived_at
        if archived is None or archived > believed:
            return Holder(account.project_id, None, account.id, tuple(token.scopes), None)
        raise _incorrect(value)
    key = org.keys_by_digest.get(digest)
    if key is None or not _lives(org, key, now, believed):
        raise _incorrect(value)
    scopes = key.before["scopes"] if key.before and key.before["at"] > believed else key.scopes
    return Holder(key.project_id, key.owner_user_id, key.owner_account_id, tuple(scopes), key)


def _lives(org: Organization, key: Key, now: float, believed: float) -> bool:
    if key.deleted_at is not None:
        # Its owner may be gone as well: the memory of the key is all there is to ask.
        return key.deleted_at > believed
    archived = org.tables.projects[key.project_id].archived_at
    if archived is not None and archived <= believed:
        return False
    expires_at = key.before["expires_at"] if key.before and key.before["at"] > believed else key.expires_at
    if expires_at is not None and expires_at <= now:
        return False
    return key.owner_account_id is not None or org.has_access(key.owner_user_id or "", key.project_id, at=believed)


def _bearer(request: Request) -> str:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not value.strip():
        raise refusal(
            401,
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth.",
            code="missing_api_key",
        )
    return value.strip()


def _incorrect(value: str, why: str = "incorrect") -> Refusal:
    shown = redact(value) if len(value) > 16 else "****"
    return refusal(401, f"{why.capitalize()} API key provided: {shown}.", code="invalid_api_key")
