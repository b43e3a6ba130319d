"""A provider that signs whatever a test wants, to see what the relying party believes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from flask import Flask, jsonify
from joserfc.jwk import ECKey, RSAKey

NONCE, CLIENT = "n-0S6", "govern"
Token = Callable[["Forger"], str]


def part(value: object) -> str:
    """One part of a compact token."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@dataclass
class Forger:
    """`.app` serves discovery, keys and a token endpoint that hands out `.id_token`."""

    issuer: str = ""
    id_token: str = ""
    userinfo: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "k1", "use": "sig", "alg": "RS256"}))
    stranger: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "k1"}))
    curve: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "k2", "use": "sig"}))

    @property
    def app(self) -> Flask:
        app = Flask("forger")

        @app.get("/.well-known/openid-configuration")
        def discovery() -> Any:
            return jsonify(
                issuer=self.issuer,
                authorization_endpoint=f"{self.issuer}/authorize",
                token_endpoint=f"{self.issuer}/token",
                jwks_uri=f"{self.issuer}/jwks",
                # It announces what nobody should believe.
                id_token_signing_alg_values_supported=["none", "HS256", "RS256", "ES256"],
                authorization_response_iss_parameter_supported=True,
                userinfo_endpoint=f"{self.issuer}/userinfo",
            )

        @app.get("/userinfo")
        def userinfo() -> Any:
            self.asked.append("userinfo")
            return jsonify(self.userinfo)

        @app.get("/jwks")
        def jwks() -> Any:
            self.asked.append("jwks")
            secret = {"kty": "oct", "kid": "k3", "k": part(b"known to everybody, 32 bytes long")}
            return jsonify(keys=[self.key.as_dict(private=False), self.curve.as_dict(private=False), secret])

        @app.post("/token")
        def token() -> Any:
            return jsonify(access_token="at", token_type="Bearer", expires_in=300, id_token=self.id_token)

        return app

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Good claims of an ID token, changed; `...` takes one out."""
        now = int(time.time())
        good = {
            "iss": self.issuer, "aud": CLIENT, "sub": "sub-eve", "exp": now + 300, "iat": now, "nonce": NONCE,
            "email": "eve@acme.example", "email_verified": True, "groups": ["staff"],
        }  # fmt: skip
        return {name: value for name, value in (good | changes).items() if value is not ...}

    def logout_claims(self, **changes: Any) -> dict[str, Any]:
        """Good claims of a logout token, changed."""
        now = int(time.time())
        good = {
            "iss": self.issuer, "aud": CLIENT, "sub": "sub-eve", "sid": "sid-1", "exp": now + 120, "iat": now, "jti": f"j{now}",
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        }  # fmt: skip
        return {name: value for name, value in (good | changes).items() if value is not ...}

    def signed(self, claims: object, key: RSAKey | ECKey | None = None, **header: Any) -> str:
        """A token signed by the provider's key, or by another; by hand, because a good library refuses to write a bad header."""
        protected = {name: value for name, value in ({"alg": "RS256", "kid": "k1"} | header).items() if value is not ...}
        head = f"{part(protected)}.{part(claims)}"
        used: Any = (key or self.key).private_key
        if isinstance(key, ECKey):
            r, s = decode_dss_signature(used.sign(head.encode(), ECDSA(SHA256())))
            return f"{head}.{part(r.to_bytes(32) + s.to_bytes(32))}"
        pss = str(protected.get("alg", "")).startswith("PS")
        padding = PSS(MGF1(SHA256()), 32) if pss else PKCS1v15()
        return f"{head}.{part(used.sign(head.encode(), padding, SHA256()))}"

    def unsigned(self, claims: object, alg: str = "none") -> str:
        return f"{part({'alg': alg, 'kid': 'k1'})}.{part(claims)}."

    def by_secret(self, claims: object, secret: bytes, kid: str = "k1") -> str:
        """A token "signed" with a shared secret, such as the public key that everybody has."""
        head = f"{part({'alg': 'HS256', 'kid': kid})}.{part(claims)}"
        return f"{head}.{part(hmac.digest(secret, head.encode(), hashlib.sha256))}"
