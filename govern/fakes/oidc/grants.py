"""The code flow with PKCE and the ID token, as extensions of Authlib's server.

Authlib carries no types, so its classes are `Any` to the checker: hence the `type: ignore[misc]` on each subclass.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from datetime import timedelta
from typing import Any

from authlib.oauth2.rfc6749 import InvalidRequestError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc9207 import IssuerParameter
from authlib.oidc.core.grants import OpenIDCode
from joserfc.jwk import RSAKey

from govern.fakes.oidc.faults import OTHER_ISSUER, Fault
from govern.fakes.oidc.provider import DemoProvider
from govern.fakes.oidc.records import Code, Person, SignIn
from govern.fakes.oidc.shapes import RegisteredClient

ID_TOKEN_LIFETIME = timedelta(minutes=10)


class CodeGrant(AuthorizationCodeGrant):  # type: ignore[misc]
    """The code flow over the provider's memory."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic",)

    def __init__(self, request: Any, server: Any) -> None:
        super().__init__(request, server)
        self.provider: DemoProvider = server.provider

    def save_authorization_code(self, code: str, request: Any) -> None:
        """Keep what the token request has to match and what the ID token will say."""
        sign_in: SignIn = request.user
        data = request.payload.data
        self.provider.keep_code(
            Code(
                code=code,
                client_id=request.client.client_id,
                sub=sign_in.sub,
                sid=sign_in.sid,
                redirect_uri=request.payload.redirect_uri,
                scope=request.scope,
                nonce=data.get("nonce"),
                code_challenge=data["code_challenge"],
                code_challenge_method=data["code_challenge_method"],
                authenticated_at=sign_in.authenticated_at,
                expires_at=self.provider.now() + Code.LIFETIME,
            )
        )

    def query_authorization_code(self, code: str, client: RegisteredClient) -> Code | None:
        """The code, spent by this very look."""
        return self.provider.take_code(code, client.client_id)

    def delete_authorization_code(self, authorization_code: Code) -> None:
        """Nothing to do: it was spent when it was looked up, so that two requests at once cannot both have it."""

    def authenticate_user(self, authorization_code: Code) -> Person | None:
        """The person, unless removed meanwhile."""
        return self.provider.person(authorization_code.sub)


class S256Challenge(CodeChallenge):  # type: ignore[misc]
    """PKCE for everybody. Authlib's own demands it of public clients only and takes `plain` too."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        """Refuse a request without a challenge by S256."""
        data = grant.request.payload.data
        if not data.get("code_challenge"):
            raise InvalidRequestError("Missing 'code_challenge'")
        if data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("The 'code_challenge_method' must be S256")
        super().validate_code_challenge(grant, redirect_uri)


class IdToken(OpenIDCode):  # type: ignore[misc]
    """The ID token, with the faults that were asked for."""

    def __init__(self, provider: DemoProvider) -> None:
        super().__init__(require_nonce=False)
        self.provider = provider

    def exists_nonce(self, nonce: str, request: Any) -> bool:
        """A nonce is the client's to judge."""
        return False

    def get_client_claims(self, client: RegisteredClient) -> dict[str, Any]:
        """Who says it, to whom, and until when."""
        does = self.provider.does
        now = self.provider.now()
        if does(Fault.EXPIRED_TOKEN):
            now -= ID_TOKEN_LIFETIME + timedelta(hours=1)
        return {
            "iss": OTHER_ISSUER if does(Fault.WRONG_ISSUER) else self.provider.issuer,
            "aud": "another-client" if does(Fault.WRONG_AUD) else client.client_id,
            "iat": int(now.timestamp()),
            "exp": int((now + ID_TOKEN_LIFETIME).timestamp()),
        }

    def get_authorization_code_claims(self, authorization_code: Code) -> dict[str, Any]:
        """Nonce, time of the sign-in and session id."""
        claims: dict[str, Any] = super().get_authorization_code_claims(authorization_code)
        if self.provider.does(Fault.WRONG_NONCE):
            claims["nonce"] = secrets.token_urlsafe(16)
        if self.provider.does(Fault.NO_NONCE):
            claims.pop("nonce", None)
        return claims | {"sid": authorization_code.sid}

    def get_encode_header(self, client: RegisteredClient) -> dict[str, str]:
        """Names the signing key, so that a relying party can find it among several."""
        return {"alg": "RS256", "kid": str(self.provider.key.kid)}

    def resolve_client_private_key(self, client: RegisteredClient) -> RSAKey:
        """The signing key."""
        return self.provider.unpublished_key if self.provider.does(Fault.WRONG_KEY) else self.provider.key

    def generate_user_info(self, user: Person, scope: str) -> dict[str, Any]:
        """The scopes' claims go into the ID token as well, as company providers can be set to do."""
        return self.provider.claims(user, scope)

    def encode_id_token(self, token: dict[str, Any], request: Any) -> str:
        """The signed token, or the same claims under `alg: none`."""
        signed: str = super().encode_id_token(token, request)
        if not self.provider.does(Fault.ALG_NONE):
            return signed
        header = urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
        return f"{header}.{signed.split('.')[1]}."


class ResponseIssuer(IssuerParameter):  # type: ignore[misc]
    """RFC 9207: each redirect back says who sent it, also when it carries an error."""

    def __init__(self, provider: DemoProvider) -> None:
        self.provider = provider

    def get_issuer(self) -> str | None:
        """The issuer to name."""
        if self.provider.does(Fault.NO_RESPONSE_ISS):
            return None
        return OTHER_ISSUER if self.provider.does(Fault.WRONG_RESPONSE_ISS) else self.provider.issuer
