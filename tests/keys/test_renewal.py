"""Reminders before a key expires, each once and by real mail; renewal in the old one's place."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from freezegun.api import FrozenDateTimeFactory

from govern.core.errors import Conflict, InvalidInput, PolicyViolation
from govern.keys import queries, renewal, rules, sharing
from govern.keys import service as keys
from govern.keys.models import Key, KeyKind, KeyState
from govern.notices import queries as notices
from govern.notices.models import DeliveryState, Notice
from govern.people import directory
from govern.settings import Mail, Settings
from govern.worker.runner import run_job
from tests.given import ADA, ADMIN, EVE, MAX, OLA, World
from tests.peers.mail import MailSink, mail_sink

DAY = timedelta(days=1)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)

STEPS = [
    # days that it lives, days that it has lived, the step
    (90, 75, None),
    (90, 76, 14),
    (90, 86, 14),
    (90, 87, 3),
    (90, 89, 1),
    (90, 90, None),
    (14, 0, None),  # was over when the key was made
    (14, 11, 3),
    (2, 0.5, None),
    (2, 1, 1),
    (1, 0.5, None),
]


@pytest.mark.parametrize(("lives", "lived", "step"), STEPS)
def test_the_nearest_step_counts_and_none_that_was_over_at_the_start(lives: float, lived: float, step: int | None) -> None:
    assert rules.reminder_step((14, 3, 1), NOON, NOON + lives * DAY, NOON + lived * DAY) == step
    assert rules.reminder_step((), NOON, NOON + lives * DAY, NOON + lived * DAY) is None


@pytest.fixture
def mails() -> Iterator[MailSink]:
    with mail_sink() as sink:
        yield sink


@pytest.fixture
def settings(settings: Settings, mails: MailSink) -> Settings:
    mail = Mail(host=mails.host, port=mails.port, security="none", sender="govern@acme.example", admins=("it@acme.example",))
    return settings.model_copy(update={"mail": mail})


@pytest.fixture
def known(clock: FrozenDateTimeFactory, world: World) -> World:
    return world.synced()


def remind(world: World) -> None:
    run_job(world.govern, "keys.remind")
    world.drain()


def opened(world: World, key: Key) -> Key:
    world.value(key)
    return key


def told(mails: MailSink) -> list[tuple[str, str]]:
    return [(str(mail["To"]), str(mail["Subject"])) for mail in mails.messages]


def test_an_owner_is_reminded_once_per_step_with_a_receipt_and_renewing_ends_it(
    known: World, clock: FrozenDateTimeFactory, mails: MailSink
) -> None:
    key = opened(known, known.key(EVE))  # lives 30 days
    remind(known)
    assert told(mails) == []
    clock.move_to(NOON + 16 * DAY)
    for _ in range(3):
        remind(known)
    clock.move_to(NOON + 20 * DAY)
    remind(known)
    assert told(mails) == [(EVE, "Your key “laptop” expires in 14 days")]
    text = mails.messages[0].get_body(("plain",))
    assert text is not None
    assert f"Renew it: http://govern.test/keys/{key.id}" in text.get_content().splitlines()
    with known.govern.unit_of_work.reading() as session:
        [(notice, delivery)] = notices.about(session, [key.id])
    assert (notice.kind, delivery.state, delivery.receipt) == ("key.expiring", DeliveryState.SENT, "250 Kept")
    clock.move_to(NOON + 27 * DAY)
    mails.refuse_next("451 Not now")
    remind(known)  # it is put off, and meanwhile the key is renewed
    before = known.version(key)
    with known.govern.unit_of_work(ADMIN) as uow:
        renewal.renew(uow, key.id, overlap=DAY, lifetime=60 * DAY)
    known.drain()
    after = known.version(key)
    assert (after.number, after.state, after.lifetime_seconds) == (before.number + 1, KeyState.LIVE, 60 * 86_400)
    assert after.expires_at is not None
    assert abs(after.expires_at - (NOON + 87 * DAY)) < timedelta(minutes=1)
    known.value(key)
    for day in (28, 29, 30, 40):
        clock.move_to(NOON + day * DAY)
        run_job(known.govern, "keys.rotate")
        run_job(known.govern, "keys.expire")
        remind(known)
    assert len(mails.messages) == 1
    with known.govern.unit_of_work.reading() as session:
        assert [sent.state for _, sent in notices.about(session, [key.id])] == [DeliveryState.DROPPED, DeliveryState.SENT]
        assert [each.id for each in queries.open_versions_of(session, key.id)] == [after.id]
    clock.move_to(NOON + 73 * DAY)
    remind(known)
    assert told(mails)[1:] == [(EVE, "Your key “laptop” expires in 14 days")]
    assert known.audited("key.renewal") == ["key.renewal_requested"]
    assert known.audited("notice.") == ["notice.told", "notice.delivered", "notice.told", "notice.told", "notice.delivered"]


@pytest.mark.one_database
def test_a_shared_key_reminds_everybody_who_may_open_it_and_the_manager_of_an_owner_who_left(
    known: World, clock: FrozenDateTimeFactory, mails: MailSink
) -> None:
    owner, project = known.person(EVE), known.project()
    with known.govern.unit_of_work(ADMIN) as uow:
        key = keys.request_key(
            uow, owner.id, project.id, name="batch\nBcc: x@evil.example".replace("\n", " "), lifetime=30 * DAY,
            most_per_person=5, kind=KeyKind.SHARED,
        )  # fmt: skip
        sharing.entitle(uow, key.id, known.person(OLA).id)
        row = directory.draft(uow, f"email,manager\n{EVE},{MAX}\n")
        directory.carry_out(uow, row.id)
    known.drain()
    for who in (EVE, OLA):
        known.value(key, as_person(known, who))
    clock.move_to(NOON + 16 * DAY)
    remind(known)
    assert sorted(to for to, _ in told(mails)) == [EVE, OLA]
    known.remove(EVE)  # its value is rotated, because she has seen it
    known.finish(clock)
    known.value(key, as_person(known, OLA))
    with known.govern.unit_of_work.reading() as session:
        expires_at = queries.newest_version(session, key.id).expires_at
    assert expires_at is not None
    clock.move_to(NOON + 18 * DAY)
    run_job(known.govern, "keys.rotate")
    known.drain()
    clock.move_to(expires_at - 2 * DAY)
    remind(known)
    assert sorted(to for to, _ in told(mails)[2:]) == [MAX, OLA]
    with pytest.raises(PolicyViolation, match="has left"), known.govern.unit_of_work(ADMIN) as uow:
        renewal.renew(uow, key.id, overlap=DAY)


def as_person(world: World, email: str):
    from govern.core.uow import Actor, ActorKind

    person = world.person(email)
    return Actor(ActorKind.PERSON, person.id, person.name)


def test_renewing_keeps_to_the_rules_and_a_key_that_rotates_by_itself_is_not_reminded_of(
    known: World, clock: FrozenDateTimeFactory, mails: MailSink
) -> None:
    key = opened(known, known.key(EVE))
    for days in (0, 366):
        with pytest.raises(InvalidInput), known.govern.unit_of_work(ADMIN) as uow:
            renewal.renew(uow, key.id, overlap=DAY, lifetime=days * DAY)
    with known.govern.unit_of_work(ADMIN) as uow:
        renewal.renew(uow, key.id, overlap=DAY)
    assert known.version(key).lifetime_seconds == 30 * 86_400
    with pytest.raises(Conflict), known.govern.unit_of_work(ADMIN) as uow:
        renewal.renew(uow, key.id, overlap=DAY)
    with known.govern.unit_of_work(ADMIN) as uow:
        person, project = known.person(ADA), known.project()
        keys.request_key(uow, person.id, project.id, name="nightly", lifetime=30 * DAY, most_per_person=5, rotate_every_days=25)
    known.drain()
    with known.govern.unit_of_work.reading() as session:
        [nightly] = queries.find_keys(session, person_id=known.person(ADA).id)
    opened(known, nightly)
    clock.move_to(NOON + 17 * DAY)
    remind(known)
    with known.govern.unit_of_work.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Notice).where(Notice.subject_id == nightly.id)) == 0
