"""The SCIM door, with the token of an identity provider."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from govern.core.crypto import Secret
from govern.identity import tokens
from govern.people.models import Person
from govern.web.scim import serving
from tests.given import ADA
from tests.web.conftest import CLI, Door

READY = serving.PREFIX
"""Loaded before any clock stands still: the models of the protocol keep the type that `datetime` has when they are made."""
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@dataclass
class Provider:
    """An identity provider: what it sends, and what became of it."""

    door: Door
    client: FlaskClient
    secret: Secret | None

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.secret is not None:
            sent["Authorization"] = f"Bearer {self.secret.reveal()}"
        more = {} if body is None else {"json": body, "content_type": "application/scim+json"}
        return self.client.open(f"{READY}{path}", method=method, headers=sent, **more)

    def add(self, email: str, **more: Any) -> dict[str, Any]:
        """An account that is taken in."""
        answer = self("POST", "/Users", {"schemas": [USER], "userName": email, "active": True} | more)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.get_json()
        return found

    def patch(self, user_id: str, *operations: dict[str, Any], **headers: str) -> dict[str, Any]:
        """Change an account, and read it again as these providers do."""
        answer = self("PATCH", f"/Users/{user_id}", {"schemas": [PATCH_OP], "Operations": list(operations)}, **headers)
        assert answer.status_code == 204, answer.text
        found: dict[str, Any] = self("GET", f"/Users/{user_id}").get_json()
        return found

    def person(self, email: str) -> Person:
        return self.door.world.reload(self.door.world.person(email))


@pytest.fixture
def provider(door: Door) -> Provider:
    return Provider(door, door.app.test_client(), token_of(door, "people:provision"))


@pytest.fixture
def stranger(door: Door) -> Callable[[Secret | None], Provider]:
    return lambda secret: Provider(door, door.app.test_client(), secret)


def token_of(door: Door, *permissions: str) -> Secret:
    """A token of the system with these permissions, as an administrator makes it."""
    with door.govern.unit_of_work(CLI) as uow:
        maker = door.principal(door.sign_in(ADA, "admins"))
        return tokens.create_token(
            uow, maker, name="Entra ID", permissions=permissions, lifetime=timedelta(days=180), person_id=None
        )[1]
