"""Token introspection (RFC 7662): for whoever may read tokens over everybody, and for a device about its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from authlib.oauth2.rfc6749 import InvalidClientError, InvalidRequestError
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from flask import g

from govern.core.uow import UnitOfWork
from govern.identity import devices, queries
from govern.identity.models import Device, DeviceToken
from govern.identity.principals import Principal
from govern.web import access


@dataclass(frozen=True)
class _Caller:
    """Who asks, in a client's place."""

    principal: Principal

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return True


def bearer(_query_client: Any, _request: Any) -> _Caller | None:
    """Who asks, by their own token; a client without a secret could let anybody try tokens here."""
    principal: Principal | None = g.get("caller")
    return _Caller(principal) if principal else None


@dataclass(frozen=True)
class _Token:
    row: DeviceToken
    device: Device

    def is_expired(self) -> bool:
        return not queries.is_token_good(self.row, self.device, _uow().now)

    def is_revoked(self) -> bool:
        return devices.holder_of(_uow(), self.device.person_id) is None


class Introspection(IntrospectionEndpoint):  # type: ignore[misc]
    CLIENT_AUTH_METHODS = ["bearer"]  # noqa: RUF012 - Authlib's way

    def authenticate_endpoint_client(self, request: Any) -> Any:
        caller = bearer(None, request)
        if caller is None:
            raise InvalidClientError("Send a token of your own as bearer.", status_code=401)
        request.client = caller
        return caller

    def check_params(self, request: Any, client: Any) -> None:
        if "token" not in request.form:
            raise InvalidRequestError("The parameter token is missing.")

    def query_token(self, token_string: str, token_type_hint: str | None) -> _Token | None:
        found = queries.device_token(_uow().session, _uow().box, token_string)
        return _Token(*found) if found else None

    def check_permission(self, token: _Token, client: _Caller, request: Any) -> bool:
        return client.principal.is_over_anyone("tokens:read") or client.principal.id == token.device.id

    def introspect_token(self, token: _Token) -> dict[str, Any]:
        person = devices.holder_of(_uow(), token.device.person_id)
        holds = queries.standing_grants(_uow().session, token.device.person_id)
        return {
            "active": True,
            "iss": access.govern().settings.web.url,
            "client_id": token.device.client_id,
            "sub": token.device.person_id,
            "username": person.email if person else None,
            "scope": " ".join(word for word in token.row.permissions if word in holds),
            "token_type": "refresh_token" if token.row.refreshes else "Bearer",
            "iat": int(token.row.created_at.timestamp()),
            "exp": int(min(token.row.expires_at, token.device.expires_at).timestamp()),
            "device_id": token.device.id,
        }


def _uow() -> UnitOfWork:
    found: UnitOfWork = g.uow
    return found
