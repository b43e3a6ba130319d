"""What the demo provider keeps: people, registered clients, sign-ins, codes and access tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit


def subject_of(email: str) -> str:
    """The stable, opaque subject for an e-mail address: the same on every start, in either case."""
    return hashlib.sha256(f"demo subject of {email.strip().lower()}".encode()).hexdigest()[:32]


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL, as a browser writes them in `Origin`."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True)
class Person:
    """Somebody who can sign in.

    `sub` follows from the e-mail unless given. Give it to play a person whose address changed (same `sub`, other
    e-mail) or an address that was handed to somebody else (other `sub`, same e-mail).
    """

    email: str
    name: str
    groups: Sequence[str] = ()
    email_verified: bool = True
    sub: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", tuple(self.groups))
        object.__setattr__(self, "sub", self.sub or subject_of(self.email))


@dataclass(frozen=True)
class Client:
    """A relying party. Redirect addresses match exactly; `backchannel_logout_uri` is told when a sign-in ends."""

    id: str
    secret: str = field(repr=False)
    redirect_uris: Sequence[str]
    post_logout_redirect_uris: Sequence[str] = ()
    backchannel_logout_uri: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "redirect_uris", tuple(self.redirect_uris))
        object.__setattr__(self, "post_logout_redirect_uris", tuple(self.post_logout_redirect_uris))


@dataclass
class SignIn:
    """A person's session in one browser; `sid` is what relying parties know it by, `cookie` what the browser holds."""

    sid: str
    sub: str
    cookie: str = field(repr=False)
    authenticated_at: datetime
    client_ids: set[str] = field(default_factory=set)


@dataclass
class Code:
    """An authorization code, good for one try within `LIFETIME`. The method names are those that Authlib asks for."""

    LIFETIME = timedelta(seconds=60)

    code: str = field(repr=False)
    client_id: str
    sub: str
    sid: str
    redirect_uri: str | None
    scope: str
    nonce: str | None
    code_challenge: str
    code_challenge_method: str
    authenticated_at: datetime
    expires_at: datetime
    used: bool = False

    def get_redirect_uri(self) -> str | None:
        """Where the code was sent; the token request has to name the same address."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """The granted scope, separated by blanks."""
        return self.scope

    def get_nonce(self) -> str | None:
        """The nonce of the authorization request."""
        return self.nonce

    def get_auth_time(self) -> int:
        """When the person signed in, in seconds since 1970."""
        return int(self.authenticated_at.timestamp())

    def get_acr(self) -> None:
        """No authentication class: nobody proves anything here."""

    def get_amr(self) -> None:
        """No authentication method, for the same reason."""


@dataclass(frozen=True)
class AccessToken:
    """What lets a client read a person's claims at the user information endpoint."""

    LIFETIME = timedelta(minutes=10)

    value: str = field(repr=False)
    client_id: str
    sub: str
    sid: str
    scope: str
    expires_at: datetime
    code: str = field(repr=False)


@dataclass(frozen=True)
class Delivery:
    """One back-channel logout POST: the client's HTTP status, or the fault when it could not be reached."""

    client_id: str
    sub: str
    sid: str
    status: int | None
    fault: str = ""
