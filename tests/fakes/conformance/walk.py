"""The walk of the official SDK through every operation: strict validation, and pages of one or two so that paging is exercised.

Each step checks what it can see from outside; the shape of answers is left to the judges.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pytest

from govern.fakes.openai import FakeOpenAI

Step = Callable[["Walker"], None]


class Walker:
    """One SDK client for the admin API; other keys on request."""

    def __init__(self, fake: FakeOpenAI, url: str, generation: str) -> None:
        self.fake, self.url, self.generation = fake, url, generation
        self.client = openai.OpenAI(admin_api_key=fake.admin_key, **self._options())
        self.org = self.client.admin.organization
        self.now = fake.org.clock.seconds()

    def _options(self) -> dict[str, Any]:
        return {"base_url": f"{self.url}/v1", "max_retries": 0, "_strict_response_validation": True, "timeout": 30}

    @property
    def newer(self) -> bool:
        return self.generation != "2026-08"

    def data_plane(self, value: str) -> openai.OpenAI:
        return openai.OpenAI(api_key=value, **self._options())

    def all(self, method: Callable[..., Any], *args: Any, limit: int = 2, **more: Any) -> list[Any]:
        """Every row, page by page; the same rows as in one large page, none twice."""
        rows = list(method(*args, limit=limit, **more))
        whole = list(method(*args, limit=100, **more).data)
        assert [row.id for row in rows][: len(whole)] == [row.id for row in whole]
        assert len({row.id for row in rows}) == len(rows)
        return rows

    def project(self, name: str = "Search") -> str:
        return next(row.id for row in self.fake.oracle().projects() if row.name == name)


def refused(status: int, call: Callable[[], Any]) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        call()
    assert caught.value.status_code == status, caught.value


def users(walk: Walker) -> None:
    rows = walk.all(walk.org.users.list, limit=1)
    assert {row.id for row in rows} >= {row.id for row in walk.fake.oracle().members()}
    eve = list(walk.org.users.list(emails=["EVE@acme.example"]))
    assert [row.email for row in eve] == ["eve@acme.example"]
    assert walk.org.users.retrieve(eve[0].id).projects is not None
    assert walk.org.users.update(eve[0].id, role="owner").role == "owner"
    assert walk.org.users.update(eve[0].id, role="reader", technical_level="expert").technical_level == "expert"
    ada = next(row for row in rows if row.email == "ada@acme.example")
    for owner in [row for row in rows if row.role == "owner" and row.id != ada.id]:
        walk.org.users.update(owner.id, role="reader")
    refused(400, lambda: walk.org.users.delete(ada.id))
    refused(400, lambda: walk.org.users.update(ada.id, role="reader"))
    gone = next(row for row in rows if row.email not in {"ada@acme.example", "eve@acme.example", "max@acme.example", None})
    assert walk.org.users.delete(gone.id).deleted
    refused(404, lambda: walk.org.users.retrieve(gone.id))


def invites(walk: Walker) -> None:
    made = walk.org.invites.create(email="new@acme.example", role="reader", projects=[{"id": walk.project(), "role": "member"}])
    default = walk.org.invites.create(email="plain@acme.example", role="reader")
    assert [place.id for place in default.projects] == [walk.project("Default project")]
    assert walk.org.invites.create(email="none@acme.example", role="reader", projects=[]).projects == []
    refused(400, lambda: walk.org.invites.create(email="New@acme.example", role="reader", projects=[]))
    assert len(walk.all(walk.org.invites.list, limit=1)) == len(walk.fake.oracle().invites())
    user_id = walk.fake.accept_invite("new@acme.example")
    assert walk.org.invites.retrieve(made.id).status == "accepted"
    assert walk.org.users.retrieve(user_id).email == "new@acme.example"
    refused(400, lambda: walk.org.invites.delete(made.id))
    assert walk.org.invites.delete(default.id).deleted


def projects(walk: Walker) -> None:
    made = walk.org.projects.create(name="Walked")
    assert walk.org.projects.update(made.id, name="Walked further").name == "Walked further"
    refused(400, lambda: walk.org.projects.update(walk.project("Default project"), name="Mine"))
    assert walk.org.projects.archive(made.id).status == "archived"
    assert walk.org.projects.retrieve(made.id).archived_at is not None
    shown = {row.id for row in walk.all(walk.org.projects.list)}
    assert made.id not in shown
    assert made.id in {row.id for row in walk.all(walk.org.projects.list, include_archived=True)}
    refused(400, lambda: walk.org.projects.users.list(made.id))
    refused(400, lambda: walk.org.projects.service_accounts.list(made.id))


def project_users(walk: Walker) -> None:
    users_, project = walk.org.projects.users, walk.org.projects.create(name="With people").id
    max_ = next(row for row in walk.fake.oracle().members() if row.email == "max@acme.example")
    eve = next(row for row in walk.fake.oracle().members() if row.email == "eve@acme.example")
    ada = next(row for row in walk.fake.oracle().members() if row.email == "ada@acme.example")
    assert users_.create(project, user_id=max_.id, role="member").role == "member"
    assert users_.create(project, email="eve@acme.example", role="owner").id == eve.id
    with pytest.raises(openai.BadRequestError, match="already exists in project"):
        users_.create(project, user_id=max_.id, role="member")
    assert users_.update(max_.id, project_id=project, role="owner").role == "owner"
    assert users_.retrieve(max_.id, project_id=project).email == max_.email
    assert {ada.id, eve.id, max_.id} <= {row.id for row in walk.all(users_.list, project, limit=1)}
    with pytest.raises(openai.BadRequestError, match="owner of the organization"):
        users_.delete(ada.id, project_id=project)
    assert users_.delete(max_.id, project_id=project).deleted
    refused(404, lambda: users_.retrieve(max_.id, project_id=project))


def service_accounts(walk: Walker) -> None:
    accounts, project = walk.org.projects.service_accounts, walk.project()
    expiry = {"expires_in_seconds": 3_600} if walk.newer else {}
    made = accounts.create(project, name="walked", **expiry)
    twin = accounts.create(project, name="walked")
    bare = accounts.create(project, name="bare", create_service_account_only=True)
    assert made.api_key is not None
    assert made.id != twin.id
    assert bare.api_key is None
    assert bare.role == "none"
    assert len(walk.all(accounts.list, project, limit=1)) == len(walk.fake.oracle().service_accounts(project))
    assert accounts.update(bare.id, project_id=project, name="still bare", role="member").name == "still bare"
    assert accounts.retrieve(bare.id, project_id=project).role == "member"
    second = accounts.api_keys.create(made.id, project_id=project)
    third = accounts.api_keys.create(made.id, project_id=project, name="narrow", scopes=["api.all.read"], **expiry)
    assert walk.fake.oracle().authenticates(second.value)
    refused(403, lambda: walk.data_plane(third.value).moderations.create(input="hello"))
    refused(400, lambda: accounts.create(walk.project("Default project"), name="no"))
    assert accounts.delete(made.id, project_id=project).deleted
    assert not any(walk.fake.oracle().authenticates(value) for value in (made.api_key.value, second.value, third.value))
    refused(404, lambda: accounts.delete(made.id, project_id=project))


def project_keys(walk: Walker) -> None:
    keys, project = walk.org.projects.api_keys, walk.project()
    mine, value = walk.fake.make_personal_key("eve@acme.example", "Search")
    account = walk.org.projects.service_accounts.create(project, name="holder")
    assert account.api_key is not None
    shown = walk.all(keys.list, project, owner_project_access="any", limit=1)
    assert {mine, account.api_key.id} <= {row.id for row in shown}
    assert keys.retrieve(mine, project_id=project).owner.user is not None
    if walk.newer:
        updated = keys.update(mine, project_id=project, expires_in_seconds=60, scopes=[])
        assert updated.expires_at is not None
        assert keys.delete(account.api_key.id, project_id=project).deleted
    else:
        refused(400, lambda: keys.delete(account.api_key.id, project_id=project))
    eve = next(row for row in walk.fake.oracle().members() if row.email == "eve@acme.example")
    walk.org.projects.users.delete(eve.id, project_id=project)
    assert mine not in {row.id for row in keys.list(project)}
    assert keys.retrieve(mine, project_id=project).owner_project_access == "inactive"
    assert not walk.fake.oracle().authenticates(value)
    assert mine in {row.id for row in walk.all(keys.list, project, owner_project_access="inactive", limit=1)}
    assert keys.delete(mine, project_id=project).deleted


def admin_keys(walk: Walker) -> None:
    made = walk.org.admin_api_keys.create(name="walked", expires_in_seconds=600)
    other = openai.OpenAI(admin_api_key=made.value, **walk._options())
    assert other.admin.organization.admin_api_keys.retrieve(made.id).name == "walked"
    rows = walk.all(walk.org.admin_api_keys.list, limit=1)
    assert [row.id for row in walk.org.admin_api_keys.list(order="desc")] == [row.id for row in rows][::-1]
    assert walk.org.admin_api_keys.delete(made.id).deleted
    refused(401, lambda: other.admin.organization.users.list())


def access(walk: Walker) -> None:
    narrow = openai.OpenAI(admin_api_key=walk.fake.make_admin_key(["api.management.read"]), **walk._options())
    assert narrow.admin.organization.users.list(limit=1).data
    for call in (
        lambda: narrow.admin.organization.usage.costs(start_time=walk.now - 86_400),
        lambda: narrow.admin.organization.projects.create(name="no"),
    ):
        with pytest.raises(openai.PermissionDeniedError) as caught:
            call()
        assert "Missing scopes" in str(caught.value.body)
    _, value = walk.fake.make_personal_key("ada@acme.example", "Support bot")
    refused(403, lambda: openai.OpenAI(admin_api_key=value, **walk._options()).admin.organization.users.list())
    refused(403, lambda: walk.data_plane(walk.fake.admin_key).models.list())
