"""From crossing to mailbox: fanned out, delivered with receipts, retried, given up, sent again, and after a crash."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from govern.audit.models import AuditEvent
from govern.bootstrap import make_notifiers
from govern.budgets import queries, service
from govern.budgets.effects import Deliver
from govern.budgets.models import Delivery
from govern.core import outbox
from govern.core.crypto import Secret
from govern.core.errors import Conflict, InvalidInput
from govern.core.lanes import Lane
from govern.core.outbox import ClaimLost, Effect, EffectState
from govern.notices.effects import WAITS
from govern.notices.models import Channel, DeliveryState
from govern.settings import Mail, Settings, Webhook
from tests.budgets.conftest import Money
from tests.given import ADMIN
from tests.peers.mail import MailSink, mail_sink
from tests.peers.webhooks import WebhookSink, verify, webhook_sink

HUNDRED = Decimal(100)
SECRET = Secret("whsec_" + base64.b64encode(b"only for tests, 32 bytes long...").decode())
SUBJECT = "Search has used 85 % of its March budget"


@pytest.fixture
def mails() -> Iterator[MailSink]:
    with mail_sink() as sink:
        yield sink


@pytest.fixture
def hooks() -> Iterator[WebhookSink]:
    with webhook_sink() as sink:
        yield sink


@pytest.fixture
def settings(settings: Settings, mails: MailSink, hooks: WebhookSink) -> Settings:
    mail = Mail(host=mails.host, port=mails.port, security="none", sender="govern@acme.example", admins=("fin@acme.example",))
    hook = Webhook(url=hooks.url + "/path-is-secret", secret=SECRET, allow_private=True)
    return settings.model_copy(update={"mail": mail, "webhook": hook})


def crossed(money: Money, **more: object) -> None:
    money.budget(HUNDRED, [80], **more)
    money.bills(85)
    assert money.evaluate()["alerts"] == 1


def deliveries(money: Money) -> dict[str, Delivery]:
    with money.govern.unit_of_work.reading() as session:
        return {row.address: row for row in session.scalars(sa.select(Delivery))}


def open_effects(money: Money) -> list[str]:
    with money.govern.unit_of_work.reading() as session:
        return list(session.scalars(sa.select(Effect.kind).where(Effect.state == EffectState.READY)))


@pytest.mark.one_database
def test_an_alert_reaches_the_admins_and_the_webhook_exactly_once(money: Money, mails: MailSink, hooks: WebhookSink) -> None:
    crossed(money)
    for _ in range(3):
        money.world.drain()
        money.evaluate()
    (mail,) = mails.messages
    (hook,) = hooks.received
    assert (mail["Subject"], mail["To"]) == (SUBJECT, "fin@acme.example")
    verify(hook, SECRET.reveal(), now=float(hook.header("webhook-timestamp") or 0))
    assert hook.json["data"]["spent_usd"] == "85.000000000"
    rows = deliveries(money)
    assert {row.channel: row.state for row in rows.values()} == {
        Channel.EMAIL: DeliveryState.SENT,
        Channel.WEBHOOK: DeliveryState.SENT,
    }
    assert rows["fin@acme.example"].receipt == "250 Kept"
    assert mail["Message-ID"] == f"<{rows['fin@acme.example'].id}@acme.example>"
    assert hook.header("webhook-id") == rows[hooks.url.split("/")[2]].id


@pytest.mark.one_database
def test_a_budgets_own_addresses_come_first_and_each_has_its_receipt(money: Money, mails: MailSink) -> None:
    crossed(money, notify=["a@acme.example", "b@acme.example"])
    mails.refuse_next("550 Nobody here")
    money.world.drain()
    rows = {address: row for address, row in deliveries(money).items() if row.channel is Channel.EMAIL}
    assert rows.keys() == {"a@acme.example", "b@acme.example"}
    # Both were owed at the same instant, so either may have met the refusal; the other one was sent.
    [refused] = [address for address, row in rows.items() if row.state is DeliveryState.FAILED]
    [sent] = [address for address, row in rows.items() if row.state is DeliveryState.SENT]
    assert "Nobody here" in (rows[refused].problem or "")
    assert [mail["To"] for mail in mails.messages] == [sent]


def test_a_delivery_is_tried_for_three_days_and_then_given_up_and_can_be_sent_again(money: Money, mails: MailSink) -> None:
    crossed(money)
    mails.refuse_next(*["451 Not now"] * 10)
    for attempt, wait in enumerate((*WAITS, timedelta()), 1):
        money.world.drain()
        assert mails.refused == attempt, "one attempt per wait"
        money.clock.tick(wait + timedelta(seconds=1))
    row = deliveries(money)["fin@acme.example"]
    assert (row.state, row.attempts) == (DeliveryState.FAILED, 10)
    assert timedelta(hours=74) < sum(WAITS, timedelta()) < timedelta(hours=77)
    assert open_effects(money) == []
    with money.govern.unit_of_work(ADMIN) as uow:
        service.send_again(uow, row.id)
    money.world.drain()
    assert [mail["Subject"] for mail in mails.messages] == [SUBJECT]
    assert deliveries(money)["fin@acme.example"].state is DeliveryState.SENT
    with money.govern.unit_of_work(ADMIN) as uow, pytest.raises(Conflict):
        service.send_again(uow, row.id)


@pytest.mark.one_database
def test_a_receiver_that_is_gone_is_not_asked_again(money: Money, hooks: WebhookSink) -> None:
    crossed(money)
    hooks.answer_next(410)
    money.world.drain()
    money.clock.tick(timedelta(days=2))
    money.world.drain()
    assert len(hooks.received) == 1
    assert deliveries(money)[hooks.url.split("/")[2]].state is DeliveryState.FAILED


@pytest.mark.one_database
def test_a_worker_that_dies_after_sending_sends_again_under_the_same_id(money: Money, mails: MailSink) -> None:
    """At least once: the receiver can tell, because the message id is the same."""
    crossed(money)
    deliver = money.govern.need_outside().effects["alert.deliver"]
    announce = money.govern.need_outside().effects["alert.announce"]
    _claim_and(money, "alert.announce", announce)
    with money.govern.unit_of_work(ADMIN) as uow:
        first = outbox.claim_next(uow, list(Lane), ["alert.deliver"])
    assert first is not None
    money.clock.tick(outbox.LEASE + timedelta(seconds=1))
    with money.govern.unit_of_work(ADMIN) as uow:
        second = outbox.claim_next(uow, list(Lane), ["alert.deliver"])
        while second is not None and second.subject_id != first.subject_id:
            second = outbox.claim_next(uow, list(Lane), ["alert.deliver"])
    assert second is not None
    with pytest.raises(ClaimLost):  # the frozen worker wakes up, sends, and may not record
        deliver(first)
    deliver(second)
    money.world.drain()
    ids = {mail["Message-ID"] for mail in mails.messages}
    assert len(ids) == 1
    assert deliveries(money)["fin@acme.example"].attempts == 1


def _claim_and(money: Money, kind: str, handler: outbox.Handler) -> None:
    with money.govern.unit_of_work(ADMIN) as uow:
        claim = outbox.claim_next(uow, list(Lane), [kind])
    assert claim is not None
    handler(claim)


@pytest.mark.one_database
def test_a_delivery_that_was_recorded_is_not_sent_twice(money: Money, mails: MailSink) -> None:
    crossed(money)
    money.world.drain()
    with money.govern.unit_of_work(ADMIN) as uow:
        outbox.enqueue(uow, "alert.deliver", deliveries(money)["fin@acme.example"].id)
    money.world.drain()
    assert len(mails.messages) == 1
    assert open_effects(money) == []


def test_a_channel_that_is_not_set_up_says_so(money: Money) -> None:
    crossed(money)
    effects = money.govern.need_outside().effects
    deliver = effects["alert.deliver"]
    assert isinstance(deliver, Deliver)
    _claim_and(money, "alert.announce", effects["alert.announce"])
    without = replace(deliver, notifiers={})
    _claim_and(money, "alert.deliver", without)
    _claim_and(money, "alert.deliver", without)
    assert {row.problem for row in deliveries(money).values()} == {
        "This service is not set up to send by email.",
        "This service is not set up to send by webhook.",
    }


@pytest.mark.one_database
def test_the_webhooks_url_is_in_no_row(money: Money, hooks: WebhookSink) -> None:
    crossed(money)
    hooks.answer_next(500)
    money.world.drain()
    with money.govern.unit_of_work.reading() as session:
        events = [str(event.facts) for event in session.scalars(sa.select(AuditEvent))]
        effects = [str((row.payload, row.last_error)) for row in session.scalars(sa.select(Effect))]
    kept = [*events, *effects, *(f"{row.address} {row.problem} {row.receipt}" for row in deliveries(money).values())]
    assert not any("path-is-secret" in text for text in kept)
    assert "path-is-secret" not in repr(money.govern.need_outside().effects["alert.announce"])


@pytest.mark.one_database
def test_a_correction_is_told_once_to_the_same_people(money: Money, mails: MailSink) -> None:
    crossed(money)
    money.world.drain()
    money.bills(79)
    for _ in range(2):
        money.evaluate()
        money.world.drain()
    assert [mail["Subject"] for mail in mails.messages] == [SUBJECT, "Correction: Search has used 79 % of its March budget"]


@pytest.mark.one_database
def test_an_alert_without_anybody_to_tell_stands_for_itself(money: Money) -> None:
    crossed(money)
    effects = money.govern.need_outside().effects
    announce = effects["alert.announce"]
    _claim_and(money, "alert.announce", replace(announce, routes=replace(announce.routes, admins=(), webhook_url=None)))  # type: ignore[type-var, attr-defined]
    with money.govern.unit_of_work.reading() as session:
        (alert,) = queries.find_alerts(session)
        assert queries.deliveries(session, [alert.id]) == {alert.id: []}
    assert open_effects(money) == []


@pytest.mark.parametrize("secret", [None, Secret("whsec_short")])
def test_a_webhook_without_a_good_secret_does_not_start(settings: Settings, secret: Secret | None) -> None:
    with pytest.raises(InvalidInput, match="signing secret"):
        make_notifiers(settings.model_copy(update={"webhook": Webhook(url="https://hooks.acme.example/x", secret=secret)}))
