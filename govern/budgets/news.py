"""What there is to say about budgets: thresholds that are crossed and not told, and alerts that no longer hold. Reads only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.budgets import rules
from govern.budgets.models import Alert, Budget
from govern.budgets.rules import Threshold
from govern.budgets.standing import Standing, at_windows
from govern.budgets.windows import Window


@dataclass(frozen=True)
class News:
    """What a look at one budget's window found: thresholds to raise, and raised alerts that no longer hold."""

    standing: Standing
    crossed: list[Threshold]
    undone: list[Alert]


def look(session: Session, pairs: Sequence[tuple[Budget, Window]], now: datetime) -> Iterator[News]:
    """The news of each budget in the window beside it, once for each person where it is for each."""
    raised: dict[tuple[str, str, str], list[Alert]] = defaultdict(list)
    about: dict[tuple[str, str], set[str]] = defaultdict(set)
    for alert in session.scalars(sa.select(Alert).where(Alert.window.in_({window.key for _, window in pairs}))):
        raised[alert.budget_id, alert.window, alert.person_id].append(alert)
        about[alert.budget_id, alert.window].add(alert.person_id)
    for standing in at_windows(session, pairs, now, also=about):
        spent, limit = standing.spent.amount, standing.limit
        mine = raised[standing.budget.id, standing.window.key, standing.person_id]
        mine = [alert for alert in mine if alert.generation == limit.generation]
        told = {alert.reached for alert in mine}
        crossed = [each for each in rules.crossed(spent, limit.usd, standing.marks) if each not in told]
        undone = [a for a in mine if a.withdrawn_at is None and not rules.crossed(spent, a.limit_usd, [a.reached])]
        yield News(standing, crossed, undone)
