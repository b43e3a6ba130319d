"""What a new or a changed budget would mean today: who would be over, and who would be told at once. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from govern.budgets import drafts, queries
from govern.budgets.drafts import Changes
from govern.budgets.models import Budget
from govern.budgets.news import News, look
from govern.budgets.standing import Standing

MOST: Final = 20
"""So many of those whom it concerns are named."""


@dataclass(frozen=True)
class Preview:
    """`budget` as it would be; of how many the spend would be over the limit (`over`, of now: `before`), and how many alerts
    would be raised at once and told of (`alerts`).

    `affected`: at most 20 who would be told of or over, who spent most first; of a budget that is not for each person, itself.
    `most`: how it would stand for who spent most, None where nobody spent anything.
    """

    budget: Budget
    over: int
    before: int
    alerts: int
    affected: tuple[News, ...]
    most: Standing | None

    @property
    def sentence(self) -> str:
        """For people: "3 people would be over today (1 is now), and 3 alerts would be sent at once."."""
        if self.budget.per_person:
            who = {0: "Nobody", 1: "1 person"}.get(self.over, f"{self.over} people")
            now = f" ({self.before} {'is' if self.before == 1 else 'are'} now)" if self.before else ""
            over = f"{who} would be over today{now}"
        else:
            still = " as it is now" if self.over and self.before else ""
            over = f"It would {'' if self.over else 'not '}be over today{still}"
        told = {0: "no alert", 1: "1 alert"}.get(self.alerts, f"{self.alerts} alerts")
        return f"{over}, and {told} would be sent at once."


def of_new(session: Session, budget: Budget, now: datetime) -> Preview:
    """What it would mean to make this draft a budget."""
    return _preview(session, budget, None, now)


def of_change(session: Session, budget_id: str, changes: Changes, now: datetime) -> Preview:
    """What it would mean to change the budget so. Raises InvalidInput, NotFound, Conflict (retired)."""
    budget = queries.get(session, budget_id)
    return _preview(session, drafts.altered(session, budget, now, changes), budget, now)


def _preview(session: Session, budget: Budget, before: Budget | None, now: datetime) -> Preview:
    found = _today(session, budget, now)
    concerned = [news for news in found if news.crossed or _is_over(news)]
    concerned.sort(key=lambda news: (-news.standing.spent.amount, news.standing.person_id))
    return Preview(
        budget,
        over=sum(_is_over(news) for news in found),
        before=sum(_is_over(news) for news in _today(session, before, now)) if before else 0,
        alerts=sum(bool(news.crossed) for news in found),
        affected=tuple(concerned[:MOST]),
        most=max((news.standing for news in found), key=lambda each: each.spent.amount, default=None),
    )


def _today(session: Session, budget: Budget, now: datetime) -> list[News]:
    return list(look(session, [(budget, budget.calendar.at(now))], now))


def _is_over(news: News) -> bool:
    return news.standing.left < 0
