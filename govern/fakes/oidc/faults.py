"""What the demo provider can get wrong on purpose."""

from __future__ import annotations

from enum import StrEnum

OTHER_ISSUER = "https://somebody-else.example"
"""The issuer that is named where a wrong one is wanted."""


class Fault(StrEnum):
    """One way to misbehave. A relying party has to refuse each of them, or grant nothing for it."""

    WRONG_ISSUER = "wrong_issuer"
    """The ID token names another issuer."""
    WRONG_NONCE = "wrong_nonce"
    """The ID token carries a nonce that was never sent."""
    NO_NONCE = "no_nonce"
    """The ID token carries no nonce."""
    WRONG_AUD = "wrong_aud"
    """The ID token is meant for another client."""
    EXPIRED_TOKEN = "expired_token"
    """The ID token expired an hour ago."""
    ALG_NONE = "alg_none"
    """The ID token is not signed and says so."""
    WRONG_KEY = "wrong_key"
    """The ID token is signed by a key that is not published, under the published key's id."""
    UNVERIFIED_EMAIL = "unverified_email"
    """`email_verified` is false for everybody."""
    MISSING_EMAIL = "missing_email"
    """No `email` and no `email_verified`."""
    MISSING_GROUPS = "missing_groups"
    """No `groups` claim."""
    WRONG_RESPONSE_ISS = "wrong_response_iss"
    """The redirect back names another issuer (RFC 9207, a mix-up attack)."""
    NO_RESPONSE_ISS = "no_response_iss"
    """The redirect back names no issuer, although discovery announces one."""
    WRONG_DISCOVERY_ISSUER = "wrong_discovery_issuer"
    """The discovery document names another issuer."""
    TOKEN_ERROR = "token_error"
    """The token endpoint answers 500."""
