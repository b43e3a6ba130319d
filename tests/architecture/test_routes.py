"""Deny by default: an endpoint that does not say who may call it stops the app from starting."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.views import MethodView

from govern.bootstrap import Govern, build
from govern.core.crypto import Secret
from govern.core.errors import InvalidInput
from govern.identity.permissions import PERMISSIONS
from govern.settings import OpenAI, Sealing, Settings
from govern.web import access
from govern.web.app import create_app

RING = Sealing(keys=Secret("test:" + base64.b64encode(bytes(32)).decode()))


@pytest.fixture(scope="module")
def made() -> Iterator[Govern]:
    made = build(Settings(mode="test", database={"url": "sqlite://"}, sealing=RING))
    yield made
    made.close()


@pytest.fixture
def app(made: Govern) -> Flask:
    return create_app(made)


def test_every_endpoint_declares_who_may_call_it(app: Flask) -> None:
    access.check_all_declared(app)
    assert len(list(access.routes(app))) > 60


def test_a_forgotten_declaration_is_an_error_at_the_start(app: Flask) -> None:
    app.add_url_rule("/forgotten", view_func=lambda: "hello", endpoint="forgotten")
    with pytest.raises(RuntimeError, match="GET /forgotten"):
        access.check_all_declared(app)


def test_a_forgotten_method_of_a_declared_class_is_an_error_too(app: Flask) -> None:
    class Things(MethodView):
        @access.requires("keys:read")
        def get(self) -> str:
            return "hello"

        def post(self) -> str:
            return "done"

    app.add_url_rule("/things", view_func=Things.as_view("things"))
    with pytest.raises(RuntimeError, match=r"\(@requires or @open_to_all\): POST /things\."):
        access.check_all_declared(app)


def test_a_permission_that_does_not_exist_is_a_mistake_at_import() -> None:
    with pytest.raises(ValueError, match="keys:raed"):
        access.requires("keys:raed")


def test_who_opens_an_endpoint_says_why(app: Flask) -> None:
    for rule, method, endpoint in access.routes(app):
        declared = access.access_of(app, endpoint, method)
        assert declared is not None
        assert declared.permission in PERMISSIONS or declared.reason, f"{method} {rule}"


def test_forms_are_protected_everywhere_but_where_no_browser_posts(app: Flask) -> None:
    without = {
        f"{method} {rule}"
        for rule, method, endpoint in access.routes(app)
        if (declared := access.access_of(app, endpoint, method)) is not None and not declared.csrf
    }
    assert {route for route in without if not route.startswith("POST /oauth/")} == {"POST /auth/backchannel-logout"}


def test_the_web_process_refuses_to_hold_the_admin_key() -> None:
    settings = Settings(
        mode="demo", database={"url": "sqlite://"}, sealing=RING,
        openai=OpenAI(admin_key=Secret("not a real key"), base_url="http://127.0.0.1:9/v1"),
    )  # fmt: skip
    worker = build(settings, outside=True)
    with pytest.raises(InvalidInput, match="admin key"):
        create_app(worker)
    worker.close()
