"""`govern approvals`."""

from __future__ import annotations

from datetime import timedelta

from govern.approvals import service
from govern.core.uow import Actor, ActorKind, UnitsOfWork
from govern.people import service as people
from tests.cli.conftest import Govern


def test_the_host_lists_and_denies_in_the_name_of_somebody_who_may(command: Govern, unit_of_work: UnitsOfWork) -> None:
    with unit_of_work(Actor(ActorKind.CLI, "test", "test")) as uow:
        eve, max_ = people.ensure(uow, "eve@acme.example", "Eve"), people.ensure(uow, "max@acme.example", "Max")
    with unit_of_work(Actor(ActorKind.PERSON, eve.id, "Eve")) as uow:
        row = service.ask(
            uow, "key.issue", ("people", eve.id), summary="A key for Eve", facts={}, reason="for work",
            lifetime=timedelta(days=7), approvers=[max_.id],
        )  # fmt: skip
    listed = command("approvals list --json").json["items"]
    assert [(item["id"], item["requested_by"], item["state"]) for item in listed] == [(row.id, "Eve", "pending")]
    assert command(f"approvals deny {row.id} --as eve@acme.example --reason 'not now'").code == 3
    denied = command(f"approvals deny {row.id} --as max@acme.example --reason 'not now' --json").json
    assert (denied["state"], denied["decided_by"], denied["decision_reason"]) == ("denied", max_.id, "not now")
    assert "Nothing waits" in command("approvals list").out
    assert command(f"approvals approve {row.id} --as max@acme.example").code == 4
