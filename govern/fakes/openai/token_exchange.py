"""The OAuth token exchange: a JWT of a registered provider for a short-lived token that acts as a service account.

The body is JSON, not a form. The token never outlives the JWT.
"""

from __future__ import annotations

from typing import Any

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from govern.fakes.openai.federation import EXPRESSION, rules_for
from govern.fakes.openai.organization import digest_of
from govern.fakes.openai.problems import Refusal
from govern.fakes.openai.tables import FederatedToken, FederationRule, IdentityProvider, Json
from govern.fakes.openai.wire import Call, Routes

routes = Routes("open")
_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
_SUBJECTS = {"urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token"}
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
_LONGEST = 3_600
_LEEWAY = 30


@routes.add("POST", "oauth.token", "/oauth/token", "", since="2026-11")
def exchange(call: Call) -> Json:
    org, asked = call.org, call.body().members
    if asked.get("grant_type") != _GRANT:
        raise _error("unsupported_grant_type", "grant_type must be the token exchange")
    if asked.get("subject_token_type") not in _SUBJECTS:
        raise _error("invalid_request", "unsupported subject_token_type")
    provider = org.tables.providers.get(str(asked.get("identity_provider_id")))
    account = org.tables.service_accounts.get(str(asked.get("service_account_id")))
    if provider is None or not provider.enabled or account is None:
        raise _error("invalid_grant", "no such identity provider or service account")
    if org.tables.projects[account.project_id].archived_at is not None:
        raise _error("invalid_grant", "the project is archived")
    claims = _verified(provider, str(asked.get("subject_token")), call.now)
    attributes = _attributes(provider, claims)
    rule = next((rule for rule in rules_for(org, provider, account.id) if _matches(rule, attributes, claims)), None)
    if rule is None:
        raise _error("invalid_grant", "no federation rule matches the subject token", 403)
    lives = min(_LONGEST, int(claims["exp"]) - call.now)
    secret = org.new_secret("eyfed-")
    scopes = list(rule.permissions.get("scopes", []))
    token = FederatedToken(digest_of(secret), account.id, scopes, call.now, call.now + lives)
    org.tables.tokens[token.digest] = token
    return {
        "access_token": secret,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "Bearer",
        "expires_in": lives,
    }


def _verified(provider: IdentityProvider, token: str, now: int) -> Json:
    try:
        decoded = jwt.decode(token, KeySet.import_key_set(_keys(provider)), algorithms=_ALGORITHMS)
    except (JoseError, ValueError) as error:
        raise _error("invalid_subject_token", f"the subject token cannot be verified: {type(error).__name__}", 401) from None
    claims = dict(decoded.claims)
    if not decoded.header.get("kid"):
        raise _error("invalid_subject_token", "the subject token names no key", 401)
    if missing := {"iss", "aud", "sub", "exp", "iat"} - set(claims):
        raise _error("invalid_subject_token", f"the subject token lacks {min(missing)}", 401)
    audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    if claims["iss"] != provider.issuer or provider.audience not in audiences:
        raise _error("invalid_subject_token", "the subject token is for another issuer or audience", 401)
    if not isinstance(claims["exp"], int | float) or claims["exp"] <= now:
        raise _error("invalid_subject_token", "the subject token has expired", 401)
    if not isinstance(claims["iat"], int | float) or claims["iat"] > now + _LEEWAY:
        raise _error("invalid_subject_token", "the subject token is from the future", 401)
    return claims


def _keys(provider: IdentityProvider) -> Any:
    if provider.verification["type"] == "uploaded_jwks":
        return provider.verification["jwks"]
    url = provider.verification["discovery_url"] or f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration"
    try:
        metadata = httpx.get(url, timeout=5).raise_for_status().json()
        return httpx.get(metadata["jwks_uri"], timeout=5).raise_for_status().json()
    except (httpx.HTTPError, ValueError, KeyError):
        raise _error("invalid_grant", "the provider's keys cannot be read") from None


def _attributes(provider: IdentityProvider, claims: Json) -> Json:
    found = {}
    for row in provider.attribute_transformations:
        if path := EXPRESSION.fullmatch(row["expression"]):
            found[row["attribute"]] = _claim(claims, path[1])
    return found


def _claim(claims: Json, path: str) -> Any:
    value: Any = claims
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _matches(rule: FederationRule, attributes: Json, claims: Json) -> bool:
    for name, wanted in rule.attribute_matchers.items():
        given = attributes[name] if name in attributes else _claim(claims, name.removeprefix("claims."))
        if given is None or type(given) is not type(wanted) or given != wanted:
            return False
    return True


def _error(code: str, description: str, status: int = 400) -> Refusal:
    return Refusal(status, {"error": code, "error_description": description})
