"""OpenID Connect Back-Channel Logout 1.0: tell relying parties that a sign-in ended, behind the browser's back."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

import httpx
from joserfc import jwt
from joserfc.jwk import RSAKey

from govern.fakes.oidc.records import Client, Delivery, SignIn

log = logging.getLogger(__name__)

LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
LIFETIME = timedelta(minutes=2)
TIMEOUT_SECONDS = 3.0


def logout_token(sign_in: SignIn, client_id: str, *, issuer: str, key: RSAKey, now: datetime) -> str:
    """A signed logout token (section 2.4 of the specification) for one client."""
    claims = {
        "iss": issuer,
        "aud": client_id,
        "iat": int(now.timestamp()),
        "exp": int((now + LIFETIME).timestamp()),
        "jti": secrets.token_urlsafe(16),
        "sub": sign_in.sub,
        "sid": sign_in.sid,
        "events": {LOGOUT_EVENT: {}},
    }
    return jwt.encode({"alg": "RS256", "typ": "logout+jwt", "kid": key.kid}, claims, key)


def announce_logout(
    sign_in: SignIn,
    clients: Iterable[Client],
    *,
    issuer: str,
    key: RSAKey,
    now: datetime,
    transport: httpx.BaseTransport | None,
) -> list[Delivery]:
    """Tell each client that takes notice, one after the other, and say how it went. Never raises.

    There is one try: a real provider may give up too, so relying parties must not depend on hearing of it.
    """
    deliveries = []
    # The environment's proxy is for the outside; a relying party on loopback is reached directly.
    with httpx.Client(transport=transport, timeout=TIMEOUT_SECONDS, trust_env=False) as http:
        for client in clients:
            if not client.backchannel_logout_uri:
                continue
            token = logout_token(sign_in, client.id, issuer=issuer, key=key, now=now)
            try:
                answer = http.post(client.backchannel_logout_uri, data={"logout_token": token})
                delivery = Delivery(client.id, sign_in.sub, sign_in.sid, answer.status_code)
            except httpx.HTTPError as error:
                delivery = Delivery(client.id, sign_in.sub, sign_in.sid, None, type(error).__name__)
            if delivery.status not in (200, 204):
                log.warning("back-channel logout at %s: %s", client.id, delivery.status or delivery.fault)
            deliveries.append(delivery)
    return deliveries
