"""The protocol as RFC 8628, 6749, 7009, 7662 and 8414 have it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata

from govern.identity import devices
from govern.identity.rules import CODE_LETTERS
from govern.settings import Web
from govern.web.app import create_app
from govern.web.oauth.server import device_limits
from tests.given import EVE
from tests.web.conftest import CLI
from tests.web.oauth.conftest import Device, Stage, error_of


def test_a_device_waits_is_slowed_down_is_let_in_and_its_code_is_used_up(stage: Stage) -> None:
    device = stage.device(scope="self:read keys:read")
    code = device.asked["user_code"]
    assert set(code) <= {*CODE_LETTERS, "-"}
    assert len(code) == 9
    assert device.asked["verification_uri"] == "http://localhost/device"
    assert device.asked["verification_uri_complete"].endswith(f"?user_code={code}")
    assert (device.asked["expires_in"], device.asked["interval"]) == (600, 5)

    assert error_of(device.poll()) == "authorization_pending"
    stage.clock.tick(4)
    assert error_of(device.poll()) == "slow_down"
    stage.clock.tick(9)  # the interval was raised to 10, and is kept
    assert error_of(device.poll()) == "slow_down"
    stage.clock.tick(15)
    assert error_of(device.poll()) == "authorization_pending"

    assert stage.person("employee").decide(code.lower().replace("-", " "), "approve").status_code == 200
    answer = device.poll()  # at once: once decided nobody is slowed down
    tokens = answer.get_json()
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert tokens["token_type"] == "Bearer"
    assert tokens["access_token"].startswith("govd_")
    assert tokens["refresh_token"].startswith("govr_")
    assert tokens["scope"] == "self:read keys:read"
    assert tokens["expires_in"] == 900
    assert device.api("GET", "/me", token=tokens["access_token"]).get_json()["email"] == EVE

    replayed = device.poll()
    assert (replayed.status_code, error_of(replayed)) == (400, "invalid_grant")
    assert stage.door.world.audited("device.") == ["device.approved", "device.signed_in"]
    assert stage.door.world.audit_holds()


@pytest.mark.one_database
def test_a_denied_and_an_expired_request_say_so(stage: Stage) -> None:
    denied, late, approved_late = stage.device(), stage.device(), stage.device()
    assert stage.person("employee").decide(denied.asked["user_code"], "deny").status_code == 200
    assert error_of(denied.poll()) == "access_denied"
    assert stage.person("employee").decide(approved_late.asked["user_code"], "approve").status_code == 200
    stage.clock.tick(timedelta(minutes=10))
    assert error_of(late.poll()) == "expired_token"
    assert error_of(approved_late.poll()) == "expired_token"
    assert stage.person("employee").type(late.asked["user_code"]).status_code == 422
    assert "device.denied" in stage.door.world.audited("device.")


WRONG: list[tuple[str, str | None, dict[str, Any], str]] = [
    ("device_authorization", "nobody", {}, "invalid_client"),
    ("device_authorization", None, {}, "invalid_client"),
    ("device_authorization", "govern-cli", {"scope": "members:revoke"}, "invalid_scope"),
    ("device_authorization", "govern-cli", {"scope": "keys:read tokens:write"}, "invalid_scope"),
    ("token", "govern-cli", {"grant_type": "password", "username": "eve", "password": "x"}, "unsupported_grant_type"),
    ("token", "govern-cli", {}, "unsupported_grant_type"),
    ("token", "govern-cli", {"grant_type": "refresh_token"}, "invalid_request"),
    ("token", "govern-cli", {"grant_type": "refresh_token", "refresh_token": "govr_noise"}, "invalid_grant"),
    ("token", "govern-cli", {"grant_type": "urn:ietf:params:oauth:grant-type:device_code"}, "invalid_request"),
    ("revoke", "govern-cli", {}, "invalid_request"),
    ("revoke", "nobody", {"token": "govr_noise"}, "invalid_client"),
    ("introspect", None, {"token": "govd_noise"}, "invalid_client"),
    ("token", "govern-cli", {"grant_type": "refresh_token", "refresh_token": "\x00"}, "invalid_request"),
    ("token", "govern-cli", {"grant_type": ["refresh_token", "refresh_token"]}, "invalid_request"),
]


@pytest.mark.one_database
def test_what_is_wrong_is_refused_by_its_name(stage: Stage) -> None:
    for path, client, form, error in WRONG:
        answer = Device(stage.door.app).post(path, client=client, **form)
        assert (answer.status_code in (400, 401), error_of(answer)) == (True, error), (path, client, form)


@pytest.mark.one_database
def test_a_code_serves_only_the_client_that_asked(stage: Stage) -> None:
    device = stage.device()
    stage.person("employee").decide(device.asked["user_code"], "approve")
    assert error_of(device.poll(client="another")) == "invalid_client"
    theirs = devices.new_device_code()
    with stage.door.govern.unit_of_work(CLI) as uow:
        short = devices.new_user_code(uow)
        devices.begin(
            uow, device_limits(stage.door.govern.settings), client_id="another", name="x", permissions=["self:read"],
            device_code=theirs, user_code=short,
        )  # fmt: skip
    stage.person("employee").decide(short, "approve")
    assert error_of(device.poll(device_code=theirs.reveal())) == "invalid_grant"
    *begin, last = device.asked["device_code"]
    assert error_of(device.poll(device_code="".join(begin) + ("1" if last == "0" else "0"))) == "invalid_grant"
    assert device.poll().status_code == 200


@pytest.mark.one_database
def test_parameters_in_the_address_are_refused(stage: Stage) -> None:
    device = stage.signed_in()
    client = stage.door.app.test_client()
    for path in ("token?grant_type=refresh_token", f"revoke?token={device.tokens['refresh_token']}"):
        assert error_of(client.post(f"/oauth/{path}", data={"client_id": "govern-cli"})) == "invalid_request"
    refused = client.get(f"/api/v1/me?token={device.tokens['access_token']}")
    assert refused.status_code == 422
    assert device.api("GET", "/me").status_code == 200


def test_refresh_tokens_rotate_and_a_copy_ends_the_device(stage: Stage) -> None:
    device = stage.signed_in()
    first = dict(device.tokens)
    stage.clock.tick(timedelta(minutes=15))
    assert device.api("GET", "/me").status_code == 401
    device.tokens = device.refresh().get_json()
    assert device.tokens["refresh_token"] != first["refresh_token"]
    assert device.api("GET", "/me").status_code == 200

    assert error_of(device.refresh(first["refresh_token"])) == "invalid_grant"  # somebody's copy
    assert device.api("GET", "/me").status_code == 401
    assert error_of(device.refresh()) == "invalid_grant"
    assert stage.door.world.audited("device.")[-1] == "device.ended"


@pytest.mark.one_database
def test_a_refresh_may_narrow_and_never_widen(stage: Stage) -> None:
    device = stage.signed_in(scope="self:read keys:read")
    assert error_of(device.refresh(scope="self:read keys:issue")) == "invalid_scope"
    narrow = device.refresh(scope="self:read").get_json()
    assert narrow["scope"] == "self:read"
    assert device.api("GET", "/keys", token=narrow["access_token"]).status_code == 403
    wide = device.refresh(narrow["refresh_token"]).get_json()
    assert device.api("GET", "/keys", token=wide["access_token"]).status_code == 200


def test_an_unused_device_and_an_old_one_sign_in_again(stage: Stage) -> None:
    unused, used = stage.signed_in(), stage.signed_in()
    stage.clock.tick(timedelta(days=29))
    used.tokens = used.refresh().get_json()
    stage.clock.tick(timedelta(days=1))
    assert error_of(unused.refresh()) == "invalid_grant"
    for _ in range(2):
        stage.clock.tick(timedelta(days=28))
        used.tokens = used.refresh().get_json()
    stage.clock.tick(timedelta(days=4))
    assert error_of(used.refresh()) == "invalid_grant"  # 90 days, however much it was used


def test_tokens_are_given_back(stage: Stage) -> None:
    device, other = stage.signed_in(), stage.signed_in()
    assert device.post("revoke", token=device.tokens["access_token"]).status_code == 200
    assert device.api("GET", "/me").status_code == 401
    device.tokens = device.refresh().get_json()
    assert device.post("revoke", token=device.tokens["refresh_token"], token_type_hint="nonsense").status_code == 200
    assert device.api("GET", "/me").status_code == 401
    assert error_of(device.refresh()) == "invalid_grant"
    assert device.post("revoke", token="never seen").status_code == 200
    assert device.post("revoke", token=device.tokens["refresh_token"]).status_code == 200
    assert other.api("GET", "/me").status_code == 200


@pytest.mark.one_database
def test_introspection_tells_those_who_may_know(stage: Stage) -> None:
    device, other = stage.signed_in(), stage.signed_in()
    client = stage.door.app.test_client()

    def about(value: str, bearer: str | None) -> dict[str, object]:
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        answer = client.post("/oauth/introspect", data={"token": value}, headers=headers)
        found: dict[str, object] = answer.get_json()
        return found

    access, own = device.tokens["access_token"], device.tokens["access_token"]
    admin = stage.door.token("admin").reveal()
    found = about(access, admin)
    assert found["active"] is True
    assert (found["username"], found["client_id"], found["token_type"]) == (EVE, "govern-cli", "Bearer")
    assert found["exp"] == found["iat"] + 900  # type: ignore[operator]
    assert about(access, own)["active"] is True
    assert about(device.tokens["refresh_token"], own)["active"] is True
    assert about(other.tokens["access_token"], own) == {"active": False}
    assert about(access, stage.door.token("employee").reveal()) == {"active": False}
    assert about("nonsense", admin) == {"active": False}
    refused = client.post("/oauth/introspect", data={"token": access})
    assert refused.status_code == 401
    assert "WWW-Authenticate" in refused.headers
    stage.clock.tick(timedelta(minutes=15))
    assert about(access, admin) == {"active": False}


@pytest.mark.one_database
def test_the_metadata_is_what_the_rfc_asks_for(stage: Stage) -> None:
    client = stage.door.app.test_client()
    found = client.get("/.well-known/oauth-authorization-server").get_json()
    assert found["response_types_supported"] == []  # there is no authorization endpoint; Authlib wants at least one
    AuthorizationServerMetadata(found | {"response_types_supported": ["none"]}).validate()
    assert found["issuer"] == "http://localhost"
    for name, address in found.items():
        if name.endswith("_endpoint"):
            assert client.get(address).status_code == 405, name
            assert client.post(address).is_json, name


@pytest.mark.one_database
def test_plain_http_is_for_loopback_only(stage: Stage) -> None:
    """What counts is the address that people use; a proxy in front may speak plain HTTP to us."""
    made = stage.door.govern
    for address, error in (("http://govern.example", "insecure_transport"), ("https://govern.example", "invalid_grant")):
        settings = made.settings.model_copy(update={"web": Web(url=address)})
        app = create_app(replace(made, settings=settings))
        assert error_of(Device(app).post("token", grant_type="refresh_token", refresh_token="govr_noise")) == error
