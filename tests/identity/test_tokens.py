"""API tokens: never more than their maker may, now or later."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from freezegun import freeze_time

from govern.core.clock import utcnow
from govern.core.crypto import Secret, looks_like_token, new_token
from govern.core.errors import InvalidInput, NotAllowed
from govern.core.uow import Actor, ActorKind, UnitsOfWork
from govern.identity import queries, service, tokens
from govern.identity.models import ApiToken
from govern.identity.permissions import PERMISSIONS, Reach, Role
from govern.identity.principals import Principal
from govern.identity.rules import ProvenIdentity, SignInPolicy

CLI = Actor(ActorKind.CLI, "test", "test")
POLICY = SignInPolicy("groups", {Role.ADMIN: ["ops"], Role.EMPLOYEE: ["*"]}, ["acme.example"])
DAY = timedelta(days=1)


def principal(units: UnitsOfWork, name: str, *groups: str) -> Principal:
    identity = ProvenIdentity("https://idp.example", name, None, f"{name}@acme.example", True, name, groups)
    with units(CLI) as uow:
        cookie = service.sign_in(uow, identity, POLICY)
    with units.reading() as session:
        found = queries.principal_of_session(session, units.box, cookie.reveal(), utcnow())
    assert found is not None
    return found[0]


def make(units: UnitsOfWork, maker: Principal, *permissions: str, person_id: str | None, **more: Any) -> Secret:
    with units(CLI) as uow:
        settings = {"name": "script", "lifetime": DAY} | more
        return tokens.create_token(uow, maker, permissions=permissions, person_id=person_id, **settings)[1]


def use(units: UnitsOfWork, token: Secret) -> Principal | None:
    with units.reading() as session:
        found = queries.principal_of_token(session, units.box, token.reveal(), utcnow())
        return found[0] if found else None


@pytest.mark.one_database
def test_a_token_does_what_it_lists_and_no_more(unit_of_work: UnitsOfWork) -> None:
    eve = principal(unit_of_work, "eve")
    found = use(unit_of_work, make(unit_of_work, eve, "keys:read", person_id=eve.person_id))
    assert found is not None
    assert dict(found.grants) == {"keys:read": Reach.SELF}
    assert found.actor_id == eve.person_id
    assert found.actor().kind is ActorKind.TOKEN


def test_only_a_keyed_hash_is_kept(unit_of_work: UnitsOfWork) -> None:
    eve = principal(unit_of_work, "eve")
    token = make(unit_of_work, eve, "keys:read", person_id=eve.person_id)
    assert looks_like_token(token.reveal())
    with unit_of_work.reading() as session:
        row = session.scalars(sa.select(ApiToken)).one()
        dump = str(session.execute(sa.text("SELECT * FROM api_tokens")).all()) + str(
            session.execute(sa.text("SELECT * FROM audit_events")).all()
        )
    assert token.reveal() not in dump
    assert token.reveal().startswith(row.prefix)
    assert len(row.prefix) == 10


@pytest.mark.one_database
def test_nobody_gives_what_they_do_not_have(unit_of_work: UnitsOfWork) -> None:
    eve, ada = principal(unit_of_work, "eve"), principal(unit_of_work, "ada", "ops")
    with pytest.raises(NotAllowed, match="audit:read"):
        make(unit_of_work, eve, "audit:read", person_id=eve.person_id)
    with pytest.raises(NotAllowed, match="over some people"):
        make(unit_of_work, eve, "keys:read", person_id=ada.person_id)
    with pytest.raises(NotAllowed, match="over some people"):
        make(unit_of_work, eve, "keys:read", person_id=None)
    with pytest.raises(InvalidInput, match="no permission"):
        make(unit_of_work, ada, "keys:everything", person_id=None)


@pytest.mark.one_database
def test_a_token_for_somebody_is_held_to_their_standing_too(unit_of_work: UnitsOfWork) -> None:
    eve, ada = principal(unit_of_work, "eve"), principal(unit_of_work, "ada", "ops")
    found = use(unit_of_work, make(unit_of_work, ada, "keys:read", "audit:read", person_id=eve.person_id))
    assert found is not None
    assert dict(found.grants) == {"keys:read": Reach.SELF}


@pytest.mark.one_database
def test_a_system_token_shrinks_with_its_maker(unit_of_work: UnitsOfWork) -> None:
    ada = principal(unit_of_work, "ada", "ops")
    token = make(unit_of_work, ada, "keys:read", "audit:read", person_id=None)
    found = use(unit_of_work, token)
    assert found is not None
    assert found.grants == {"keys:read": Reach.ANYONE, "audit:read": Reach.ANYONE}
    principal(unit_of_work, "ada")  # signs in again, without the group
    found = use(unit_of_work, token)
    assert found is not None
    assert found.grants == {}


@pytest.mark.one_database
def test_tokens_end_with_the_person_and_with_their_maker(unit_of_work: UnitsOfWork) -> None:
    eve, ada = principal(unit_of_work, "eve"), principal(unit_of_work, "ada", "ops")
    own = make(unit_of_work, eve, "keys:read", person_id=eve.person_id)
    given = make(unit_of_work, ada, "keys:read", person_id=eve.person_id)
    system = make(unit_of_work, ada, *PERMISSIONS, person_id=None)
    maker = use(unit_of_work, system)
    assert maker is not None
    child = make(unit_of_work, maker, "keys:read", person_id=None, lifetime=timedelta(hours=1))
    with unit_of_work(CLI) as uow:
        assert service.end_everything(uow, str(ada.person_id))["tokens"] == 3
    assert use(unit_of_work, own) is not None
    assert [use(unit_of_work, token) for token in (given, system, child)] == [None, None, None]
    with unit_of_work(CLI) as uow:
        assert service.end_everything(uow, str(eve.person_id))["tokens"] == 1
    assert use(unit_of_work, own) is None


@pytest.mark.one_database
def test_a_token_of_a_token_is_less_in_every_way(unit_of_work: UnitsOfWork) -> None:
    with unit_of_work(CLI) as uow:
        row, value = tokens.create_system_token(uow, name="demo", role=Role.ADMIN, lifetime=DAY)
    parent = use(unit_of_work, value)
    assert parent is not None
    with pytest.raises(InvalidInput, match="outlive"):
        make(unit_of_work, parent, "keys:read", person_id=None, lifetime=2 * DAY)
    child = make(unit_of_work, parent, "keys:read", "tokens:write", person_id=None, lifetime=timedelta(hours=1))
    found = use(unit_of_work, child)
    assert found is not None
    with pytest.raises(NotAllowed, match="makes none"):
        make(unit_of_work, found, "keys:read", person_id=None, lifetime=timedelta(minutes=1))
    with unit_of_work(CLI) as uow:
        tokens.revoke_token(uow, row.id)
    assert use(unit_of_work, child) is None


@pytest.mark.one_database
def test_a_token_expires_and_never_lives_longer_than_a_year(unit_of_work: UnitsOfWork) -> None:
    eve = principal(unit_of_work, "eve")
    for wrong in (timedelta(0), timedelta(days=366), timedelta(days=-1)):
        with pytest.raises(InvalidInput, match="365"):
            make(unit_of_work, eve, "keys:read", person_id=eve.person_id, lifetime=wrong)
    with freeze_time("2026-03-10 09:00", tick=False) as clock:
        with unit_of_work(CLI) as uow:
            _, token = tokens.create_system_token(uow, name="short", role=Role.AUDITOR, lifetime=DAY)
        clock.tick(DAY - timedelta(seconds=1))
        assert use(unit_of_work, token) is not None
        clock.tick(timedelta(seconds=1))
        assert use(unit_of_work, token) is None


def test_revoking_ends_at_once_and_twice_is_once(unit_of_work: UnitsOfWork) -> None:
    with unit_of_work(CLI) as uow:
        row, token = tokens.create_system_token(uow, name="demo", role=Role.AUDITOR, lifetime=DAY)
    for _ in range(2):
        with unit_of_work(CLI) as uow:
            tokens.revoke_token(uow, row.id)
        assert use(unit_of_work, token) is None
    with unit_of_work.reading() as session:
        revoked = session.execute(sa.text("SELECT count(*) FROM audit_events WHERE action = 'token.revoked'")).scalar()
    assert revoked == 1


@pytest.mark.one_database
def test_a_wrong_checksum_asks_the_database_nothing(unit_of_work: UnitsOfWork) -> None:
    asked: list[str] = []
    sa.event.listen(unit_of_work.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    good = new_token().reveal()
    broken = good[:-1] + ("0" if good[-1] != "0" else "1")
    for noise in (broken, good.lower(), "gov_" + "0" * 49, "' OR ''='", "gov_", good + " ", "\x00" * 53):
        assert use(unit_of_work, Secret(noise)) is None
    assert asked == []
    assert use(unit_of_work, Secret(good)) is None
    assert len([statement for statement in asked if "api_tokens" in statement]) == 1


@pytest.mark.one_database
def test_bad_names_and_empty_lists_are_refused(unit_of_work: UnitsOfWork) -> None:
    eve = principal(unit_of_work, "eve")
    for name in ("", "  ", "x" * 121, "bell\x07"):
        with pytest.raises(InvalidInput, match="name"):
            make(unit_of_work, eve, "keys:read", person_id=eve.person_id, name=name)
    with pytest.raises(InvalidInput, match="at least one"):
        make(unit_of_work, eve, person_id=eve.person_id)


@pytest.mark.one_database
def test_a_principal_with_a_forgotten_permission_says_which(unit_of_work: UnitsOfWork) -> None:
    eve = replace(principal(unit_of_work, "eve"), grants={})
    with pytest.raises(NotAllowed, match="keys:read: See keys"):
        eve.reach("keys:read")
