"""Tell people: fan an alert out to its addresses, then deliver each one, with a receipt.

`alert.announce` (subject: the alert) makes one delivery per address; `alert.deliver` (subject: the delivery) sends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from govern.budgets.messages import compose
from govern.budgets.models import Alert, Budget, Delivery, Note
from govern.core import outbox
from govern.core.inserting import insert_one
from govern.core.outbox import Claim, Later
from govern.core.uow import UnitOfWork, UnitsOfWork
from govern.notices.effects import Courier, Routes, Told
from govern.notices.models import Channel, DeliveryState
from govern.ports import Message


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
class Deliver(Courier):
    """`alert.deliver`: send one alert to one address."""

    def __call__(self, claim: Claim) -> Later | None:
        return self.deliver(claim, Told(Delivery, "alert", _message, _about))


def _message(session: Session, delivery: Delivery, routes: Routes) -> Message:
    alert = session.get_one(Alert, delivery.alert_id)
    budget = session.get_one(Budget, alert.budget_id)
    return compose(alert, budget, delivery.note, message_id=delivery.id, web_url=routes.web_url)


def _about(delivery: Delivery) -> tuple[tuple[str, str], dict[str, Any]]:
    return ("alerts", delivery.alert_id), {"note": delivery.note}
