"""The OpenID Connect relying party: PKCE and nonce always, and nothing believed before it is verified (see `discovery`)."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from authlib.integrations.base_client import OAuthError
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry
from requests import RequestException

from govern.core.crypto import Secret, redact
from govern.core.errors import GovernError, Unavailable
from govern.identity.permissions import Role
from govern.identity.rules import ProvenIdentity, SignInPolicy
from govern.sections import OIDC
from govern.settings import Settings
from govern.web.access import origin_of
from govern.web.discovery import Client, Refused

LEEWAY: Final = 30
"""Seconds by which clocks may differ."""
LOGOUT_TOKEN_AGE: Final = timedelta(minutes=2)
LOGOUT_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"


@dataclass(frozen=True)
class Begun:
    """A sign-in under way. `state`, `nonce` and `verifier` stay on the server."""

    address: str
    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True)
class Arrived:
    """A verified answer."""

    identity: ProvenIdentity
    id_token: Secret


@dataclass(frozen=True)
class LogoutToken:
    """A verified back-channel logout token. `lasts`: for how long its id must be remembered."""

    id: str
    sid: str | None
    subject: str | None
    lasts: timedelta


class _IDToken(CodeIDToken):  # type: ignore[misc]
    """Says which claim was wrong, what it was and what it should have been."""

    def validate(self, now: int | None = None, leeway: int = 0) -> None:
        try:
            super().validate(now, leeway)
        except JoseError as error:
            raise Refused(_told(error, self, self.options)) from None


class Provider:
    """The one identity provider that the settings name. Thread-safe."""

    def __init__(self, settings: OIDC) -> None:
        logging.getLogger("authlib").setLevel(logging.INFO)  # at DEBUG it prints code verifiers and tokens
        self.issuer = settings.issuer or ""
        self.label = settings.name
        self._settings = settings
        self._client = Client(settings)

    @property
    def origins(self) -> set[str]:
        """Where a sign-out form may end: the issuer, and the place of its end-session endpoint once it is known."""
        known = str(self._client.known("end_session_endpoint"))
        return {origin_of(self.issuer), origin_of(known)} - {""}

    def begin(self, callback: str, *, anew: bool = False) -> Begun:
        """Where to send the browser, and what to remember. Raises Unavailable, Refused.

        `anew`: whoever is signed in there must prove again who they are; `Arrived.identity.auth_at` tells whether they did.
        """
        more = {"prompt": "login", "max_age": "0"} if anew else {}
        made = self._client.create_authorization_url(callback, **more)
        return Begun(made["url"], made["state"], made["nonce"], made["code_verifier"])

    def finish(self, answer: Mapping[str, Sequence[str]], callback: str, *, nonce: str, verifier: str) -> Arrived:
        """Verify the answer, redeem the code, verify the ID token. Raises Unavailable, Refused."""
        if any(len(values) != 1 for values in answer.values()):
            raise Refused("The identity provider's answer names something twice.")
        given = {name: values[0] for name, values in answer.items()}
        metadata = self._client.load_server_metadata()
        self._check_response_issuer(given.get("iss"), metadata)
        if "error" in given:
            raise Refused(
                f"The identity provider answered “{_short(given['error'])}”: {_short(given.get('error_description', '-'))}"
            )
        if not given.get("code"):
            raise Refused("The identity provider's answer holds no code.")
        try:
            token = self._client.fetch_access_token(
                redirect_uri=callback, code=given["code"], state=given.get("state"), code_verifier=verifier
            )
            if not isinstance(token.get("id_token"), str):
                raise Refused("The identity provider sent no ID token; the scope “openid” asks for one.")
            # With a class of our own Authlib does not hand over the access token, and `at_hash` would go unchecked.
            given_with = {"access_token": token.get("access_token")}

            def read(payload: Any, header: Any, options: Any, params: dict[str, Any]) -> _IDToken:
                return _IDToken(payload, header, options, params | given_with)

            claims = self._client.parse_id_token(
                token, nonce=nonce, claims_options=self._expected(metadata), claims_cls=read, leeway=LEEWAY
            )
            claims = self._completed(dict(claims), token, metadata)
        except OAuthError as error:
            raise Refused(
                f"The identity provider refused the code: {_short(error.error)} {_short(error.description or '')}".strip()
            ) from None
        except RequestException as error:
            raise Unavailable("The identity provider did not answer. Please try again in a moment.") from error
        except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise Refused(f"The ID token cannot be verified ({type(error).__name__}).") from None
        return Arrived(self._identity(claims), Secret(token["id_token"]))

    def _check_response_issuer(self, sent: str | None, metadata: Mapping[str, Any]) -> None:
        if sent is None and metadata.get("authorization_response_iss_parameter_supported") is not True:
            return
        if sent != metadata["issuer"]:
            raise Refused(f"The answer names the issuer “{_short(sent or 'none')}”; expected “{metadata['issuer']}”.")

    def _expected(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "iss": {"essential": True, "value": metadata["issuer"]},
            "aud": {"essential": True, "value": self._settings.client_id},
            "sub": {"essential": True},
        }

    def _completed(self, claims: dict[str, Any], token: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
        """Some providers put address and groups only into the user information; it must be about the same subject."""
        wanted = {"email", self._settings.role_claim} - claims.keys()
        if not wanted or not metadata.get("userinfo_endpoint") or not token.get("access_token"):
            return claims
        found = self._client.userinfo(token=dict(token))
        if found.get("sub") != claims["sub"]:
            raise Refused("The user information is about another subject than the ID token.")
        return {**found, **claims}

    def _identity(self, claims: Mapping[str, Any]) -> ProvenIdentity:
        sent = claims.get(self._settings.role_claim)
        values = (sent,) if isinstance(sent, str) else sent if isinstance(sent, list | tuple) else ()
        auth_time = claims.get("auth_time")
        subject = str(claims["sub"])
        if not 1 <= len(subject) <= 255:
            raise Refused("The subject in the ID token is empty or longer than 255 characters.")
        return ProvenIdentity(
            issuer=self.issuer, subject=subject, sid=_text(claims.get("sid")), email=_text(claims.get("email")),
            email_verified=claims.get("email_verified") in (True, "true"), name=_text(claims.get("name")),
            role_values=tuple(value for value in values if isinstance(value, str)),
            auth_at=datetime.fromtimestamp(auth_time, UTC) if isinstance(auth_time, int) else None,
        )  # fmt: skip

    def sign_out_address(self, hint: Secret | None, back: str) -> str | None:
        """Where to send the browser to sign out at the provider too; None where it offers nothing or does not answer."""
        try:
            metadata = self._client.load_server_metadata()
            if not metadata.get("end_session_endpoint"):
                return None
            made = self._client.create_logout_url(
                post_logout_redirect_uri=back, id_token_hint=hint.reveal() if hint else None, client_id=self._settings.client_id
            )
        except GovernError:
            return None
        return str(made["url"])

    def read_logout_token(self, value: str) -> LogoutToken:
        """Verify a back-channel logout token. Raises Refused, Unavailable."""
        try:
            metadata = self._client.load_server_metadata()
            token = self._decode(value, metadata)
            expected = self._expected(metadata)
            expected.pop("sub")
            registry = jwt.JWTClaimsRegistry(leeway=LEEWAY, **expected, iat={"essential": True}, jti={"essential": True})
            registry.validate(token.claims)
        except RequestException as error:
            raise Unavailable("The identity provider's keys could not be fetched.") from error
        except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise Refused(f"The logout token cannot be verified ({type(error).__name__}).") from None
        return _checked_logout(token.header, token.claims)

    def _decode(self, value: str, metadata: Mapping[str, Any]) -> jwt.Token:
        registry = JWSRegistry(algorithms=metadata["id_token_signing_alg_values_supported"], strict_check_header=False)
        try:
            return jwt.decode(value, KeySet.import_key_set(self._client.fetch_jwk_set()), registry=registry)  # type: ignore[arg-type]
        except InvalidKeyIdError:
            return jwt.decode(value, KeySet.import_key_set(self._client.fetch_jwk_set(force=True)), registry=registry)  # type: ignore[arg-type]


def _checked_logout(header: Mapping[str, Any], claims: Mapping[str, Any]) -> LogoutToken:
    """The rules of Back-Channel Logout 1.0, section 2.6, that the signature and the registered claims leave open."""
    if str(header.get("typ", "logout+jwt")).lower().removeprefix("application/") != "logout+jwt":
        raise Refused(f"The token's type is “{_short(header['typ'])}”; expected “logout+jwt”.")
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
        raise Refused("The token names no logout event.")
    if "nonce" in claims:
        raise Refused("The token holds a nonce, so it is an ID token and no logout token.")
    sid, subject = _text(claims.get("sid")), _text(claims.get("sub"))
    if sid is None and subject is None:
        raise Refused("The token names neither a session nor a subject.")
    age = time.time() - float(claims["iat"])
    if age > LOGOUT_TOKEN_AGE.total_seconds() + LEEWAY:
        raise Refused("The logout token is older than two minutes.")
    token_id = _text(claims["jti"])
    if token_id is None or len(token_id) > 500:
        raise Refused("The token's id is no usable text.")
    return LogoutToken(token_id, sid, subject, LOGOUT_TOKEN_AGE + timedelta(seconds=2 * LEEWAY))


def make_provider(settings: Settings) -> Provider | None:
    """The provider that the settings name; None when there is none yet."""
    return Provider(settings.oidc) if settings.oidc.issuer else None


def sign_in_policy(settings: OIDC) -> SignInPolicy:
    """The settings as the rules of `identity` take them."""
    values = {
        Role.ADMIN: settings.admin_values, Role.MANAGER: settings.manager_values, Role.AUDITOR: settings.auditor_values,
        Role.EMPLOYEE: settings.employee_values,
    }  # fmt: skip
    return SignInPolicy(settings.role_claim, values, settings.allowed_domains)


def _told(error: JoseError, claims: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    claim = str(getattr(error, "claim", "") or "")
    sentence = f"The ID token is refused: {_short(error.description or error.error)}."
    if claim in ("iss", "aud", "azp"):
        wanted = expected.get(claim, expected.get("aud", {})).get("value")
        sentence += f" The provider sent {claim} = “{_short(claims.get(claim))}”; expected “{wanted}”."
    return sentence


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value and value.isprintable() else None


def _short(value: object) -> str:
    """Somebody else's words, printable, short, and without anything that looks like a secret."""
    return redact("".join(char for char in str(value) if char.isprintable())[:200]).rstrip(". ")
