"""Deliver what is told, with a receipt: outside any transaction, then the receipt and the settling in one.

Sending is at least once: a worker that dies between the send and its record sends again, with the same message id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Generic, TypeVar

from sqlalchemy.orm import Session

from govern.audit import service as audit
from govern.core import outbox
from govern.core.crashpoints import crashpoint
from govern.core.crypto import Secret, redact
from govern.core.errors import ProviderError, Rejected, Throttled, Unavailable
from govern.core.outbox import Claim, Later
from govern.core.uow import UnitsOfWork
from govern.notices.models import Channel, DeliveryState, Notice, NoticeDelivery, Sending
from govern.notices.words import Words, message
from govern.ports import Message, Notifier

WAITS: Final = tuple(
    timedelta(seconds=seconds) for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
)  # fmt: skip
"""Between the attempts: ten in all, over about 75 hours. Then the delivery is given up, and shown."""

Row = TypeVar("Row", bound=Sending)


@dataclass(frozen=True)
class Routes:
    """Who is told when nobody more particular is named, and where links lead. The webhook's URL and secret never reach a row."""

    web_url: str
    admins: tuple[str, ...] = ()
    webhook_url: str | None = field(default=None, repr=False)
    webhook_secret: Secret | None = None


@dataclass(frozen=True)
class Told(Generic[Row]):
    """What a kind of delivery tells of.

    `message` makes what is sent, None where it is no longer true; `about` gives the audit log its subject and facts; `word`
    begins the audit log's actions: `alert.delivered`.
    """

    table: type[Row]
    word: str
    message: Callable[[Session, Row, Routes], Message | None]
    about: Callable[[Row], tuple[tuple[str, str], dict[str, Any]]]


@dataclass(frozen=True)
class Courier:
    """The ways to people."""

    unit_of_work: UnitsOfWork
    notifiers: Mapping[Channel, Notifier]
    routes: Routes

    def deliver(self, claim: Claim, told: Told[Row]) -> Later | None:
        """Send what the claim's delivery owes, once more if need be, and record how it went."""
        with self.unit_of_work.reading() as session:
            delivery = session.get_one(told.table, claim.subject_id)
            message = told.message(session, delivery, self.routes) if delivery.state is DeliveryState.PENDING else None
        if message is None:
            self._drop(claim, told)
            return None
        crashpoint("delivery.before_send")
        try:
            receipt = self._send(delivery, message)
        except ProviderError as error:
            return self._record_failure(claim, told, error)
        crashpoint("delivery.sent")
        with self.unit_of_work(claim.actor) as uow:
            outbox.settle(uow, claim)
            row = uow.session.get_one(told.table, delivery.id)
            row.state, row.receipt, row.problem, row.settled_at = DeliveryState.SENT, redact(receipt)[:300], None, uow.now
            row.attempts += 1
            subject, facts = told.about(row)
            audit.record(
                uow, f"{told.word}.delivered", subject, delivery=row.id, channel=row.channel, address=row.address,
                receipt=row.receipt, **facts,
            )  # fmt: skip
            crashpoint("delivery.before_commit")
        return None

    def _drop(self, claim: Claim, told: Told[Row]) -> None:
        with self.unit_of_work(claim.actor) as uow:
            outbox.settle(uow, claim)
            row = uow.session.get_one(told.table, claim.subject_id, with_for_update=True)
            if row.state is DeliveryState.PENDING:
                row.state, row.settled_at = DeliveryState.DROPPED, uow.now

    def _send(self, delivery: Sending, message: Message) -> str:
        notifier = self.notifiers.get(delivery.channel)
        if notifier is None:
            raise Rejected(f"This service is not set up to send by {delivery.channel.value}.")
        if delivery.channel is Channel.WEBHOOK:
            if not self.routes.webhook_url:
                raise Rejected("No webhook is configured any more.")
            return notifier.send(self.routes.webhook_url, message, secret=self.routes.webhook_secret)
        return notifier.send(delivery.address, message)

    def _record_failure(self, claim: Claim, told: Told[Row], error: ProviderError) -> Later | None:
        """Note the attempt; try again later, or give up where that is of no use."""
        with self.unit_of_work(claim.actor) as uow:
            row = uow.session.get_one(told.table, claim.subject_id, with_for_update=True)
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
            subject, facts = told.about(row)
            audit.record(
                uow, f"{told.word}.not_delivered", subject, delivery=row.id, channel=row.channel, address=row.address,
                problem=row.problem, **facts,
            )  # fmt: skip
        return None


Still = Callable[[Session, Notice], bool]
"""Whether a notice is still true."""


@dataclass(frozen=True)
class DeliverNotice(Courier):
    """`notice.deliver` (subject: the delivery): send one notice to one address.

    `still` says per kind of notice whether it is still true; a kind that is not in it always is.
    """

    still: Mapping[str, Still] = field(default_factory=dict)

    def __call__(self, claim: Claim) -> Later | None:
        return self.deliver(claim, Told(NoticeDelivery, "notice", self._message, self._about))

    def _message(self, session: Session, row: NoticeDelivery, routes: Routes) -> Message | None:
        notice = session.get_one(Notice, row.notice_id)
        still = self.still.get(notice.kind)
        if still is not None and not still(session, notice):
            return None
        link = routes.web_url + notice.link
        facts: dict[str, object] = {"type": notice.kind, "subject": notice.subject_id, "at": notice.created_at, "url": link}
        words = Words(notice.headline, notice.lead, notice.details, link, notice.link_label)
        return message(words, row.id, facts)

    def _about(self, row: NoticeDelivery) -> tuple[tuple[str, str], dict[str, Any]]:
        return ("notices", row.notice_id), {}
