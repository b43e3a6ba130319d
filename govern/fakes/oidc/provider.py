"""The demo provider's state and what tests and the demo may do to it."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import httpx
from flask import Flask
from joserfc.jwk import KeySet, RSAKey

from govern.fakes.oidc.backchannel import announce_logout
from govern.fakes.oidc.faults import Fault
from govern.fakes.oidc.records import AccessToken, Client, Code, Delivery, Person, SignIn

SIGN_IN_LIFETIME = timedelta(hours=8)


def utcnow() -> datetime:
    """The present as an aware UTC datetime."""
    return datetime.now(UTC)


class DemoProvider:
    """An OpenID provider as a WSGI application (`.app`).

    `issuer` is the address that browsers and the relying party use, without a path. It may be set again before the
    first request, for a server that chooses its own port. `transport` carries back-channel logout; give
    `httpx.WSGITransport(app=…)` to reach a relying party in the same process.

    Everything is kept in memory and a new signing key is made at each start, so that sign-ins end with the process.
    Safe for use from several threads.

    Raises ValueError for an issuer with a path, query or fragment.
    """

    def __init__(
        self,
        issuer: str,
        clients: Iterable[Client] = (),
        people: Iterable[Person] = (),
        *,
        now: Callable[[], datetime] = utcnow,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.issuer = issuer
        self.now = now
        self.transport = transport
        self.key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)
        self.deliveries: list[Delivery] = []
        self._faults: frozenset[Fault] = frozenset()
        self._lock = threading.RLock()
        self._clients = {client.id: client for client in clients}
        self._people = {person.sub: person for person in people}
        self._sign_ins: dict[str, SignIn] = {}
        self._codes: dict[str, Code] = {}
        self._tokens: dict[str, AccessToken] = {}

    @property
    def issuer(self) -> str:
        """The issuer identifier, exactly as it stands in tokens."""
        return self._issuer

    @issuer.setter
    def issuer(self, issuer: str) -> None:
        parts = urlsplit(issuer)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.path or parts.query or parts.fragment:
            raise ValueError(f"an issuer is scheme, host and port, such as http://127.0.0.1:9000: {issuer!r}")
        self._issuer = issuer

    @cached_property
    def app(self) -> Flask:
        """The WSGI application."""
        from govern.fakes.oidc.app import create_app

        return create_app(self)

    @cached_property
    def unpublished_key(self) -> RSAKey:
        """A key that relying parties must not trust, with the id of the one that they do."""
        return RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256", "kid": str(self.key.kid)})

    def public_keys(self) -> dict[str, Any]:
        """The key set that relying parties verify signatures with."""
        return dict(KeySet([self.key]).as_dict(private=False))

    # people and clients

    def people(self) -> list[Person]:
        """Everybody who can sign in, in the order in which they were added."""
        with self._lock:
            return list(self._people.values())

    def person(self, sub: str) -> Person | None:
        """The person with this subject as they are now."""
        with self._lock:
            return self._people.get(sub)

    def set_person(self, person: Person) -> None:
        """Add a person, or change the claims of the one with the same `sub`. Their sign-ins go on."""
        with self._lock:
            self._people[person.sub] = person

    def remove_person(self, email: str) -> None:
        """Take a person out, as when their account is closed: sign-ins end and relying parties are told.

        Raises LookupError when nobody has the address.
        """
        with self._lock:
            leavers = self._with_email(email)
            for person in leavers:
                del self._people[person.sub]
            ended = [sign_in for person in leavers for sign_in in self._pop_sign_ins(person.sub)]
        self._announce(ended)

    def sign_out(self, email: str) -> None:
        """End all sign-ins of a person, as the provider's own administrator would; relying parties are told."""
        with self._lock:
            ended = [sign_in for person in self._with_email(email) for sign_in in self._pop_sign_ins(person.sub)]
        self._announce(ended)

    def _with_email(self, email: str) -> list[Person]:
        found = [person for person in self._people.values() if person.email.lower() == email.strip().lower()]
        if not found:
            raise LookupError(f"nobody here has the address {email}")
        return found

    def register(self, client: Client) -> None:
        """Add a relying party, or replace the one with the same id."""
        with self._lock:
            self._clients[client.id] = client

    def client(self, client_id: str) -> Client | None:
        """The relying party with this id."""
        with self._lock:
            return self._clients.get(client_id)

    def clients(self) -> list[Client]:
        """All relying parties."""
        with self._lock:
            return list(self._clients.values())

    # faults

    def misbehave(self, *faults: str) -> None:
        """Get exactly these things wrong from now on, instead of what went wrong before. ValueError for an unknown one."""
        self._faults = frozenset(Fault(fault) for fault in faults)

    def behave(self) -> None:
        """Do everything right again."""
        self._faults = frozenset()

    def does(self, fault: Fault) -> bool:
        """True while the provider gets this wrong."""
        return fault in self._faults

    # claims

    def claims(self, person: Person, scope: str) -> dict[str, Any]:
        """What the scopes `email`, `profile` and `groups` say about a person; `sub` always."""
        wanted = scope.split()
        claims: dict[str, Any] = {"sub": person.sub}
        if "profile" in wanted:
            claims["name"] = person.name
        if "email" in wanted and not self.does(Fault.MISSING_EMAIL):
            claims["email"] = person.email
            claims["email_verified"] = person.email_verified and not self.does(Fault.UNVERIFIED_EMAIL)
        if "groups" in wanted and not self.does(Fault.MISSING_GROUPS):
            claims["groups"] = list(person.groups)
        return claims

    # sign-ins, codes and tokens

    def start_sign_in(self, person: Person, previous: SignIn | None = None) -> SignIn:
        """Sign a person in at this browser; the cookie is always new, so that one known before is worth nothing.

        The same person signing in again keeps the session id that relying parties know; another person's ends.
        """
        fresh = SignIn(secrets.token_urlsafe(16), person.sub, secrets.token_urlsafe(32), self.now())
        with self._lock:
            if previous is not None and previous.sub == person.sub and previous.sid in self._sign_ins:
                fresh.sid, fresh.client_ids = previous.sid, previous.client_ids
                previous = None
            self._sign_ins[fresh.sid] = fresh
        if previous is not None:
            self.end_sign_in(previous.sid)
        return fresh

    def sign_in_of(self, cookie: str | None) -> SignIn | None:
        """The live sign-in behind a browser's cookie."""
        if not cookie:
            return None
        oldest = self.now() - SIGN_IN_LIFETIME
        with self._lock:
            for sign_in in self._sign_ins.values():
                if secrets.compare_digest(sign_in.cookie.encode(), cookie.encode()):
                    return sign_in if sign_in.authenticated_at > oldest else None
        return None

    def end_sign_in(self, sid: str) -> None:
        """End one sign-in and its tokens, and tell the relying parties that took part in it."""
        with self._lock:
            ended = self._sign_ins.pop(sid, None)
            self._tokens = {key: token for key, token in self._tokens.items() if token.sid != sid}
        self._announce([ended] if ended else [])

    def _pop_sign_ins(self, sub: str) -> list[SignIn]:
        ended = [sign_in for sign_in in self._sign_ins.values() if sign_in.sub == sub]
        for sign_in in ended:
            del self._sign_ins[sign_in.sid]
        gone = {sign_in.sid for sign_in in ended}
        self._tokens = {key: token for key, token in self._tokens.items() if token.sid not in gone}
        return ended

    def _announce(self, ended: Iterable[SignIn]) -> None:
        # Never under the lock: a relying party may ask for our keys before it answers.
        for sign_in in ended:
            clients = [client for client in self.clients() if client.id in sign_in.client_ids]
            self.deliveries += announce_logout(
                sign_in, clients, issuer=self.issuer, key=self.key, now=self.now(), transport=self.transport
            )

    def keep_code(self, code: Code) -> None:
        """Remember a code until it is redeemed; forget those long expired."""
        with self._lock:
            horizon = self.now() - timedelta(minutes=10)
            self._codes = {key: kept for key, kept in self._codes.items() if kept.expires_at > horizon}
            self._codes[code.code] = code

    def take_code(self, code: str, client_id: str) -> Code | None:
        """The code if it is live and this client's; it is spent now, whatever comes of it.

        A code that comes a second time was stolen or copied, so the tokens it bought end too (RFC 6749, 4.1.2).
        """
        with self._lock:
            kept = self._codes.get(code)
            if kept is None or kept.client_id != client_id:
                return None
            if kept.used:
                self._tokens = {key: token for key, token in self._tokens.items() if token.code != code}
                return None
            kept.used = True
            return kept if kept.expires_at > self.now() else None

    def keep_token(self, token: AccessToken) -> None:
        """Remember an access token, and that its client takes part in the sign-in."""
        with self._lock:
            self._tokens[token.value] = token
            if sign_in := self._sign_ins.get(token.sid):
                sign_in.client_ids.add(token.client_id)

    def token(self, value: str) -> AccessToken | None:
        """The access token with this value, if it was not ended."""
        with self._lock:
            return self._tokens.get(value)
