"""Tell people: fan an alert out to its addresses, then deliver each one, with a receipt.

`alert.announce` (subject: the alert) makes one delivery per address; `alert.deliver` (subject: the delivery) sends it.
Sending is at least once: a worker that dies between the send and its record sends again, with the same message id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from govern.audit import service as audit
from govern.budgets.messages import compose
from govern.budgets.models import Alert, Budget, Channel, Delivery, DeliveryState, Note
from govern.core import outbox
from govern.core.crashpoints import crashpoint
from govern.core.crypto import Secret, redact
from govern.core.errors import ProviderError, Rejected, Throttled, Unavailable
from govern.core.outbox import Claim, Later
from govern.core.uow import UnitOfWork, UnitsOfWork
from govern.ports import Message, Notifier
from govern.usage.bulk import insert_one

WAITS: Final = tuple(
    timedelta(seconds=seconds) for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
)  # fmt: skip
"""Between the attempts: ten in all, over about 75 hours. Then the delivery is given up, and shown."""


@dataclass(frozen=True)
class Routes:
    """Who is told when a budget names nobody, and where links lead. The webhook's URL and secret never reach a row."""

    web_url: str
    admins: tuple[str, ...] = ()
    webhook_url: str | None = field(default=None, repr=False)
    webhook_secret: Secret | None = None


@dataclass(frozen=True)
class Announce:
    """`alert.announce`: one delivery per address."""

    unit_of_work: UnitsOfWork
    routes: Routes

    def __call__(self, claim: Claim) -> Later | None:
        note = Note(claim.payload["note"])
        with self.unit_of_work(claim.actor) as uow:
            alert = uow.session.get_one(Alert, claim.payload["alert"])
            budget = uow.session.get_one(Budget, alert.budget_id)
            for address in budget.notify or self.routes.admins:
                self._owe(uow, alert, note, Channel.EMAIL, address)
            if self.routes.webhook_url:
                self._owe(uow, alert, note, Channel.WEBHOOK, urlsplit(self.routes.webhook_url).netloc)
            outbox.settle(uow, claim)
        return None

    def _owe(self, uow: UnitOfWork, alert: Alert, note: Note, channel: Channel, address: str) -> None:
        row = {
            "id": uow.new_id("dlv"), "alert_id": alert.id, "note": note, "channel": channel, "address": address[:320],
            "state": DeliveryState.PENDING, "attempts": 0, "created_at": uow.now,
        }  # fmt: skip
        if insert_one(uow.session, Delivery, row):
            outbox.enqueue(uow, "alert.deliver", str(row["id"]))


@dataclass(frozen=True)
class Deliver:
    """`alert.deliver`: send outside any transaction, then record the receipt and settle in one."""

    unit_of_work: UnitsOfWork
    notifiers: Mapping[Channel, Notifier]
    routes: Routes

    def __call__(self, claim: Claim) -> Later | None:
        with self.unit_of_work.reading() as session:
            delivery = session.get_one(Delivery, claim.subject_id)
            message = self._message(session, delivery)
        if delivery.state is not DeliveryState.PENDING:
            with self.unit_of_work(claim.actor) as uow:
                outbox.settle(uow, claim)
            return None
        crashpoint("alert.deliver.before_send")
        try:
            receipt = self._send(delivery, message)
        except ProviderError as error:
            return self._record_failure(claim, error)
        crashpoint("alert.deliver.sent")
        with self.unit_of_work(claim.actor) as uow:
            outbox.settle(uow, claim)
            row = uow.session.get_one(Delivery, delivery.id)
            row.state, row.receipt, row.problem, row.settled_at = DeliveryState.SENT, redact(receipt)[:300], None, uow.now
            row.attempts += 1
            audit.record(
                uow, "alert.delivered", ("alerts", row.alert_id), delivery=row.id, note=row.note, channel=row.channel,
                address=row.address, receipt=row.receipt,
            )  # fmt: skip
            crashpoint("alert.deliver.before_commit")
        return None

    def _message(self, session: Session, delivery: Delivery) -> Message:
        alert = session.get_one(Alert, delivery.alert_id)
        budget = session.get_one(Budget, alert.budget_id)
        return compose(alert, budget, delivery.note, message_id=delivery.id, web_url=self.routes.web_url)

    def _send(self, delivery: Delivery, message: Message) -> str:
        notifier = self.notifiers.get(delivery.channel)
        if notifier is None:
            raise Rejected(f"This service is not set up to send by {delivery.channel.value}.")
        if delivery.channel is Channel.WEBHOOK:
            if not self.routes.webhook_url:
                raise Rejected("No webhook is configured any more.")
            return notifier.send(self.routes.webhook_url, message, secret=self.routes.webhook_secret)
        return notifier.send(delivery.address, message)

    def _record_failure(self, claim: Claim, error: ProviderError) -> Later | None:
        """Note the attempt; try again later, or give up where that is of no use."""
        with self.unit_of_work(claim.actor) as uow:
            row = uow.session.get_one(Delivery, claim.subject_id, with_for_update=True)
            row.attempts += 1
            row.problem = redact(error.sentence)[:300]
            if isinstance(error, Unavailable | Throttled) and row.attempts <= len(WAITS):
                wait = WAITS[row.attempts - 1]
                if isinstance(error, Throttled) and error.retry_after:
                    wait = max(wait, timedelta(seconds=min(error.retry_after, WAITS[-1].total_seconds())))
                outbox.extend(uow, claim)  # only the latest attempt may count
                return Later(wait.total_seconds(), row.problem)
            row.state, row.settled_at = DeliveryState.FAILED, uow.now
            outbox.bury(uow, claim, row.problem)
            audit.record(
                uow, "alert.not_delivered", ("alerts", row.alert_id), delivery=row.id, note=row.note, channel=row.channel,
                address=row.address, problem=row.problem,
            )  # fmt: skip
        return None
