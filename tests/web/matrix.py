"""Who comes through which route: what is promised (`route_table.toml`), and what every kind of caller gets."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from govern.approvals import service as approvals
from govern.budgets import service as budgets
from govern.core.crypto import Secret
from govern.identity import tokens
from govern.jobs import service as jobs
from govern.members import service as members
from govern.policies import service as policies
from govern.policies.models import PolicyScope
from govern.policies.rules import Limits
from govern.web import access
from govern.web.scim import serving
from tests.given import EVE
from tests.web.conftest import CLI, Door

TABLE = Path(__file__).with_name("route_table.toml")
OPEN = "open"
BY_TOKEN = ("/api/", f"{serving.PREFIX}/")


@dataclass(frozen=True)
class Promise:
    """What the table says of a route. `permission` None: open to all."""

    permission: str | None
    roles: frozenset[str]


def promises() -> dict[str, Promise]:
    """`GET /api/v1/keys` → who comes through. In the table: `"keys:read: admin auditor"`, or `"open"`."""
    found = {}
    for route, words in tomllib.loads(TABLE.read_text(encoding="utf-8")).items():
        permission, _, roles = words.rpartition(": ")
        found[route] = Promise(None, frozenset()) if words == OPEN else Promise(permission, frozenset(roles.split()))
    return found


def declared(app: Flask) -> dict[str, str | None]:
    """`GET /api/v1/keys` → the permission that the code declares; None where it is open."""
    found = {}
    for rule, method, endpoint in access.routes(app):
        said = access.access_of(app, endpoint, method)
        assert said is not None
        found[f"{method} {rule}"] = said.permission
    return found


@dataclass
class Caller:
    """Somebody with a token for the API and a cookie for the pages, either of which may be missing or worth nothing."""

    door: Door
    token: str | None = None
    cookie: str | None = None
    scheme: str = "Bearer"

    def __post_init__(self) -> None:
        self.pages = self.door.browser(cookie=Secret(self.cookie) if self.cookie else None)
        self.form = self._form()

    def _form(self) -> dict[str, str]:
        """What every form of ours holds, so that a refusal is for who it is and not for a missing field."""
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.pages.get("/me").text)
        return {"csrf_token": found[1]} if found else {}

    def call(self, route: str, known: dict[str, str]) -> TestResponse:
        """Call the route with the ids filled in and nothing else."""
        method, rule = route.split(" ", 1)
        path = re.sub(r"<(?:[^:<>]+(?:\([^)]*\))?:)?(\w+)>", lambda found: known.get(found[1], "none"), rule)
        unsafe = method not in ("GET", "HEAD")
        by_token = path.startswith(BY_TOKEN)
        client: FlaskClient = self.door.app.test_client() if by_token else self.pages
        if not by_token:
            return client.open(path, method=method, data=self.form if unsafe else None)
        headers = {"Authorization": f"{self.scheme} {self.token}"} if self.token is not None else {}
        return client.open(path, method=method, headers=headers, json={} if unsafe else None)


def comes_through(answer: TestResponse) -> bool:
    """Whether the caller got past the door: neither refused nor sent to sign in."""
    to_sign_in = answer.status_code == 303 and "/auth/sign-in" in answer.headers.get("Location", "")
    return answer.status_code not in (401, 403) and not to_sign_in


def things_of_eve(door: Door) -> dict[str, str]:
    """A thing of Eve's for every kind of id in a route. What cannot be made in a test is an id that nothing has."""
    key = door.world.key(EVE)
    person = door.world.person(EVE)
    eve = door.principal(door.sign_in(EVE))
    with door.govern.unit_of_work(CLI) as uow:
        limit = {"amount_usd": Decimal(100), "name": "Eve's"}
        policy = policies.set_policy(uow, "", Limits(PolicyScope.ORGANIZATION, "", longest_days=365))
        budget = budgets.create_budget(uow, scope="person", scope_id=person.id, **limit)
        invite = members.invite(uow, "new@acme.example", "reader", [])
        run = jobs.request_run(uow, "usage.sync")
    with door.govern.unit_of_work(eve.actor()) as uow:
        asked = {"summary": "A key", "facts": {}, "reason": "for work", "lifetime": timedelta(days=7), "for_person_id": person.id}
        approval = approvals.ask(uow, "person.rename", ("people", person.id), **asked)
    with door.govern.unit_of_work(CLI) as uow:
        token, _ = tokens.create_token(
            uow, eve, name="eve's", permissions=["self:read"], lifetime=timedelta(days=1), person_id=person.id
        )
    return {
        "key_id": key.id, "member": person.email, "person": person.email,
        "invite_id": invite.id, "budget_id": budget.id, "run_id": run.id,
        "name": "usage.sync", "job": "usage.sync", "token_id": token.id, "approval_id": approval.id,
        "policy_id": policy.id,
        "project_id": key.project_id, "filename": "auth.css",
    }  # fmt: skip
