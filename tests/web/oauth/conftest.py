"""A device that signs in, and the person who decides."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from freezegun.api import FrozenDateTimeFactory
from werkzeug.test import TestResponse

from govern.settings import Settings, Web
from tests.web.conftest import Door

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """OAuth wants TLS, or loopback."""
    return settings.model_copy(update={"web": Web(url="http://localhost", wait_seconds=0)})


@dataclass
class Device:
    """A command line. `asked` is the answer to its request, `tokens` what it fetched."""

    app: Flask
    address: str = "203.0.113.7"
    asked: dict[str, Any] = field(default_factory=dict)
    tokens: dict[str, Any] = field(default_factory=dict)

    def post(self, path: str, *, client: str | None = "govern-cli", **form: Any) -> TestResponse:
        data = form | ({"client_id": client} if client else {})
        return self.app.test_client().post(f"/oauth/{path}", data=data, environ_base={"REMOTE_ADDR": self.address})

    def ask(self, **form: Any) -> Device:
        answer = self.post("device_authorization", **{"device_name": "laptop"} | form)
        assert answer.status_code == 200, answer.text
        self.asked = answer.get_json()
        return self

    def poll(self, **form: Any) -> TestResponse:
        return self.post("token", **{"grant_type": DEVICE_CODE, "device_code": self.asked["device_code"]} | form)

    def refresh(self, value: str | None = None, **form: Any) -> TestResponse:
        return self.post("token", grant_type="refresh_token", refresh_token=value or self.tokens["refresh_token"], **form)

    def fetch(self) -> Device:
        answer = self.poll()
        assert answer.status_code == 200, answer.text
        self.tokens = answer.get_json()
        return self

    def api(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> TestResponse:
        headers = {"Authorization": f"Bearer {token or self.tokens['access_token']}"}
        return self.app.test_client().open(f"/api/v1{path}", method=method, json=body, headers=headers)


@dataclass
class Person:
    """Somebody in front of the verification page."""

    client: FlaskClient

    def open(self, path: str) -> TestResponse:
        return self.client.get(path)

    def send(self, path: str, **form: Any) -> TestResponse:
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.client.get("/device").text)
        assert token is not None
        return self.client.post(path, data=form | {"csrf_token": token[1]})

    def type(self, code: str) -> TestResponse:
        return self.send("/device", user_code=code)

    def decide(self, code: str, decision: str) -> TestResponse:
        return self.send("/device/decide", user_code=code, decision=decision)


@dataclass
class Stage:
    """`stage.device()` asks, `stage.person("employee")` decides, `stage.signed_in()` is a device with tokens."""

    door: Door
    clock: FrozenDateTimeFactory

    def device(self, **form: Any) -> Device:
        return Device(self.door.app).ask(**form)

    def person(self, role: str) -> Person:
        return Person(self.door.browser(role))

    def signed_in(self, role: str = "employee", **form: Any) -> Device:
        device = self.device(**form)
        assert self.person(role).decide(device.asked["user_code"], "approve").status_code == 200
        return device.fetch()


@pytest.fixture
def stage(clock: FrozenDateTimeFactory, door: Door) -> Stage:
    return Stage(door, clock)


def error_of(answer: TestResponse) -> str:
    body = answer.get_json()
    assert answer.headers["Cache-Control"] == "no-store"
    return str(body["error"])
