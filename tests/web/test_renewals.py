"""Renewing over REST and in one click: a fresh sign-in, once however often it is sent, and only by who reaches the key."""

from __future__ import annotations

from datetime import timedelta

from freezegun.api import FrozenDateTimeFactory

from govern.keys import queries
from govern.keys.models import KeyVersion
from tests.given import EVE
from tests.web.conftest import Door
from tests.web.pages.conftest import Reader


def test_one_click_after_a_fresh_sign_in(clock: FrozenDateTimeFactory, door: Door) -> None:
    key = door.world.key(EVE)
    door.world.value(key)
    clock.tick(timedelta(days=20))
    eve = Reader(door.browser("employee"))
    page = eve.get(f"/keys/{key.id}")
    assert "It expires" in page.text
    assert f'action="/keys/{key.id}/renew"' in page.text
    clock.tick(timedelta(minutes=6))
    assert "Sign in again to renew" in eve.get(f"/keys/{key.id}").text
    refused = eve.send(f"/keys/{key.id}", f"/keys/{key.id}/renew")
    assert "Sign in again to renew the key." in refused.text
    assert len(versions(door, key.id)) == 1
    eve = Reader(door.browser("employee"))
    done = eve.send(f"/keys/{key.id}", f"/keys/{key.id}/renew")
    assert "The key is renewed." in done.text
    assert len(versions(door, key.id)) == 2
    again = eve.send(f"/keys/{key.id}", f"/keys/{key.id}/renew")
    assert "The key is " in again.text  # rotating already: two versions at most
    assert len(versions(door, key.id)) == 2


def test_renewal_over_rest(door: Door) -> None:
    key = door.world.key(EVE)
    employee = door.api("employee")
    answer = employee.post(f"/keys/{key.id}/renew", {"expires_in_days": 90}, key="renew-1")
    assert answer.status_code == 202
    assert employee.post(f"/keys/{key.id}/renew", {"expires_in_days": 90}, key="renew-1").status_code == 202
    door.world.drain()
    assert [version["number"] for version in employee.get(f"/keys/{key.id}/versions").get_json()["items"]] == [2, 1]
    assert versions(door, key.id)[-1].lifetime_seconds == 90 * 86_400
    assert employee.post(f"/keys/{key.id}/renew", {"expires_in_days": 0}).status_code == 422
    assert employee.get(f"/keys/{key.id}/reminders").get_json() == {"items": []}
    assert door.api("auditor").post(f"/keys/{key.id}/renew", {}).status_code == 403


def versions(door: Door, key_id: str) -> list[KeyVersion]:
    with door.govern.unit_of_work.reading() as session:
        return list(queries.versions_of(session, key_id))
