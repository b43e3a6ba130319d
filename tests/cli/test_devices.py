"""`govern devices`."""

from __future__ import annotations

from datetime import timedelta

from govern.core.crypto import new_token
from govern.core.uow import Actor, ActorKind, UnitsOfWork
from govern.identity import devices
from govern.identity.queries import ACCESS_PREFIX, REFRESH_PREFIX
from govern.identity.rules import DeviceLimits
from govern.people import service as people
from tests.cli.conftest import Govern

LIMITS = DeviceLimits(timedelta(minutes=10), timedelta(seconds=5), timedelta(minutes=15), timedelta(days=30), timedelta(days=90))


def test_the_host_sees_and_ends_devices(command: Govern, unit_of_work: UnitsOfWork) -> None:
    with unit_of_work(Actor(ActorKind.CLI, "test", "test", ip="203.0.113.7")) as uow:
        person = people.ensure(uow, "eve@acme.example", "Eve")
        code, short = devices.new_device_code(), devices.new_user_code(uow)
        devices.begin(
            uow, LIMITS, client_id="govern-cli", name="lap\x1btop", permissions=["self:read"], device_code=code, user_code=short
        )
        approved = devices.decide(uow, person.id, short, approve=True).code
        assert approved is not None
        made = devices.establish(uow, LIMITS, approved, access=new_token(ACCESS_PREFIX), refresh=new_token(REFRESH_PREFIX))
    listed = command("devices list --json").json["items"]
    assert [(row["id"], row["person"], row["name"], row["ip"]) for row in listed] == [(made.id, "Eve", "laptop", "203.0.113.7")]
    assert command(f"devices end {made.id} --reason lost").code == 0
    assert "No device" in command("devices list --person eve@acme.example").out
    assert command("devices list --ended --json").json["items"][0]["end_reason"] == "lost"
    assert command("devices end dev_none").code == 4
