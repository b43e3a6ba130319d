"""The verification page, guessing, who may do what with a device's token, and how it ends."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from govern.audit.models import AuditEvent
from govern.identity import rules, service
from govern.identity.permissions import DEVICE_PERMISSIONS
from govern.web import access
from govern.web.app import create_app
from tests.given import EVE
from tests.web.conftest import CLI
from tests.web.oauth.conftest import Person, Stage, error_of


@pytest.mark.one_database
def test_the_page_asks_for_sign_in_and_shows_what_asks(stage: Stage) -> None:
    device = stage.device(device_name="<script>alert(1)</script>", scope="keys:read keys:reveal")
    code = device.asked["user_code"]
    nobody = stage.door.app.test_client().get(f"/device?user_code={code}")
    assert nobody.status_code == 303
    assert (
        nobody.headers["Location"].startswith("/auth/sign-in?next=/device?user_code%3D")
        or "user_code" in nobody.headers["Location"]
    )

    eve = stage.person("employee")
    assert f'value="{code}"' in eve.open(f"/device?user_code={code}").text
    assert error_of(device.poll()) == "authorization_pending"  # opening the address decided nothing
    page = eve.type(code)
    assert page.status_code == 200
    for shown in (code, "203.0.113.7", "not the address of this browser", "keys:read", "keys:reveal", "The govern command line"):
        assert shown in page.text
    assert "<script>alert" not in page.text
    assert "keys:issue" not in page.text
    assert page.headers["Cache-Control"] == "no-store"
    forged = eve.client.post("/device/decide", data={"user_code": code, "decision": "approve"})
    assert forged.status_code == 403  # without our form's token
    assert "may now act for you" in eve.decide(code, "approve").text
    assert "may now act for you" in eve.decide(code, "deny").text  # sent twice, or too late: it stays as it was decided
    assert device.fetch().tokens["scope"] == "keys:read keys:reveal"


@pytest.mark.one_database
def test_nothing_but_a_pressed_button_approves(stage: Stage) -> None:
    device = stage.device()
    assert "gets nothing" in stage.person("employee").decide(device.asked["user_code"], "").text
    assert error_of(device.poll()) == "access_denied"


@pytest.mark.one_database
def test_guesses_are_counted_over_all_replicas(stage: Stage) -> None:
    device = stage.device()
    one = stage.person("employee")
    other = Person(create_app(stage.door.govern).test_client())
    for cookie in (one.client.get_cookie("govern"), one.client.get_cookie("govern-page")):
        if cookie is not None:
            other.client.set_cookie(cookie.key, cookie.value, domain="localhost")
    answers = [(one, other)[turn % 2].type(f"BCDF-GHJ{letter}") for turn, letter in enumerate("BCDFGHJ")]
    assert [answer.status_code for answer in answers] == [422] * 4 + [429] * 3
    for person in (one, other):
        assert person.decide(device.asked["user_code"], "approve").status_code == 429  # not even the right one
    assert error_of(device.poll()) == "authorization_pending"
    assert stage.door.world.audited("device.") == ["device.guessing_stopped"]
    assert stage.person("manager").type(device.asked["user_code"]).status_code == 200  # others are not locked out by it

    stage.clock.tick(timedelta(minutes=9))
    assert one.type(device.asked["user_code"]).status_code == 429
    stage.clock.tick(timedelta(minutes=6, seconds=1))
    again = stage.device()
    assert one.type(again.asked["user_code"]).status_code == 200


@pytest.mark.one_database
def test_unknown_used_and_somebody_elses_codes_are_told_apart_by_nobody(stage: Stage) -> None:
    used, decided = stage.device(), stage.device()
    eve, max_ = stage.person("employee"), stage.person("manager")
    max_.decide(used.asked["user_code"], "approve")
    used.fetch()
    max_.decide(decided.asked["user_code"], "approve")
    sentences = set()
    for code in ("BCDF-GHJK", used.asked["user_code"], decided.asked["user_code"], "no code"):
        answer = eve.type(code)
        assert answer.status_code == 422
        sentences.add(answer.text.partition('role="alert"')[2].partition("</div></div>")[0])
    assert len(sentences) == 1


@pytest.mark.one_database
def test_too_many_at_one_address_have_to_wait(stage: Stage) -> None:
    device = stage.device()
    for _ in range(rules.MOST_CODES_PER_ADDRESS - 1):
        device.ask()
    refused = device.post("device_authorization")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")
    device.address = "203.0.113.8"
    device.ask()


@pytest.mark.one_database
def test_a_device_reaches_its_persons_own_keys_and_nothing_else(stage: Stage) -> None:
    """Approved by an administrator it still is over themself only, and no route that needs more lets it in."""
    key = stage.door.world.key(EVE)
    admins = stage.signed_in("admin")
    me = admins.api("GET", "/me").get_json()
    assert me["permissions"] == dict.fromkeys(DEVICE_PERMISSIONS, "self")
    assert me["kind"] == "device"
    assert admins.api("GET", f"/keys/{key.id}").status_code == 404
    assert admins.api("POST", f"/keys/{key.id}/reveal").status_code == 404
    assert admins.api("GET", "/keys").get_json()["items"] == []
    app = stage.door.app
    for rule, method, endpoint in access.routes(app):
        declared = access.access_of(app, endpoint, method)
        if rule.startswith("/api/v1") and declared and declared.permission and declared.permission not in DEVICE_PERMISSIONS:
            path = rule.removeprefix("/api/v1").replace("<", "").replace(">", "").replace(":", "-")
            assert admins.api(method, path, {} if method == "POST" else None).status_code == 403, (method, rule)
    assert stage.door.browser().get("/", headers={"Authorization": f"Bearer {admins.tokens['access_token']}"}).status_code == 303


def test_a_device_asks_for_a_key_and_sees_its_value_once(stage: Stage) -> None:
    device = stage.signed_in()
    me = device.api("GET", "/me").get_json()
    project = me["projects"][0]
    made = device.api("POST", "/keys", {"person": me["person"], "project": project["id"], "name": "laptop"})
    assert made.status_code == 202
    stage.door.world.drain()
    key_id = made.get_json()["id"]
    value = device.api("POST", f"/keys/{key_id}/reveal").get_json()["value"]
    assert stage.door.world.openai.oracle().authenticates(value)
    assert device.api("POST", f"/keys/{key_id}/reveal").status_code == 410
    assert device.api("POST", f"/keys/{key_id}/revoke", {}).status_code == 202
    with stage.door.govern.unit_of_work.reading() as session:
        revealed = session.scalars(sa.select(AuditEvent).where(AuditEvent.action == "key.revealed")).one()
    assert (revealed.actor_kind, revealed.actor_id) == ("device", me["person"])
    assert "laptop" in revealed.actor_label


@pytest.mark.one_database
def test_what_the_person_loses_the_device_loses(stage: Stage) -> None:
    device = stage.signed_in("manager")
    assert device.api("GET", "/keys").status_code == 200
    stage.door.sign_in("max@acme.example", "auditors")
    assert device.api("POST", "/keys", {}).status_code == 403


@pytest.mark.one_database
def test_a_leavers_devices_die_with_the_removal(stage: Stage) -> None:
    device, waiting, typed = stage.signed_in(), stage.device(), stage.device()
    eve = stage.person("employee")
    eve.decide(waiting.asked["user_code"], "approve")
    stage.door.world.remove(EVE)
    assert device.api("GET", "/me").status_code == 401
    assert error_of(device.refresh()) == "invalid_grant"
    assert error_of(waiting.poll()) == "invalid_grant"
    assert eve.client.post("/device", data={"user_code": typed.asked["user_code"]}).status_code in (303, 403)
    with stage.door.govern.unit_of_work(CLI) as uow:
        assert service.end_everything(uow, stage.door.world.person(EVE).id)["devices"] == 0


@pytest.mark.one_database
def test_one_ends_ones_own_devices_and_an_administrator_anybodys(stage: Stage) -> None:
    mine, lost, others = stage.signed_in(), stage.signed_in(), stage.signed_in("manager")
    eve = stage.person("employee")
    page = eve.open("/me").text
    named = {"mine": mine, "lost": lost, "others": others}
    ids = {name: device.api("GET", "/me").get_json()["id"] for name, device in named.items()}
    assert f"/devices/{ids['lost']}/end" in page
    assert eve.open(f"/devices/{ids['others']}/end").status_code == 404
    assert eve.send(f"/devices/{ids['others']}/end").status_code in (303, 404)
    assert others.api("GET", "/me").status_code == 200
    assert eve.send(f"/devices/{ids['lost']}/end").status_code == 303
    assert lost.api("GET", "/me").status_code == 401
    assert mine.api("GET", "/me").status_code == 200

    admin = stage.door.api("admin")
    listed = admin.get("/devices").get_json()["items"]
    assert {row["id"] for row in listed} == {ids["mine"], ids["others"]}
    assert admin.post(f"/devices/{ids['others']}/revoke").get_json()["end_reason"] == "ended over the API"
    assert others.api("GET", "/me").status_code == 401
    assert len(admin.get("/devices?ended=true").get_json()["items"]) == 3
    assert stage.door.api("employee").post(f"/devices/{ids['others']}/revoke").status_code == 404


def test_housekeeping_forgets_what_is_over(stage: Stage) -> None:
    device = stage.signed_in()
    stage.device()
    stage.person("employee").type("BCDF-GHJK")
    stage.clock.tick(timedelta(hours=2))
    with stage.door.govern.unit_of_work(CLI) as uow:
        counts = service.forget_old(uow)
    assert (counts["device_codes"], counts["code_guesses"], counts["device_tokens"], counts["devices"]) == (1, 1, 1, 0)
    assert device.refresh().status_code == 200
    stage.clock.tick(timedelta(days=181))
    with stage.door.govern.unit_of_work(CLI) as uow:
        counts = service.forget_old(uow)
    assert (counts["device_tokens"], counts["devices"]) == (3, 1)
