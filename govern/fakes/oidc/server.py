"""Authlib's authorization server over the demo provider's memory."""

from __future__ import annotations

from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector
from authlib.integrations.flask_oauth2.requests import FlaskOAuth2Request
from authlib.oauth2.rfc6750 import BearerTokenValidator
from authlib.oidc.core import UserInfoEndpoint
from authlib.oidc.rpinitiated import EndSessionEndpoint
from flask import Flask, Request
from flask import request as present_request
from joserfc.jwk import KeySet

from govern.fakes.oidc.grants import CodeGrant, IdToken, ResponseIssuer, S256Challenge
from govern.fakes.oidc.provider import DemoProvider
from govern.fakes.oidc.records import AccessToken, Code, Person
from govern.fakes.oidc.shapes import PresentedToken, RegisteredClient


class EndSession(EndSessionEndpoint):  # type: ignore[misc]
    """Logout started by the relying party."""

    server: Server

    def get_server_jwks(self) -> KeySet:
        """The keys that a genuine `id_token_hint` is signed with."""
        return KeySet([self.server.provider.key])

    def end_session(self, end_session_request: Any) -> None:
        """End the sign-in that the hint names; the one of the browser's cookie is ended by the page."""
        sid = (end_session_request.id_token_claims or {}).get("sid")
        if isinstance(sid, str):
            self.server.provider.end_sign_in(sid)


class TokenValidator(BearerTokenValidator):  # type: ignore[misc]
    """Finds the access token that a request presents."""

    def __init__(self, provider: DemoProvider) -> None:
        super().__init__()
        self.provider = provider

    def authenticate_token(self, token_string: str) -> PresentedToken | None:
        """The token, if it was not ended."""
        token = self.provider.token(token_string)
        return PresentedToken(token, self.provider) if token else None


class UserInformation(UserInfoEndpoint):  # type: ignore[misc]
    """The user information endpoint: claims as they are now."""

    server: Server

    def generate_user_info(self, user: Person, scope: str) -> dict[str, Any]:
        """The scopes' claims."""
        return self.server.provider.claims(user, scope)


class PlainHttpRequest(FlaskOAuth2Request):  # type: ignore[misc]
    """A request that Authlib accepts although the demo speaks plain HTTP.

    Authlib refuses an `http` address off loopback (the demo in a container or on a virtual machine) unless
    AUTHLIB_INSECURE_TRANSPORT is set, and that variable would switch the check off for everything in the process.
    The check looks at the address given to the constructor and nowhere else, so this class hands it a secure one.
    """

    def __init__(self, request: Request) -> None:
        super().__init__(_AsHttps(request))


class _AsHttps:
    """The request, except that its address begins with https."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self.url = "https://" + request.url.partition("://")[2]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)


class Server(AuthorizationServer):  # type: ignore[misc]
    """Authlib's authorization server over the provider's memory."""

    def __init__(self, app: Flask, provider: DemoProvider) -> None:
        self.provider = provider
        self.response_issuer = ResponseIssuer(provider)
        super().__init__(app, self._find_client, self._keep_token)
        self.register_grant(CodeGrant, [S256Challenge(required=True), IdToken(provider)])
        self.register_extension(self.response_issuer)
        self.register_endpoint(EndSession)
        protector = ResourceProtector()
        protector.register_token_validator(TokenValidator(provider))
        self.register_endpoint(UserInformation(resource_protector=protector))

    def create_oauth2_request(self, request: Any) -> PlainHttpRequest:
        """The present request."""
        return PlainHttpRequest(present_request)

    def _find_client(self, client_id: str) -> RegisteredClient | None:
        client = self.provider.client(client_id)
        return RegisteredClient(client) if client else None

    def _keep_token(self, token: dict[str, Any], request: Any) -> None:
        code: Code = request.authorization_code
        self.provider.keep_token(
            AccessToken(
                value=token["access_token"],
                client_id=request.client.client_id,
                sub=code.sub,
                sid=code.sid,
                scope=token["scope"],
                expires_at=self.provider.now() + AccessToken.LIFETIME,
                code=code.code,
            )
        )
