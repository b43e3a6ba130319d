"""Renewing over REST and in one click: a fresh sign-in, once however often it is sent, and only by who reaches the key."""

from __future__ import annotations

from datetime import timedelta

import pytest
from freezegun.api import FrozenDateTimeFactory

from govern.keys import queries
from govern.keys.models import KeyVersion
from govern.notices import service as notices
from govern.notices.words import Words
from tests.given import ADMIN, EVE, MAX
from tests.web.conftest import Door
from tests.web.pages.conftest import Reader


@pytest.mark.one_database
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


@pytest.mark.one_database
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


def test_a_reminder_that_was_given_up_is_sent_again(door: Door) -> None:
    """No mail is set up here, so it is given up each time; only what belongs to the key is sent, by who reaches the key."""
    key, other = door.world.key(EVE), door.world.key(MAX)
    with door.govern.unit_of_work(ADMIN) as uow:
        notices.tell(uow, "key.told", "once", ("keys", key.id), Words("It ends", "Soon.", (), "/", "Look"), addresses=[EVE])
    door.world.drain()
    employee = door.api("employee")
    [failed] = employee.get(f"/keys/{key.id}/reminders").get_json()["items"]
    assert (failed["state"], failed["address"]) == ("failed", EVE)
    address = f"/keys/{key.id}/reminders/{failed['id']}/send"
    assert door.api("admin").post(f"/keys/{other.id}/reminders/{failed['id']}/send", {}).status_code == 404
    assert employee.post(address, {}).status_code == 202
    assert employee.post(address, {}).status_code == 409  # under way
    door.world.drain()
    eve = Reader(door.browser("employee"))
    assert "Send again" in eve.get(f"/keys/{key.id}").text
    assert "It is sent again." in eve.send(f"/keys/{key.id}", address).text
    assert "Only a delivery that was given up" in eve.send(f"/keys/{key.id}", address).text
    assert door.world.audited("notice.sent_again") == ["notice.sent_again"] * 2


def versions(door: Door, key_id: str) -> list[KeyVersion]:
    with door.govern.unit_of_work.reading() as session:
        return list(queries.versions_of(session, key_id))
