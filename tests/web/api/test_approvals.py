"""Approvals over REST and on the dashboard: who sees them, who decides, and what a yes does."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from govern.approvals import service
from govern.approvals.models import Approval
from govern.core.uow import Actor, ActorKind, UnitOfWork
from govern.people.models import Person
from govern.web.app import create_app
from tests.given import EVE, MAL, MAX
from tests.web.conftest import Door
from tests.web.pages.conftest import Reader


def rename(uow: UnitOfWork, row: Approval) -> str:
    uow.session.get_one(Person, row.facts["person"]).name = str(row.facts["name"])
    return str(row.facts["person"])


@pytest.fixture
def deciding(door: Door) -> Door:
    """The door of a service in which a yes renames somebody."""
    govern = dataclasses.replace(door.govern, acts={"person.rename": rename})
    return Door(govern, create_app(govern), door.world, door.tokens)


def asked(door: Door, *, name: str = "Renamed", approver: str | None = MAX) -> str:
    eve = door.world.person(EVE)
    with door.govern.unit_of_work(Actor(ActorKind.PERSON, eve.id, eve.name)) as uow:
        return service.ask(
            uow, "person.rename", ("people", eve.id), summary=f"The name {name} for Eve", facts={"person": eve.id, "name": name},
            reason="I married", lifetime=timedelta(days=7), for_person_id=eve.id,
            approvers=[door.world.person(approver).id] if approver else [],
        ).id  # fmt: skip


@pytest.mark.one_database
def test_an_asking_is_seen_and_decided_by_whom_it_concerns(deciding: Door) -> None:
    first, second, third = asked(deciding), asked(deciding, name="Other"), asked(deciding, name="Third", approver=None)
    manager, admin, employee = (deciding.api(role) for role in ("manager", "admin", "employee"))
    seen = {
        role: len(deciding.api(role).get("/approvals").get_json()["items"])
        for role in ("admin", "manager", "auditor", "employee")
    }
    assert seen == {"admin": 3, "manager": 3, "auditor": 3, "employee": 3}
    waiting = {
        role: {item["id"] for item in deciding.api(role).get("/approvals?waiting_for_me=true").get_json()["items"]}
        for role in ("admin", "manager", "employee")
    }
    assert waiting == {"admin": {first, second, third}, "manager": {first, second}, "employee": set()}
    assert employee.post(f"/approvals/{first}/approve").status_code == 403
    assert manager.post(f"/approvals/{third}/approve").status_code == 404  # it is an administrator's to decide
    system = deciding.api(deciding.system_token()).post(f"/approvals/{third}/approve", {})
    assert (system.status_code, system.get_json()["code"]) == (403, "not_allowed")
    done = manager.post(f"/approvals/{first}/approve", {"reason": "Congratulations"}, key="yes-1")
    assert (done.status_code, done.get_json()["state"], done.get_json()["result"]) == (
        200,
        "approved",
        deciding.world.person(EVE).id,
    )
    assert manager.post(f"/approvals/{first}/approve", {"reason": "Congratulations"}, key="yes-1").get_json() == done.get_json()
    assert deciding.world.person(EVE).name == "Renamed"
    assert admin.post(f"/approvals/{first}/deny", {"reason": "too late"}).status_code == 409
    assert admin.post(f"/approvals/{second}/deny", {}).status_code == 422
    assert admin.post(f"/approvals/{second}/deny", {"reason": "one is enough"}).get_json()["state"] == "denied"
    assert admin.post(f"/approvals/{third}/withdraw").status_code == 403
    assert employee.post(f"/approvals/{third}/withdraw").get_json()["state"] == "withdrawn"
    assert deciding.world.person(EVE).name == "Renamed"


def test_the_inbox_decides_without_a_script(deciding: Door) -> None:
    first, second = asked(deciding), asked(deciding, name="Other")
    manager, employee = Reader(deciding.browser("manager")), Reader(deciding.browser("employee"))
    inbox = manager.get("/approvals").text
    assert inbox.index("Waiting for you") < inbox.index("The name Renamed for Eve") < inbox.index("What concerns you")
    shown = manager.get(f"/approvals/{first}").text
    assert "I married" in shown
    assert ">Renamed<" in shown
    own = employee.get(f"/approvals/{first}").text
    assert "somebody else decides it" in own
    assert "/approve" not in own
    assert employee.send(f"/approvals/{first}", f"/approvals/{first}/approve", {"reason": "yes"}).status_code == 200
    assert deciding.world.person(EVE).name == "Eve Employee"
    assert "approved, and carried out" in manager.send(f"/approvals/{first}", f"/approvals/{first}/approve").text
    assert deciding.world.person(EVE).name == "Renamed"
    refused = manager.send(f"/approvals/{second}", f"/approvals/{second}/deny")
    assert refused.status_code == 422
    assert "Say why" in refused.text
    assert "It is taken back" in employee.send(f"/approvals/{second}", f"/approvals/{second}/withdraw").text
    mal = Reader(deciding.browser(cookie=deciding.sign_in(MAL)))
    assert mal.get(f"/approvals/{first}").status_code == 404
