"""The web door over a real database and the fake organization, and callers of every kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from govern.bootstrap import Govern
from govern.core.clock import utcnow
from govern.core.crypto import Secret
from govern.core.uow import Actor, ActorKind
from govern.identity import queries, service, tokens
from govern.identity.permissions import Role, grants_of
from govern.identity.principals import Principal
from govern.identity.rules import ProvenIdentity, SignInPolicy
from govern.people.models import Assignment
from govern.web import cookies
from tests.given import ADA, EVE, MAL, MAX, OLA, World
from tests.snapshots import Snapshots

CLI = Actor(ActorKind.CLI, "test", "test")
POLICY = SignInPolicy(
    "groups",
    {Role.ADMIN: ["admins"], Role.MANAGER: ["managers"], Role.AUDITOR: ["auditors"], Role.EMPLOYEE: ["*"]},
    ["acme.example"],
)
CAST = {"admin": (ADA, "admins"), "manager": (MAX, "managers"), "auditor": (OLA, "auditors"), "employee": (EVE, "")}


@dataclass
class Door:
    """The app, and ways to come in by it. `door.api("admin").get("/keys")`, `door.browser("employee").get("/")`."""

    govern: Govern
    app: Flask
    world: World
    tokens: dict[str, Secret] = field(default_factory=dict)

    def sign_in(self, email: str, group: str = "", *, sid: str | None = None) -> Secret:
        """Begin a session, as the provider's word would; returns the cookie's value."""
        name = email.partition("@")[0].title()
        proven = ProvenIdentity("https://idp.example", f"sub-{email}", sid, email, True, name, (group,))
        with self.govern.unit_of_work(CLI) as uow:
            return service.sign_in(uow, proven, POLICY)

    def principal(self, cookie: Secret) -> Principal:
        with self.govern.unit_of_work.reading() as session:
            found = queries.principal_of_session(session, self.govern.box, cookie.reveal(), utcnow())
        assert found is not None
        return found[0]

    def token(self, role: str) -> Secret:
        """A token with all that the role's person may do."""
        if role not in self.tokens:
            email, group = CAST[role]
            principal = self.principal(self.sign_in(email, group))
            with self.govern.unit_of_work(CLI) as uow:
                words = sorted(grants_of([role]))
                _, self.tokens[role] = tokens.create_token(
                    uow, principal, name=role, permissions=words, lifetime=timedelta(days=30), person_id=principal.person_id
                )
        return self.tokens[role]

    def system_token(self) -> Secret:
        """A token of the system with the administrator's permissions, as the demo has one."""
        with self.govern.unit_of_work(CLI) as uow:
            return tokens.create_system_token(uow, name="script", role=Role.ADMIN, lifetime=timedelta(days=1))[1]

    def api(self, caller: str | Secret | None) -> Caller:
        """Call the API as a role, with a token, or as nobody."""
        secret = self.token(caller) if isinstance(caller, str) else caller
        return Caller(self.app.test_client(), secret)

    def browser(self, role: str | None = None, cookie: Secret | None = None) -> FlaskClient:
        """A browser, signed in or not."""
        client = self.app.test_client()
        value = self.sign_in(*CAST[role]) if role else cookie
        if value is not None:
            client.set_cookie(cookies.session_name(self.govern.settings), value.reveal(), domain="localhost")
        return client

    def report_to(self, person: str, manager: str, since: date = date(2020, 1, 1)) -> None:
        """From that day on the person reports to the manager."""
        one, other = self.world.person(person), self.world.person(manager)
        with self.govern.unit_of_work(CLI) as uow:
            uow.session.add(Assignment(id=uow.new_id("asg"), person_id=one.id, manager_id=other.id, from_on=since))


@dataclass
class Caller:
    """A program with a token."""

    client: FlaskClient
    secret: Secret | None

    def __call__(self, method: str, path: str, body: Any = None, *, key: str | None = None, **more: Any) -> TestResponse:
        headers = dict(more.pop("headers", {}))
        if self.secret is not None:
            headers["Authorization"] = f"Bearer {self.secret.reveal()}"
        if key is not None:
            headers["Idempotency-Key"] = key
        if body is not None:
            more["json"] = body
        return self.client.open(f"/api/v1{path}", method=method, headers=headers, **more)

    def get(self, path: str, **more: Any) -> TestResponse:
        return self("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> TestResponse:
        return self("POST", path, body, **more)


@pytest.fixture
def door(govern: Govern, world: World, snapshots: Snapshots, app_of: Callable[[Govern], Flask]) -> Door:
    """The app over a synced organization. Eve reports to Max; Mal is a person without a seat."""
    door = Door(govern, app_of(govern), world)

    def let_in() -> None:
        world.synced()
        door.sign_in(MAL)
        for who in CAST.values():
            door.sign_in(*who)
        door.report_to(EVE, MAX)

    snapshots.begin("door", world, let_in)
    return door
