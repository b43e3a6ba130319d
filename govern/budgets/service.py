"""Commands on budgets, and the evaluation that raises alerts.

There is no reset job: what was spent in a window is a question asked of the daily spend. An alert is a row with a unique key
(budget, window, threshold, generation); whoever inserts it first has raised it, and everybody else sees that it is there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Unpack

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.audit import service as audit
from govern.budgets import drafts, queries
from govern.budgets.drafts import Changes
from govern.budgets.models import Alert, Budget, BudgetTerms, Delivery, Note
from govern.budgets.news import News, look
from govern.budgets.rules import Threshold
from govern.budgets.standing import Standing
from govern.budgets.windows import Calendar, Window
from govern.core import outbox
from govern.core.clock import utcnow
from govern.core.errors import Conflict, NotFound
from govern.core.inserting import insert_one
from govern.core.uow import Actor, ActorKind, UnitOfWork, UnitsOfWork
from govern.notices.models import DeliveryState
from govern.usage.rules import REVISIT_DAYS

LATE: Final = timedelta(days=REVISIT_DAYS)
"""So long after its end a window is still looked at: so long its days are read again."""


def create_budget(uow: UnitOfWork, **fields: Any) -> Budget:
    """Watch a scope's spend from now on. `fields` are those of `drafts.draft`. Raises InvalidInput, NotFound."""
    budget = drafts.draft(uow.session, **fields)
    budget.id, budget.created_by, budget.created_at = uow.new_id("bud"), uow.actor.id, uow.now
    uow.session.add(budget)
    audit.record(uow, "budget.created", budget, **drafts.facts(budget))
    return budget


def change_budget(uow: UnitOfWork, budget_id: str, **changes: Unpack[Changes]) -> Budget:
    """Change what is given. A new amount begins a new generation: its thresholds may alert again in this window.

    Windows that are over keep the terms that they ended with. Raises InvalidInput, NotFound, Conflict (retired).
    """
    budget = queries.locked(uow.session, budget_id)
    before = drafts.facts(budget)
    terms = BudgetTerms(
        id=uow.new_id("btr"), budget_id=budget.id, amount_usd=budget.amount_usd, thresholds=list(budget.thresholds),
        thresholds_usd=budget.thresholds_usd, generation=budget.generation, until_at=uow.now,
    )  # fmt: skip
    drafts.alter(uow.session, budget, uow.now, changes)
    after = drafts.facts(budget)
    changed = [fact for fact in after if after[fact] != before[fact]]
    if {"amount_usd", "thresholds", "thresholds_usd"} & set(changed):
        uow.session.add(terms)
    if changed:
        audit.record(
            uow, "budget.changed", budget,
            before={fact: before[fact] for fact in changed}, after={fact: after[fact] for fact in changed},
        )  # fmt: skip
    return budget


def retire_budget(uow: UnitOfWork, budget_id: str, *, reason: str | None = None) -> Budget:
    """Watch no longer; the budget and its alerts stay readable. Repeating it changes nothing. Raises NotFound."""
    budget = queries.locked(uow.session, budget_id)
    if budget.retired_at is None:
        budget.retired_at = uow.now
        audit.record(uow, "budget.retired", budget, reason=reason, name=budget.name)
    return budget


def evaluate_all(unit_of_work: UnitsOfWork) -> dict[str, int]:
    """The job: look at every budget, and write only where something is to be said. Returns counts, as `evaluate` does.

    The look takes no lock, so that an evaluation with nothing to say never makes anybody wait.
    """
    with unit_of_work.reading() as session:
        budgets = queries.active_budgets(session)
        due = {
            news.standing.budget.id for news in _look(session, budgets, utcnow()) if news.crossed or news.undone or news.foreseen
        }
        looked = len(budgets)
    if not due:
        return {"budgets": looked, "alerts": 0, "withdrawn": 0}
    with unit_of_work(Actor(ActorKind.JOB, "budgets.evaluate", "budgets.evaluate")) as uow:
        return evaluate(uow, due) | {"budgets": looked}


def evaluate(uow: UnitOfWork, budget_ids: Iterable[str] | None = None) -> dict[str, int]:
    """Raise what has been crossed and withdraw what a correction undid, for these budgets or all. Safe to run twice at once.

    Looked at are the windows of now and those that ended within `LATE`: the bill for their last days comes later. Returns
    `budgets`, `alerts` raised, alerts `withdrawn`.
    """
    counts: Counter[str] = Counter(budgets=0, alerts=0, withdrawn=0)
    budgets = queries.active_budgets(uow.session, budget_ids)
    counts["budgets"] = len(budgets)
    for news in _look(uow.session, budgets, uow.now):
        counts["alerts"] += _raise(uow, news.standing, news.crossed)
        counts["alerts"] += _raise(uow, news.standing, news.foreseen, news.likely)
        counts["withdrawn"] += _withdraw(uow, news.standing, news.undone)
    return dict(counts)


def send_again(uow: UnitOfWork, delivery_id: str) -> Delivery:
    """Owe a delivery again that was given up. Raises NotFound, Conflict (it is under way, or was sent)."""
    delivery = uow.session.get(Delivery, delivery_id, with_for_update=True)
    if delivery is None:
        raise NotFound(f"There is no delivery {delivery_id!r}.")
    if delivery.state is not DeliveryState.FAILED:
        raise Conflict("Only a delivery that was given up can be sent again.")
    delivery.state, delivery.attempts, delivery.settled_at = DeliveryState.PENDING, 0, None
    audit.record(uow, "alert.sent_again", ("alerts", delivery.alert_id), delivery=delivery.id, channel=delivery.channel)
    outbox.enqueue(uow, "alert.deliver", delivery.id)
    return delivery


def _look(session: Session, budgets: Sequence[Budget], now: datetime) -> Iterator[News]:
    pairs, windows = [], dict[Calendar, list[Window]]()
    for budget in budgets:
        calendar = budget.calendar
        if calendar not in windows:  # many budgets share one
            windows[calendar] = list(calendar.since(now - LATE, now))
        # A window that was over when the budget was made, or got its windows, is none of its business.
        since = budget.windows_since or budget.created_at
        pairs += [(budget, window) for window in windows[calendar] if window.end > since]
    return look(session, pairs, now)


def _raise(uow: UnitOfWork, standing: Standing, thresholds: Sequence[Threshold], likely: Decimal | None = None) -> int:
    """Insert the alerts; the highest one speaks for all that were crossed at the same moment. `likely`: of a forecast."""
    budget, spent, won = standing.budget, standing.spent, 0
    for threshold in thresholds:
        alert_id = uow.new_id("alr")
        speaks = threshold == thresholds[-1]
        facts: dict[str, Any] = {
            "budget_id": budget.id, "window": standing.window.key, "person_id": standing.person_id,
            "threshold": threshold.percent, "threshold_usd": threshold.usd, "limit_usd": standing.limit.usd,
            "spent_usd": spent.amount, "billed_usd": spent.billed, "estimated_usd": spent.estimated,
            "on_forecast": threshold.forecast, "forecast_usd": likely,
        }  # fmt: skip
        rest: dict[str, Any] = {
            "id": alert_id, "generation": standing.limit.generation, "label": standing.label[:320], "superseded": not speaks,
            "late": uow.now >= standing.window.end, "raised_at": uow.now,
        }  # fmt: skip
        if not insert_one(uow.session, Alert, facts | rest):
            continue
        won += 1
        audit.record(uow, "alert.raised", ("alerts", alert_id), **facts)
        if speaks:
            outbox.enqueue(uow, "alert.announce", alert_id, {"alert": alert_id, "note": Note.CROSSED.value})
    return won


def _withdraw(uow: UnitOfWork, standing: Standing, alerts: Sequence[Alert]) -> int:
    """Note once that a correction undid these alerts. They are never raised a second time."""
    won = 0
    for alert in alerts:
        done = uow.session.execute(
            sa.update(Alert)
            .where(Alert.id == alert.id, Alert.withdrawn_at.is_(None))
            .values(withdrawn_at=uow.now, withdrawn_usd=standing.spent.amount)
        )
        if done.rowcount != 1:  # type: ignore[attr-defined]
            continue
        won += 1
        audit.record(uow, "alert.withdrawn", alert, spent_usd=standing.spent.amount, threshold=alert.reached.words)
        if not alert.superseded:
            note = Note.WITHDRAWN.value
            outbox.enqueue(uow, "alert.announce", f"{alert.id}/{note}", {"alert": alert.id, "note": note})
    return won
