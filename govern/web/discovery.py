"""Authlib's client with what it leaves open closed: discovery and keys are believed from one issuer only, and renewed.

Authlib alone trusts the issuer that the discovery document names, keeps discovery for ever and has no timeout.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

import structlog
from authlib.integrations.flask_client import FlaskIntegration
from authlib.integrations.flask_client.apps import FlaskOAuth2App
from requests import RequestException

from govern.core.errors import NotAllowed, Unavailable
from govern.sections import OIDC

log = structlog.get_logger("govern.web")

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""What an ID token may be signed with: public-key signatures only. `none` and shared secrets are never believed."""
TIMEOUT: Final = 5.0
DISCOVERY_LIFE: Final = 600.0
FORCED_PER_MINUTE: Final = 6
"""How often an unknown key id may make us fetch the keys again."""


class Refused(NotAllowed):
    """What the provider sent is not believed. The sentence says what came and what was expected, never a token."""

    code = "sign_in_refused"


class Client(FlaskOAuth2App):  # type: ignore[misc]
    """Authlib's client with discovery and keys kept as long as they should be, and believed only from the issuer."""

    def __init__(self, settings: OIDC) -> None:
        self._issuer = settings.issuer or ""
        self._lock = threading.Lock()
        self._metadata: dict[str, Any] = {}
        self._loaded = 0.0
        self._jwks: dict[str, Any] = {}
        self._forced: deque[float] = deque(maxlen=FORCED_PER_MINUTE)
        secret = settings.client_secret
        super().__init__(
            FlaskIntegration("provider"), "provider", client_id=settings.client_id,
            client_secret=secret.reveal() if secret else None, compliance_fix=_no_redirects,
            client_kwargs={"scope": settings.scopes, "code_challenge_method": "S256", "default_timeout": TIMEOUT},
            server_metadata_url=f"{self._issuer}/.well-known/openid-configuration",
        )  # fmt: skip

    def known(self, name: str) -> str:
        """What discovery said of this name, without asking for it now; empty when it is not known yet."""
        return str(self._metadata.get(name, ""))

    def load_server_metadata(self) -> dict[str, Any]:
        with self._lock:
            if not self._metadata or time.monotonic() - self._loaded > DISCOVERY_LIFE:
                try:
                    found = self._fetch(self._server_metadata_url)
                    self._metadata = self._believed(found)
                    self._jwks = {}
                except (RequestException, ValueError) as error:
                    if not self._metadata:
                        raise Unavailable("The identity provider did not answer. Please try again in a moment.") from error
                    log.warning("discovery not renewed", error=type(error).__name__)
                self._loaded = time.monotonic()
            return self._metadata

    def _believed(self, found: Mapping[str, Any]) -> dict[str, Any]:
        issuer = str(found.get("issuer", ""))
        if issuer.rstrip("/") != self._issuer:
            raise Refused(f"The identity provider's discovery names the issuer “{issuer[:200]}”; expected “{self._issuer}”.")
        announced = found.get("id_token_signing_alg_values_supported") or ["RS256"]
        algorithms = [word for word in announced if word in ALGORITHMS]
        if not algorithms:
            raise Refused(
                f"The identity provider signs with {', '.join(map(str, announced))}; expected one of {', '.join(ALGORITHMS)}."
            )
        kept = {name: value for name, value in found.items() if isinstance(name, str) and name != "jwks"}
        return kept | {"id_token_signing_alg_values_supported": algorithms}

    def fetch_jwk_set(self, force: bool = False) -> dict[str, Any]:
        metadata = self.load_server_metadata()
        with self._lock:
            if self._jwks and not (force and self._may_force()):
                return self._jwks
            found = self._fetch(metadata.get("jwks_uri"))
            usable = [key for key in found.get("keys", ()) if key.get("kty") in ("RSA", "EC") and key.get("use", "sig") == "sig"]
            self._jwks = {"keys": usable}
            return self._jwks

    def _may_force(self) -> bool:
        """An unknown key id means "fetch again", also when somebody sends made-up ones: only so often a minute."""
        now = time.monotonic()
        if len(self._forced) == FORCED_PER_MINUTE and now - self._forced[0] < 60:
            return False
        self._forced.append(now)
        return True

    def _fetch(self, address: object) -> dict[str, Any]:
        with self._get_session() as session:
            _no_redirects(session)
            response = session.request("GET", str(address), withhold_token=True)
            response.raise_for_status()
            found = response.json()
        if not isinstance(found, dict):
            raise ValueError("not an object")
        return found


def _no_redirects(session: Any) -> None:
    session.max_redirects = 0  # an answer from elsewhere is not the issuer's
