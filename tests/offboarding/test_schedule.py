"""Removals on a day that is set: once, with notice before, and never many without a yes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa
from freezegun.api import FrozenDateTimeFactory

from govern.approvals import service as approvals
from govern.approvals.models import Approval, ApprovalState
from govern.bootstrap import ACTS
from govern.core.uow import Actor, ActorKind
from govern.findings import queries as findings
from govern.identity import service as identity
from govern.identity.permissions import Role
from govern.identity.rules import ProvenIdentity, SignInPolicy
from govern.offboarding import rules
from govern.offboarding.models import Offboarding, OffboardingState
from govern.people import directory
from govern.people.models import PersonState
from govern.settings import Mail, Settings
from govern.worker.runner import run_job
from tests.given import ADA, ADMIN, EVE, MAX, OLA, World
from tests.peers.mail import MailSink, mail_sink

END = date(2026, 3, 20)
POLICY = SignInPolicy("groups", {Role.ADMIN: ["admins"]}, ["acme.example"])


@pytest.fixture
def mails() -> Iterator[MailSink]:
    with mail_sink() as sink:
        yield sink


@pytest.fixture
def settings(settings: Settings, mails: MailSink) -> Settings:
    mail = Mail(host=mails.host, port=mails.port, security="none", sender="govern@acme.example", admins=("it@acme.example",))
    return settings.model_copy(update={"mail": mail})


def ends(world: World, email: str, on: date | None) -> None:
    with world.govern.unit_of_work(ADMIN) as uow:
        directory.set_end(uow, email, on, reason="the contract")


def at(clock: FrozenDateTimeFactory, day: date, world: World) -> None:
    """The timetable on that day, and again a little later."""
    for minutes in (1, 20):
        clock.move_to(datetime(day.year, day.month, day.day, 0, minutes, tzinfo=UTC))
        run_job(world.govern, "offboarding.schedule")
        world.drain()


def removals(world: World) -> list[Offboarding]:
    with world.govern.unit_of_work.reading() as session:
        return list(session.scalars(sa.select(Offboarding).order_by(Offboarding.email)))


def asked(world: World) -> list[Approval]:
    with world.govern.unit_of_work.reading() as session:
        return list(session.scalars(sa.select(Approval).order_by(Approval.id)))


@pytest.mark.parametrize(
    ("due", "everybody", "too_many"),
    [(5, 10, False), (6, 10, True), (6, 60, False), (7, 60, True), (10, 100, False), (11, 100, True)],
)
def test_more_than_five_and_a_tenth_are_too_many(due: int, everybody: int, too_many: bool) -> None:
    assert rules.are_too_many(due, everybody, least=5, percent=10) is too_many


@pytest.mark.one_database
def test_a_contractors_removal_starts_on_the_day_once_after_notice(
    known: World, clock: FrozenDateTimeFactory, mails: MailSink
) -> None:
    key = known.key(EVE)
    with known.govern.unit_of_work(ADMIN) as uow:
        row = directory.draft(uow, f"email,manager,ends_on\n{EVE},{MAX},{END}\n")
        directory.carry_out(uow, row.id)
    ends(known, OLA, END + timedelta(days=1))
    for back in (8, 7, 6, 1):
        at(clock, END - timedelta(days=back), known)
    ends(known, OLA, None)
    told = [(mail["To"], mail["Subject"]) for mail in mails.messages]
    eve = "Eve Employee is with the company until 2026-03-19"
    assert sorted(told[:2]) == sorted([(MAX, eve), ("it@acme.example", eve)])
    assert sorted(to for to, subject in told if subject == eve) == [*["it@acme.example"] * 2, *[MAX] * 2]
    assert [to for to, subject in told if subject != eve] == ["it@acme.example"]  # Ola has no manager, and was told of once
    text = mails.messages[0].get_body(("plain",))
    assert text is not None
    assert f"See the person: http://govern.test/people/{known.person(EVE).id}" in text.get_content().splitlines()
    assert removals(known) == []
    at(clock, END, known)
    [removal] = removals(known)
    assert (removal.email, removal.reason) == (EVE, "Their end date, 2026-03-20, has come.")
    known.finish(clock)
    at(clock, END + timedelta(days=1), known)
    [removal] = removals(known)
    assert removal.state is OffboardingState.DONE
    assert known.person(EVE).state is PersonState.LEFT
    assert known.person(OLA).state is PersonState.ACTIVE
    assert known.reload(key).ended_at is not None
    assert len(mails.messages) == len(told)
    assert known.audit_holds()


def test_many_at_once_are_asked_for_and_removed_after_a_yes_only(known: World, clock: FrozenDateTimeFactory) -> None:
    crowd = [f"temp{number}@acme.example" for number in range(6)]
    with known.govern.unit_of_work(ADMIN) as uow:
        row = directory.draft(uow, "email,ends_on\n" + "".join(f"{each},{END}\n" for each in crowd))
        directory.carry_out(uow, row.id)
        identity.sign_in(uow, ProvenIdentity("https://idp.example", "sub-ada", None, ADA, True, "Ada", ("admins",)), POLICY)
    ada = known.person(ADA)
    at(clock, END, known)
    assert removals(known) == []
    [approval] = asked(known)
    assert (approval.state, len(approval.facts["people"])) == (ApprovalState.PENDING, 6)
    assert "Start 6 removals whose end date has come: temp0@acme.example" in approval.summary
    assert len(findings_of(known)) == 0  # nobody of them has a seat; those who had one would show as leavers
    decider = Actor(ActorKind.PERSON, ada.id, ada.name)
    with known.govern.unit_of_work(decider) as uow:
        approvals.decide(uow, approval.id, by=ada.id, approve=False, reason="the file was wrong", acts=ACTS)
    at(clock, END + timedelta(days=1), known)
    assert (len(asked(known)), removals(known)) == (1, [])  # a no holds
    with known.govern.unit_of_work(ADMIN) as uow:
        row = directory.draft(uow, f"email,ends_on\nlate@acme.example,{END}\n")
        directory.carry_out(uow, row.id)
    at(clock, END + timedelta(days=2), known)
    [_, approval] = asked(known)
    ends(known, crowd[0], date(2026, 9, 1))
    with known.govern.unit_of_work(decider) as uow:
        approvals.decide(uow, approval.id, by=ada.id, approve=True, reason="they have all left", acts=ACTS)
    assert [removal.email for removal in removals(known)] == ["late@acme.example", *crowd[1:]]
    at(clock, END + timedelta(days=3), known)
    assert len(removals(known)) == 6
    assert len(asked(known)) == 2


def findings_of(world: World) -> list[str]:
    run_job(world.govern, "findings.evaluate")
    with world.govern.unit_of_work.reading() as session:
        return [row.label for row in findings.find(session, type_="leaver_alive")]


def test_the_last_owner_is_not_removed_by_a_date_and_shows_among_the_findings(known: World, clock: FrozenDateTimeFactory) -> None:
    ends(known, ADA, END)
    at(clock, END, known)
    assert removals(known) == []
    assert known.person(ADA).state is PersonState.ACTIVE
    assert findings_of(known) == [ADA]
