"""Commands on budgets, and the evaluation that raises alerts.

There is no reset job: what was spent in a window is a question asked of the daily spend. An alert is a row with a unique key
(budget, window, threshold, generation); whoever inserts it first has raised it, and everybody else sees that it is there.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Unpack

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.audit import service as audit
from govern.budgets import queries, rules, scopes
from govern.budgets.models import Alert, Budget, Delivery, Note, Scope
from govern.budgets.rules import Threshold
from govern.budgets.standing import Standing, at_windows
from govern.budgets.windows import Windows
from govern.core import outbox
from govern.core.clock import utcnow
from govern.core.errors import Conflict, NotFound
from govern.core.inserting import insert_one
from govern.core.uow import Actor, ActorKind, UnitOfWork, UnitsOfWork
from govern.notices.models import DeliveryState
from govern.usage.rules import REVISIT_DAYS

DEFAULT_THRESHOLDS: Final = (80, 100)
LATE: Final = timedelta(days=REVISIT_DAYS)
"""So long after its end a window is still looked at: so long its days are read again."""


def create_budget(
    uow: UnitOfWork,
    *,
    name: str,
    scope: Scope | str,
    scope_id: str | None = None,
    per_person: bool = False,
    amount_usd: Decimal,
    thresholds: Sequence[int] = DEFAULT_THRESHOLDS,
    thresholds_usd: Sequence[Decimal] = (),
    notify: Sequence[str] = (),
    **windows: Unpack[Windows],
) -> Budget:
    """Watch a scope's spend from now on. `scope_id` is as `scopes.resolve` takes it. `notify` empty: the admins are told.

    `windows`: the fields of `Calendar`; months in UTC when left out. Raises InvalidInput, NotFound.
    """
    budget = draft(
        uow.session, name=name, scope=scope, scope_id=scope_id, per_person=per_person, amount_usd=amount_usd,
        thresholds=thresholds,
        thresholds_usd=thresholds_usd, notify=notify, **windows,
    )  # fmt: skip
    budget.id, budget.created_by, budget.created_at = uow.new_id("bud"), uow.actor.id, uow.now
    uow.session.add(budget)
    audit.record(uow, "budget.created", budget, **_facts(budget))
    return budget


def draft(
    session: Session,
    *,
    name: str,
    scope: Scope | str,
    scope_id: str | None = None,
    per_person: bool = False,
    amount_usd: Decimal,
    thresholds: Sequence[int] = DEFAULT_THRESHOLDS,
    thresholds_usd: Sequence[Decimal] = (),
    notify: Sequence[str] = (),
    **windows: Unpack[Windows],
) -> Budget:
    """Such a budget, checked but not stored, with the id "draft". Raises InvalidInput, NotFound."""
    scope = scopes.scope_of(scope)
    calendar = rules.calendar_of(windows)
    percents, dollars = rules.check_thresholds(thresholds, thresholds_usd)
    return Budget(
        id="draft", name=rules.check_name(name), scope=scope, scope_id=scopes.resolve(session, scope, scope_id),
        per_person=scopes.check_per_person(scope, per_person), created_at=utcnow(),
        amount_usd=rules.check_amount(amount_usd), thresholds=percents, thresholds_usd=_texts(dollars),
        notify=rules.check_addresses(notify), generation=1, **asdict(calendar),
    )  # fmt: skip


def change_budget(
    uow: UnitOfWork,
    budget_id: str,
    *,
    name: str | None = None,
    amount_usd: Decimal | None = None,
    thresholds: Sequence[int] | None = None,
    thresholds_usd: Sequence[Decimal] | None = None,
    notify: Sequence[str] | None = None,
    **windows: Unpack[Windows],
) -> Budget:
    """Change what is given. A new amount begins a new generation: its thresholds may alert again in this window.

    `windows`: fields of `Calendar`; with another `period`, those that are not given go back to what they usually are.
    Raises InvalidInput, NotFound, Conflict (retired).
    """
    budget = queries.locked(uow.session, budget_id)
    if budget.retired_at is not None:
        raise Conflict("The budget is retired. Create a new one.")
    before, windows_before = _facts(budget), budget.calendar
    if name is not None:
        budget.name = rules.check_name(name)
    if thresholds is not None or thresholds_usd is not None:
        percents = budget.thresholds if thresholds is None else thresholds
        amounts = [mark.usd for mark in budget.marks if mark.usd] if thresholds_usd is None else thresholds_usd
        budget.thresholds, dollars = rules.check_thresholds(percents, amounts)
        budget.thresholds_usd = _texts(dollars)
    if notify is not None:
        budget.notify = rules.check_addresses(notify)
    calendar = rules.calendar_of(windows, windows_before)
    for field, value in asdict(calendar).items():
        setattr(budget, field, value)
    if replace(calendar, zone=windows_before.zone) != windows_before:
        budget.windows_since = uow.now
    if amount_usd is not None and rules.check_amount(amount_usd) != budget.amount_usd:
        budget.amount_usd = rules.check_amount(amount_usd)
        budget.generation = queries.next_generation(uow.session, budget)
    after = _facts(budget)
    if after != before:
        changed = [fact for fact in after if after[fact] != before[fact]]
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
        due = {news.standing.budget.id for news in _look(session, budgets, utcnow()) if news.crossed or news.undone}
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


@dataclass(frozen=True)
class _News:
    """What a look at one budget's window found: thresholds to raise, and raised alerts that no longer hold."""

    standing: Standing
    crossed: list[Threshold]
    undone: list[Alert]


def _look(session: Session, budgets: Sequence[Budget], now: datetime) -> Iterator[_News]:
    pairs = []
    for budget in budgets:
        # A window that was over when the budget was made, or got its windows, is none of its business.
        since = max(budget.windows_since or budget.created_at, now - LATE)
        pairs += [(budget, window) for window in budget.calendar.since(since, now)]
    raised: dict[tuple[str, str, str], list[Alert]] = defaultdict(list)
    about: dict[tuple[str, str], set[str]] = defaultdict(set)
    for alert in session.scalars(sa.select(Alert).where(Alert.window.in_({window.key for _, window in pairs}))):
        raised[alert.budget_id, alert.window, alert.person_id].append(alert)
        about[alert.budget_id, alert.window].add(alert.person_id)
    for standing in at_windows(session, pairs, now, also=about):
        budget, spent = standing.budget, standing.spent.amount
        mine = [
            alert
            for alert in raised[budget.id, standing.window.key, standing.person_id]
            if alert.generation == standing.limit.generation
        ]
        told = {alert.reached for alert in mine}
        crossed = [each for each in rules.crossed(spent, standing.limit.usd, budget.marks) if each not in told]
        undone = [a for a in mine if a.withdrawn_at is None and not rules.crossed(spent, a.limit_usd, [a.reached])]
        yield _News(standing, crossed, undone)


def _raise(uow: UnitOfWork, standing: Standing, thresholds: Sequence[Threshold]) -> int:
    """Insert the alerts; the highest one speaks for all that were crossed at the same moment."""
    budget, spent, won = standing.budget, standing.spent, 0
    for threshold in thresholds:
        alert_id = uow.new_id("alr")
        speaks = threshold == thresholds[-1]
        facts: dict[str, Any] = {
            "budget_id": budget.id, "window": standing.window.key, "person_id": standing.person_id,
            "threshold": threshold.percent,
            "threshold_usd": threshold.usd, "limit_usd": standing.limit.usd, "spent_usd": spent.amount,
            "billed_usd": spent.billed, "estimated_usd": spent.estimated,
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


def _texts(amounts: Sequence[Decimal]) -> list[str]:
    return [f"{each.normalize():f}" for each in amounts]


def _facts(budget: Budget) -> dict[str, Any]:
    return {
        "name": budget.name, "scope": budget.scope, "scope_id": budget.scope_id, "per_person": budget.per_person,
        "amount_usd": budget.amount_usd,
        "thresholds": list(budget.thresholds), "thresholds_usd": budget.thresholds_usd or [], "notify": list(budget.notify),
        "zone": budget.zone, "period": budget.period,
        "year_starts": budget.year_starts, "days": budget.days, "anchor": budget.anchor,
    }  # fmt: skip
