"""Every route × every kind of caller, generated from the app's own map and held to the reviewed table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from freezegun import freeze_time

from govern.core.clock import utcnow
from govern.core.crypto import new_token
from govern.identity import rules, service, tokens
from govern.identity.permissions import PERMISSIONS, Role
from govern.offboarding import service as offboarding
from tests.given import EVE, MAL, MAX
from tests.web.conftest import CAST, CLI, Door
from tests.web.matrix import Caller, comes_through, declared, promises, things_of_eve

PROMISED = promises()


@pytest.mark.one_database
def test_the_table_names_every_route_with_its_permission(door: Door) -> None:
    """A new route is added to the table by a person who thinks about who should come through."""
    assert {route: promise.permission for route, promise in PROMISED.items()} == declared(door.app)


@pytest.mark.parametrize("role", CAST)
def test_a_role_comes_through_where_the_table_says_and_nowhere_else(door: Door, role: str) -> None:
    known = things_of_eve(door)
    caller = Caller(door, door.token(role).reveal(), door.sign_in(*CAST[role]).reveal())
    assert caller.form, "the role's own page holds a form"
    wrong = {}
    for route, promise in PROMISED.items():
        if promise.permission is None:
            continue
        answer = caller.call(route, known)
        if comes_through(answer) != (role in promise.roles) or answer.status_code >= 500:
            wrong[route] = answer.status_code
    assert wrong == {}


@pytest.mark.one_database
def test_somebody_elses_things_are_not_there(door: Door) -> None:
    """Mal holds every permission of an employee, over himself: with Eve's ids each route says that there is nothing."""
    known = things_of_eve(door)
    mal = door.principal(door.sign_in(MAL))
    with door.govern.unit_of_work(CLI) as uow:
        words = sorted(mal.grants)
        _, token = tokens.create_token(
            uow, mal, name="mal", permissions=words, lifetime=timedelta(days=1), person_id=mal.person_id
        )
    caller = Caller(door, token.reveal(), door.sign_in(MAL).reveal())
    with_ids = [route for route, promise in PROMISED.items() if "<" in route and promise.permission is not None]
    seen = {route: caller.call(route, known) for route in with_ids}
    leaking = {
        route: answer.status_code
        for route, answer in seen.items()
        if answer.status_code not in (401, 403, 404, 422) and not _turned_away(answer.status_code, answer.headers.get("Location"))
    }
    assert leaking == {}
    for value in (known["key_id"], known["budget_id"], known["token_id"], "Eve Employee"):
        assert [route for route, answer in seen.items() if answer.status_code == 200 and value in answer.text] == []


def _turned_away(status: int, location: str | None) -> bool:
    """A page's way of saying that there is nothing: back, with a sentence."""
    return status == 303 and location is not None


def expired_token(door: Door) -> Caller:
    with freeze_time(utcnow() - timedelta(days=2)):
        token = door.system_token()
    return Caller(door, token.reveal())


def revoked_token(door: Door) -> Caller:
    with door.govern.unit_of_work(CLI) as uow:
        row, token = tokens.create_system_token(uow, name="x", role=Role.ADMIN, lifetime=timedelta(days=1))
        tokens.revoke_token(uow, row.id)
    return Caller(door, token.reveal())


def leaver(door: Door) -> Caller:
    caller = Caller(door, door.token("manager").reveal(), door.sign_in(*CAST["manager"]).reveal())
    with door.govern.unit_of_work(CLI) as uow:
        offboarding.start(uow, MAX, reason="left the company")
    return caller


def signed_out(door: Door) -> Caller:
    cookie = door.sign_in(*CAST["admin"])
    with door.govern.unit_of_work(CLI) as uow:
        service.sign_out(uow, door.principal(cookie).id)
    return Caller(door, None, cookie.reveal())


def idle(door: Door) -> Caller:
    with freeze_time(utcnow() - rules.IDLE):
        cookie = door.sign_in(*CAST["admin"])
    return Caller(door, None, cookie.reveal())


def narrow(door: Door) -> Caller:
    """A token that may do nothing but say whose it is."""
    eve = door.principal(door.sign_in(EVE))
    with door.govern.unit_of_work(CLI) as uow:
        _, token = tokens.create_token(
            uow, eve, name="n", permissions=["self:read"], lifetime=timedelta(days=1), person_id=eve.person_id
        )
    return Caller(door, token.reveal())


def wrong_checksum(door: Door) -> Caller:
    value = door.system_token().reveal()
    return Caller(door, value[:-1] + ("0" if value[-1] != "0" else "1"))


NOBODIES: dict[str, Callable[[Door], Caller]] = {
    "anonymous": lambda door: Caller(door),
    "expired token": expired_token,
    "revoked token": revoked_token,
    "unknown token": lambda door: Caller(door, new_token().reveal()),
    "wrong checksum": wrong_checksum,
    "empty token": lambda door: Caller(door, ""),
    "another scheme": lambda door: Caller(door, door.system_token().reveal(), scheme="Basic"),
    "a cookie as a token, a token as a cookie": lambda door: Caller(
        door, door.sign_in(*CAST["admin"]).reveal(), door.system_token().reveal()
    ),
    "unknown cookie": lambda door: Caller(door, None, new_token("govs").reveal()),
    "leaver": leaver,
    "signed out": signed_out,
    "idle": idle,
}


@pytest.mark.one_database
@pytest.mark.parametrize("who", NOBODIES)
def test_a_nobody_comes_through_nowhere(door: Door, who: str) -> None:
    caller = NOBODIES[who](door)
    known = {"member": EVE, "name": "usage.sync", "job": "usage.sync"}
    through = {}
    for route, promise in PROMISED.items():
        if promise.permission is None:
            continue
        answer = caller.call(route, known)
        if comes_through(answer):
            through[route] = answer.status_code
    assert through == {}


@pytest.mark.one_database
def test_a_narrow_token_comes_through_only_where_its_permission_is_asked_for(door: Door) -> None:
    caller = narrow(door)
    routes = {
        route: promise for route, promise in PROMISED.items() if promise.permission and route.split()[1].startswith("/api/")
    }
    through = {route for route in routes if comes_through(caller.call(route, {"member": EVE, "name": "usage.sync"}))}
    assert through == {route for route, promise in routes.items() if promise.permission == "self:read"}


@pytest.mark.one_database
def test_every_refusal_reads_the_same(door: Door) -> None:
    """Whether a token expired, was revoked or never was is nobody's business."""
    bodies = set()
    for who in ("expired token", "revoked token", "unknown token", "wrong checksum"):
        answer = NOBODIES[who](door).call("GET /api/v1/keys", {})
        body = answer.get_json()
        assert body.pop("request_id").startswith("req_")
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="govern", error="invalid_token"'
        bodies.add(str(sorted(body.items())))
    assert len(bodies) == 1


@pytest.mark.one_database
def test_every_permission_opens_something(door: Door) -> None:
    asked = {promise.permission for promise in PROMISED.values()} - {None}
    assert asked == set(PERMISSIONS)
