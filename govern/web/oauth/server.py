"""Authlib's authorization server over our rows.

Each request is one unit of work (`g.uow`), begun and committed by `endpoints`. Authlib turns its errors into answers inside
of it, so what they leave behind stays: a poll that came too soon, the end of a device whose refresh token was used twice.

Authlib itself never uses a device code up and does not compare times for us: both happens in `identity.devices`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.integrations.flask_oauth2.requests import FlaskOAuth2Payload, FlaskOAuth2Request
from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidRequestError, OAuth2Request
from authlib.oauth2.rfc6749.grants import RefreshTokenGrant
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc8628 import DeviceAuthorizationEndpoint, DeviceCodeGrant
from flask import Flask, Request, g
from flask import request as current

from govern.core.crypto import Secret, new_token
from govern.core.uow import UnitOfWork
from govern.identity import devices, queries, rules
from govern.identity.models import Device, DeviceCode
from govern.identity.permissions import DEVICE_PERMISSIONS
from govern.identity.queries import ACCESS_PREFIX, REFRESH_PREFIX
from govern.identity.rules import DeviceLimits
from govern.people.models import Person
from govern.settings import Settings
from govern.web.access import govern
from govern.web.oauth.clients import CLIENTS
from govern.web.oauth.introspection import Introspection, bearer


def uow() -> UnitOfWork:
    """The unit of work of this request."""
    found: UnitOfWork = g.uow
    return found


def device_limits(settings: Settings) -> DeviceLimits:
    """The settings as the rules of `identity` take them."""
    chosen = settings.devices
    return DeviceLimits(
        code=timedelta(minutes=chosen.code_minutes), poll=timedelta(seconds=chosen.poll_seconds),
        access=timedelta(minutes=chosen.access_minutes), idle=timedelta(days=chosen.idle_days),
        longest=timedelta(days=chosen.longest_days),
    )  # fmt: skip


def permissions_in(scope: str | None) -> list[str]:
    """The permissions that a scope names, in the order of ours; all that a device may hold when it names none."""
    asked = set((scope or "").split())
    return [word for word in DEVICE_PERMISSIONS if not asked or word in asked]


class _Payload(FlaskOAuth2Payload):  # type: ignore[misc]
    """The body only: what stands in an address is logged on its way."""

    @property
    def data(self) -> Any:
        return self._request.form


class _Request(FlaskOAuth2Request):  # type: ignore[misc]
    """Secure or not is judged by the address that people use; a proxy in front may speak plain HTTP to us."""

    def __init__(self, request: Request) -> None:
        OAuth2Request.__init__(self, request.method, govern().settings.web.url + request.path, headers=request.headers)
        self._request = request
        self.payload = _Payload(request)


class Server(AuthorizationServer):  # type: ignore[misc]
    """Ours: bodies only, opaque tokens, rows instead of callbacks."""

    def create_oauth2_request(self, request: Any) -> _Request:
        return request if isinstance(request, _Request) else _Request(current)

    def query_client(self, client_id: str) -> Any:
        return CLIENTS.get(client_id)

    def save_token(self, token: dict[str, Any], request: Any) -> None:
        access, refresh = Secret(token["access_token"]), Secret(token["refresh_token"])
        limits = device_limits(govern().settings)
        if request.credential is not None:
            devices.establish(uow(), limits, request.credential.row, access=access, refresh=refresh)
        else:
            held: _Held = request.refresh_token
            words = permissions_in(token["scope"])
            devices.rotate(uow(), limits, held.refreshing, access=access, refresh=refresh, permissions=words)


@dataclass(frozen=True)
class _Credential:
    """A waiting request, as Authlib asks for it. Its name stands in for the short code, of which only a hash is kept."""

    row: DeviceCode

    def get_client_id(self) -> str:
        return self.row.client_id

    def get_scope(self) -> str:
        return " ".join(self.row.permissions)

    def get_user_code(self) -> DeviceCode:
        return self.row

    def is_expired(self) -> bool:
        return self.row.expires_at <= uow().now


class _DeviceGrant(DeviceCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = ["none"]  # noqa: RUF012 - Authlib's way

    def query_device_credential(self, device_code: str) -> _Credential:
        row = devices.code_of(uow(), device_code)
        if row is None or row.client_id != self.request.payload.client_id:
            raise InvalidGrantError("The device code is unknown or was used already.")
        return _Credential(row)

    def query_user_grant(self, row: DeviceCode) -> tuple[Person | None, bool] | None:
        if row.approved is None:
            return None
        holder = devices.holder_of(uow(), row.person_id)
        return holder, bool(row.approved and holder)

    def should_slow_down(self, credential: _Credential) -> bool:
        return devices.polls_too_often(uow(), credential.row)


@dataclass(frozen=True)
class _Held:
    """A refresh token, as Authlib asks for it."""

    refreshing: devices.Refreshing
    holder: Person

    def check_client(self, client: Any) -> bool:
        return bool(self.refreshing.device.client_id == client.get_client_id())

    def get_scope(self) -> str:
        return " ".join(self.refreshing.device.permissions)


class _RefreshGrant(RefreshTokenGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = ["none"]  # noqa: RUF012
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> _Held | None:
        found = devices.refreshing(uow(), refresh_token)
        holder = devices.holder_of(uow(), found.device.person_id) if found else None
        return _Held(found, holder) if found and holder else None

    def authenticate_user(self, refresh_token: _Held) -> Person:
        return refresh_token.holder

    def revoke_old_credential(self, refresh_token: _Held) -> None:
        """Done: `devices.rotate` spends it together with making the new one."""


class _DeviceAuthorization(DeviceAuthorizationEndpoint):  # type: ignore[misc]
    CLIENT_AUTH_METHODS = ["none"]  # noqa: RUF012

    def __init__(self, settings: Settings) -> None:
        super().__init__(None)
        self._settings = settings
        limits = device_limits(settings)
        self.EXPIRES_IN, self.INTERVAL = int(limits.code.total_seconds()), int(limits.poll.total_seconds())

    def generate_device_code(self) -> str:
        return devices.new_device_code().reveal()

    def generate_user_code(self) -> str:
        return rules.shown_code(devices.new_user_code(uow()))

    def get_verification_uri(self) -> str:
        return self._settings.web.url + "/device"

    def save_device_credential(self, client_id: str, scope: str | None, data: dict[str, Any]) -> None:
        devices.begin(
            uow(), device_limits(self._settings), client_id=client_id, name=current.form.get("device_name"),
            permissions=permissions_in(scope), device_code=Secret(data["device_code"]),
            user_code=rules.clean_code(data["user_code"]),
        )  # fmt: skip


@dataclass(frozen=True)
class _Presented:
    """A token that its client gives back."""

    value: str
    device: Device

    def check_client(self, client: Any) -> bool:
        return bool(self.device.client_id == client.get_client_id())


class _Revocation(RevocationEndpoint):  # type: ignore[misc]
    CLIENT_AUTH_METHODS = ["none"]  # noqa: RUF012

    def check_params(self, request: Any, client: Any) -> None:
        # What kind of token it is its prefix says; a hint, right or wrong, changes nothing (RFC 7009, section 2.1).
        if "token" not in request.form:
            raise InvalidRequestError("The parameter token is missing.")

    def query_token(self, token_string: str, token_type_hint: str | None) -> _Presented | None:
        found = queries.device_token(uow().session, uow().box, token_string)
        return _Presented(token_string, found[1]) if found else None

    def revoke_token(self, token: _Presented, request: Any) -> None:
        devices.take_back(uow(), token.value, request.client.get_client_id())


def make_server(app: Flask) -> Server:
    """The authorization server of this app."""
    settings: Settings = app.extensions["govern"].settings
    limits = device_limits(settings)
    server = Server(app)
    server.scopes_supported = list(DEVICE_PERMISSIONS)
    server.register_token_generator(
        "default",
        BearerTokenGenerator(
            lambda **_: new_token(ACCESS_PREFIX).reveal(),
            lambda **_: new_token(REFRESH_PREFIX).reveal(),
            int(limits.access.total_seconds()),
        ),
    )
    server.register_client_auth_method("bearer", bearer)
    server.register_grant(_DeviceGrant)
    server.register_grant(_RefreshGrant)
    server.register_endpoint(_DeviceAuthorization(settings))
    server.register_endpoint(_Revocation)
    server.register_endpoint(Introspection)
    return server
