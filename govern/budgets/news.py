"""What there is to say about budgets: thresholds that are crossed and not told, and alerts that no longer hold. Reads only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.budgets import ahead, rules
from govern.budgets.models import Alert, Budget
from govern.budgets.rules import Threshold
from govern.budgets.standing import Standing, at_windows
from govern.budgets.windows import Window


@dataclass(frozen=True)
class News:
    """What a look at one budget's window found: thresholds to raise, and raised alerts that no longer hold.

    `foreseen`: thresholds that are not reached, but that what is `likely` at the end of the window reaches, in dollars.
    """

    standing: Standing
    crossed: list[Threshold]
    undone: list[Alert]
    foreseen: list[Threshold]
    likely: Decimal | None


def look(session: Session, pairs: Sequence[tuple[Budget, Window]], now: datetime) -> Iterator[News]:
    """The news of each budget in the window beside it, once for each person where it is for each."""
    raised: dict[tuple[str, str, str], list[Alert]] = defaultdict(list)
    about: dict[tuple[str, str], set[str]] = defaultdict(set)
    for alert in session.scalars(sa.select(Alert).where(Alert.window.in_({window.key for _, window in pairs}))):
        raised[alert.budget_id, alert.window, alert.person_id].append(alert)
        about[alert.budget_id, alert.window].add(alert.person_id)
    open_day: date | None = None  # asked for once, and only where a forecast is
    for standing in at_windows(session, pairs, now, also=about):
        spent, limit = standing.spent.amount, standing.limit
        mine = raised[standing.budget.id, standing.window.key, standing.person_id]
        mine = [alert for alert in mine if alert.generation == limit.generation]
        told = {alert.reached for alert in mine}
        crossed = [each for each in rules.crossed(spent, limit.usd, standing.marks) if each not in told]
        undone = [
            alert for alert in mine
            if alert.withdrawn_at is None and not alert.on_forecast and not rules.crossed(spent, alert.limit_usd, [alert.reached])
        ]  # fmt: skip
        # What is reached is told of by the spend; a forecast of it is no news any more.
        waiting = [each for each in standing.budget.forecast_marks if each not in told and spent < each.amount(limit.usd)]
        likely = None
        if waiting and standing.window.start <= now < standing.window.end:
            open_day = open_day or ahead.complete_before(session, now)
            likely = ahead.forecast_of(session, standing, open_day).likely
        yield News(standing, crossed, undone, rules.crossed(likely, limit.usd, waiting) if likely is not None else [], likely)
