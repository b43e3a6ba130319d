"""Signing in and out, on real databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from freezegun import freeze_time

from govern.audit import queries as audit
from govern.core.clock import utcnow
from govern.core.crypto import Secret, new_token
from govern.core.errors import Conflict, Gone, NotAllowed
from govern.core.uow import Actor, ActorKind, UnitsOfWork
from govern.identity import queries, rules, service
from govern.identity.models import Session, SetupLink, SignIn
from govern.identity.permissions import Role
from govern.identity.principals import Principal
from govern.identity.rules import ProvenIdentity, SignInPolicy
from govern.people import service as people
from govern.people.models import Identity, Person, PersonState

WEB = Actor(ActorKind.PERSON, "anonymous", "sign-in", "192.0.2.7", "req_1")
POLICY = SignInPolicy("groups", {Role.ADMIN: ["ops"], Role.EMPLOYEE: ["*"]}, ["acme.example"])
EVE = ProvenIdentity("https://idp.example", "sub-eve", "sid-1", "eve@acme.example", True, "Eve Example", ())


def sign_in(units: UnitsOfWork, identity: ProvenIdentity = EVE, **more: Any) -> Secret:
    with units(WEB) as uow:
        return service.sign_in(uow, identity, POLICY, **more)


def who(units: UnitsOfWork, cookie: Secret) -> Principal | None:
    with units.reading() as session:
        found = queries.principal_of_session(session, units.box, cookie.reveal(), utcnow())
        return found[0] if found else None


def actions(units: UnitsOfWork) -> list[str]:
    with units.reading() as session:
        return [event.action for event in reversed(audit.events(session))]


@pytest.mark.one_database
def test_a_first_sign_in_makes_and_links_the_person(unit_of_work: UnitsOfWork) -> None:
    principal = who(unit_of_work, sign_in(unit_of_work))
    assert principal is not None
    assert (principal.person_email, principal.person_name, principal.roles) == ("eve@acme.example", "Eve Example", ("employee",))
    assert actions(unit_of_work) == ["person.added", "person.identity_linked", "person.roles_changed", "session.started"]


def test_only_a_keyed_hash_of_the_cookie_is_kept(unit_of_work: UnitsOfWork) -> None:
    cookie = sign_in(unit_of_work, id_token=Secret("header.claims.signature"))
    with unit_of_work.reading() as session:
        row = session.execute(sa.text("SELECT * FROM sessions")).one()
    assert cookie.reveal() not in str(row)
    assert "claims" not in str(row)
    assert row.hash == unit_of_work.box.fingerprint("session", cookie.reveal())


@pytest.mark.one_database
def test_the_person_is_known_by_issuer_and_subject_not_by_address(unit_of_work: UnitsOfWork) -> None:
    first = who(unit_of_work, sign_in(unit_of_work))
    renamed = who(unit_of_work, sign_in(unit_of_work, replace(EVE, email="eve.married@elsewhere.example", email_verified=False)))
    assert first is not None
    assert renamed is not None
    assert renamed.person_id == first.person_id
    assert renamed.person_email == "eve@acme.example"


def test_an_address_that_was_given_to_somebody_else_opens_nothing(unit_of_work: UnitsOfWork) -> None:
    sign_in(unit_of_work)
    with pytest.raises(NotAllowed, match="another account"):
        sign_in(unit_of_work, replace(EVE, subject="sub-new-eve"))
    with unit_of_work.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Identity)) == 1


@pytest.mark.one_database
def test_the_same_subject_of_another_issuer_is_somebody_else(unit_of_work: UnitsOfWork) -> None:
    sign_in(unit_of_work)
    with pytest.raises(NotAllowed, match="not in a domain"):
        sign_in(unit_of_work, replace(EVE, issuer="https://evil.example", email="eve@evil.example"))


@pytest.mark.one_database
def test_who_has_no_role_leaves_nothing_behind(unit_of_work: UnitsOfWork) -> None:
    strict = SignInPolicy("groups", {Role.ADMIN: ["ops"]}, ["acme.example"])
    with pytest.raises(NotAllowed, match="ops"), unit_of_work(WEB) as uow:
        service.sign_in(uow, EVE, strict)
    with unit_of_work.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Person)) == 0


def test_a_session_ends_by_idling_and_by_age(unit_of_work: UnitsOfWork) -> None:
    with freeze_time("2026-03-10 09:00", tick=False) as clock:
        cookie = sign_in(unit_of_work)
        clock.tick(rules.IDLE - timedelta(seconds=1))
        principal = who(unit_of_work, cookie)
        assert principal is not None
        clock.tick(timedelta(seconds=1))
        assert who(unit_of_work, cookie) is None

        busy = sign_in(unit_of_work)
        for _ in range(24 * 2 - 1):
            principal = who(unit_of_work, busy)
            assert principal is not None
            with unit_of_work(WEB) as uow:
                service.touch(uow, principal.id)
            clock.tick(timedelta(minutes=15))
        clock.tick(timedelta(minutes=14, seconds=59))
        assert who(unit_of_work, busy) is not None
        clock.tick(timedelta(seconds=1))
        assert who(unit_of_work, busy) is None


def test_signing_in_again_ends_the_session_that_the_browser_had(unit_of_work: UnitsOfWork) -> None:
    old = sign_in(unit_of_work)
    before = who(unit_of_work, old)
    assert before is not None
    new = sign_in(unit_of_work, replaces=before.id)
    assert who(unit_of_work, old) is None
    assert who(unit_of_work, new) is not None


@pytest.mark.one_database
def test_signing_out_ends_one_session_only(unit_of_work: UnitsOfWork) -> None:
    one, other = sign_in(unit_of_work), sign_in(unit_of_work)
    principal = who(unit_of_work, one)
    assert principal is not None
    with unit_of_work(WEB) as uow:
        service.sign_out(uow, principal.id)
    assert who(unit_of_work, one) is None
    assert who(unit_of_work, other) is not None


def test_a_demotion_reaches_sessions_that_live(unit_of_work: UnitsOfWork) -> None:
    cookie = sign_in(unit_of_work, replace(EVE, role_values=("ops",)))
    admin = who(unit_of_work, cookie)
    assert admin is not None
    assert admin.may("audit:read")
    sign_in(unit_of_work)  # in another browser, after the group was taken away
    demoted = who(unit_of_work, cookie)
    assert demoted is not None
    assert not demoted.may("audit:read")


@pytest.mark.one_database
def test_a_promotion_needs_a_new_sign_in(unit_of_work: UnitsOfWork) -> None:
    cookie = sign_in(unit_of_work)
    sign_in(unit_of_work, replace(EVE, role_values=("ops",)))
    principal = who(unit_of_work, cookie)
    assert principal is not None
    assert not principal.may("audit:read")


@pytest.mark.one_database
def test_who_leaves_is_out_at_once_and_stays_out(unit_of_work: UnitsOfWork) -> None:
    cookie = sign_in(unit_of_work)
    principal = who(unit_of_work, cookie)
    assert principal is not None
    with unit_of_work(WEB) as uow:
        person = uow.session.get_one(Person, principal.person_id)
        people.contain(uow, person)
        counts = service.end_everything(uow, person.id)
    assert (counts["sessions"], counts["tokens"]) == (1, 0)
    assert who(unit_of_work, cookie) is None
    with pytest.raises(NotAllowed, match="access here has ended"):
        sign_in(unit_of_work)
    with pytest.raises(NotAllowed, match="access here has ended"):
        sign_in(unit_of_work, replace(EVE, issuer="https://other.example"))


def test_the_word_of_the_provider_ends_the_sign_in_it_names(unit_of_work: UnitsOfWork) -> None:
    laptop, phone = sign_in(unit_of_work), sign_in(unit_of_work, replace(EVE, sid="sid-2"))

    def tell(token_id: str, **which: str | None) -> int:
        with unit_of_work(WEB) as uow:
            named = {"sid": None, "subject": None} | which
            return service.end_by_provider(uow, EVE.issuer, token_id=token_id, good_until=timedelta(minutes=3), **named)

    assert tell("t-1", sid="sid-1") == 1
    assert who(unit_of_work, laptop) is None
    assert who(unit_of_work, phone) is not None
    with pytest.raises(Conflict):
        tell("t-1", sid="sid-2")
    assert tell("t-2", subject="somebody else") == 0
    assert tell("t-3", subject=EVE.subject) == 1
    assert who(unit_of_work, phone) is None


def test_another_issuer_cannot_end_anything(unit_of_work: UnitsOfWork) -> None:
    cookie = sign_in(unit_of_work)
    with unit_of_work(WEB) as uow:
        ended = service.end_by_provider(
            uow, "https://evil.example", sid="sid-1", subject=EVE.subject, token_id="1", good_until=timedelta(minutes=3)
        )
    assert ended == 0
    assert who(unit_of_work, cookie) is not None


def test_a_setup_link_signs_in_once(unit_of_work: UnitsOfWork) -> None:
    with unit_of_work(WEB) as uow:
        link = service.create_setup_link(uow, "Ada@acme.example", "Ada Admin")
    with unit_of_work(WEB) as uow:
        cookie = service.use_setup_link(uow, link.reveal())
    principal = who(unit_of_work, cookie)
    assert principal is not None
    assert (principal.person_email, principal.roles) == ("ada@acme.example", ("admin",))
    with pytest.raises(Gone), unit_of_work(WEB) as uow:
        service.use_setup_link(uow, link.reveal())
    assert "setup_link.used" in actions(unit_of_work)
    with unit_of_work.reading() as session:
        assert link.reveal() not in str(session.execute(sa.select(SetupLink.__table__)).all())


@pytest.mark.parametrize("value", ["", "govl_short", "x" * 100])
def test_a_link_that_never_was_is_refused(unit_of_work: UnitsOfWork, value: str) -> None:
    with pytest.raises(Gone), unit_of_work(WEB) as uow:
        service.use_setup_link(uow, value)


@pytest.mark.one_database
def test_a_setup_link_is_good_for_a_quarter_of_an_hour(unit_of_work: UnitsOfWork) -> None:
    with freeze_time("2026-03-10 09:00", tick=False) as clock:
        with unit_of_work(WEB) as uow:
            link = service.create_setup_link(uow, "ada@acme.example")
        clock.tick(rules.SETUP_LINK_LIFE)
        with pytest.raises(Gone), unit_of_work(WEB) as uow:
            service.use_setup_link(uow, link.reveal())


def test_what_a_sign_in_under_way_needs_is_told_once_and_to_its_own_browser(unit_of_work: UnitsOfWork) -> None:
    with unit_of_work(WEB) as uow:
        service.remember_sign_in(uow, "state-1", "browser-1", {"nonce": "n-0S6_WzA2Mj", "verifier": "v" * 43, "next": "/keys"})
    with unit_of_work.reading() as session:
        assert "n-0S6_WzA2Mj" not in str(session.execute(sa.select(SignIn.__table__)).all())
    for state, browser in (("state-2", "browser-1"), ("state-1", "browser-2"), ("state-1", None), ("", "browser-1")):
        with pytest.raises(NotAllowed), unit_of_work(WEB) as uow:
            service.recall_sign_in(uow, state, browser)
    with unit_of_work(WEB) as uow:
        assert service.recall_sign_in(uow, "state-1", "browser-1")["next"] == "/keys"
    with pytest.raises(NotAllowed), unit_of_work(WEB) as uow:
        service.recall_sign_in(uow, "state-1", "browser-1")


@pytest.mark.one_database
def test_a_sign_in_under_way_is_forgotten(unit_of_work: UnitsOfWork) -> None:
    with freeze_time("2026-03-10 09:00", tick=False) as clock:
        with unit_of_work(WEB) as uow:
            service.remember_sign_in(uow, "state-1", "browser-1", {})
        clock.tick(rules.SIGN_IN_LIFE)
        with pytest.raises(NotAllowed), unit_of_work(WEB) as uow:
            service.recall_sign_in(uow, "state-1", "browser-1")
        clock.tick(timedelta(seconds=1))
        with unit_of_work(WEB) as uow:
            assert service.forget_old(uow)["sign_ins"] == 1


@pytest.mark.one_database
def test_old_sessions_are_forgotten_and_new_ones_stay(unit_of_work: UnitsOfWork) -> None:
    with freeze_time("2026-03-10 09:00", tick=False) as clock:
        sign_in(unit_of_work)
        clock.tick(timedelta(days=91))
        cookie = sign_in(unit_of_work)
        with unit_of_work(WEB) as uow:
            assert service.forget_old(uow)["sessions"] == 1
        assert who(unit_of_work, cookie) is not None


@pytest.mark.one_database
def test_noise_in_the_cookie_asks_the_database_nothing(unit_of_work: UnitsOfWork) -> None:
    asked: list[str] = []
    sa.event.listen(unit_of_work.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    good = new_token("govs").reveal()
    for noise in (
        "",
        "x",
        "' OR 1=1 --",
        good[:-1],
        good[:-1] + ("0" if good[-1] != "0" else "1"),
        "gov_" + good[5:],
        good + "\x00",
    ):
        with unit_of_work.reading() as session:
            assert queries.principal_of_session(session, unit_of_work.box, noise, utcnow()) is None
    assert asked == []
    with unit_of_work.reading() as session:
        assert queries.principal_of_session(session, unit_of_work.box, good, utcnow()) is None
    assert any("sessions" in statement for statement in asked)


@pytest.mark.one_database
def test_the_reports_of_a_manager_at_any_depth_and_in_circles(unit_of_work: UnitsOfWork) -> None:
    from datetime import date

    from govern.people.models import Assignment

    with unit_of_work(WEB) as uow:
        ids = {name: people.ensure(uow, f"{name}@acme.example", name).id for name in "abcdef"}
        for n, (person, manager, since, until) in enumerate(
            [
                ("b", "a", date(2026, 1, 1), None),
                ("c", "b", date(2026, 1, 1), None),
                ("a", "c", date(2026, 1, 1), None),  # a circle in the data
                ("d", "a", date(2026, 1, 1), date(2026, 3, 1)),  # over
                ("e", "a", date(2026, 4, 1), None),  # not yet
            ]
        ):
            row = Assignment(id=f"asg_{n}", person_id=ids[person], manager_id=ids[manager], from_on=since, until_on=until)
            uow.session.add(row)
    with unit_of_work.reading() as session:
        assert queries.reports_of(session, ids["a"], date(2026, 3, 1)) == {ids["b"], ids["c"]}
        assert queries.reports_of(session, ids["a"], date(2026, 2, 28)) == {ids["b"], ids["c"], ids["d"]}
        assert queries.reports_of(session, ids["a"], date(2026, 4, 1)) == {ids["b"], ids["c"], ids["e"]}
        assert queries.reports_of(session, ids["f"], date(2026, 3, 1)) == frozenset()


def test_a_person_who_is_gone_from_the_table_of_sessions_keeps_none(unit_of_work: UnitsOfWork) -> None:
    """Leaving alone (without ending the sessions) already shuts the door: the state is read at each request."""
    cookie = sign_in(unit_of_work)
    with unit_of_work(WEB) as uow:
        person = uow.session.scalars(sa.select(Person)).one()
        person.state = PersonState.LEAVING
    assert who(unit_of_work, cookie) is None
    with unit_of_work.reading() as session:
        assert session.scalars(sa.select(Session)).one().ended_at is None
