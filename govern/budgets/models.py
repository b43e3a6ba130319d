"""Budget, BudgetTerms, BudgetRaise, Alert, Delivery."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from govern.budgets.rules import Threshold
from govern.budgets.windows import Calendar, Period
from govern.core.db import Base, Money, UTCDateTime, words
from govern.notices.models import Sending


class Scope(StrEnum):
    """Whose spend a budget limits."""

    ORGANIZATION = "organization"
    PROJECT = "project"
    PERSON = "person"
    TEAM = "team"
    COST_CENTRE = "cost_centre"
    KEY = "key"
    MODEL = "model"


class Budget(Base):
    """A limit per window of a calendar. `scope_id` is what `scopes.resolve` gives. `per_person`: it limits each
    person of the scope by themselves, and not all of them together.

    `generation` counts changes of the amount, and raises: a higher limit may reach its thresholds again in the same window.
    `slug`: what it is called in the file that it is kept in, None for one made by hand.
    `windows_since`: since when its windows are these, None for as long as it stands.
    """

    __tablename__ = "budgets"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(200))
    scope: Mapped[Scope] = mapped_column(words(Scope))
    scope_id: Mapped[str] = mapped_column(sa.String(200))
    slug: Mapped[str | None] = mapped_column(sa.String(63))
    per_person: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    # The column is older than the windows that are no months; renaming it would stop what runs while it is upgraded.
    amount_usd: Mapped[Decimal] = mapped_column("monthly_usd", Money)
    thresholds: Mapped[list[int]] = mapped_column(sa.JSON)
    # Dollars as text, as JSON knows no exact numbers. Empty: made before there were any.
    thresholds_usd: Mapped[list[str] | None] = mapped_column(sa.JSON(none_as_null=True))
    # Per cent of the limit that the forecast may reach.
    thresholds_forecast: Mapped[list[int] | None] = mapped_column(sa.JSON(none_as_null=True))
    notify: Mapped[list[str]] = mapped_column(sa.JSON)
    zone: Mapped[str] = mapped_column(sa.String(64))
    period: Mapped[Period] = mapped_column(words(Period), default=Period.MONTH, server_default=Period.MONTH.value)
    year_starts: Mapped[int] = mapped_column(default=1, server_default="1")
    days: Mapped[int | None]
    anchor: Mapped[date | None]
    windows_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    generation: Mapped[int] = mapped_column(default=1)
    created_by: Mapped[str] = mapped_column(sa.String(120))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    retired_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (
        sa.Index("ix_budgets_scope", "scope", "scope_id"),
        sa.Index(
            "uq_budgets_slug", "slug", unique=True,
            sqlite_where=sa.text("retired_at IS NULL"), postgresql_where=sa.text("retired_at IS NULL"),
        ),
    )  # fmt: skip

    @property
    def calendar(self) -> Calendar:
        """Its windows."""
        return Calendar(self.period, self.zone, self.year_starts, self.days, self.anchor)

    @property
    def marks(self) -> list[Threshold]:
        """Its thresholds, those in per cent first."""
        return _marks(self.thresholds, self.thresholds_usd)

    @property
    def forecast_marks(self) -> list[Threshold]:
        """Its thresholds on what is forecast."""
        return [Threshold(percent=each, forecast=True) for each in self.thresholds_forecast or ()]


class BudgetTerms(Base):
    """The amount and the thresholds that a budget had until it was changed: windows that were over then are compared with
    these."""

    __tablename__ = "budget_terms"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    budget_id: Mapped[str] = mapped_column(sa.ForeignKey("budgets.id"), index=True)
    amount_usd: Mapped[Decimal] = mapped_column(Money)
    thresholds: Mapped[list[int]] = mapped_column(sa.JSON)
    thresholds_usd: Mapped[list[str] | None] = mapped_column(sa.JSON(none_as_null=True))
    generation: Mapped[int]
    until_at: Mapped[datetime] = mapped_column(UTCDateTime)

    @property
    def marks(self) -> list[Threshold]:
        """The thresholds, those in per cent first."""
        return _marks(self.thresholds, self.thresholds_usd)


class BudgetRaise(Base):
    """More for a while: `by_usd` on top of the budget's amount in `[starts_at, ends_at)`. Ending it early moves `ends_at`."""

    __tablename__ = "budget_raises"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    budget_id: Mapped[str] = mapped_column(sa.ForeignKey("budgets.id"), index=True)
    by_usd: Mapped[Decimal] = mapped_column(Money)
    starts_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ends_at: Mapped[datetime] = mapped_column(UTCDateTime)
    generation: Mapped[int]
    reason: Mapped[str | None] = mapped_column(sa.String(500))
    created_by: Mapped[str] = mapped_column(sa.String(120))


class ForecastTest(Base):
    """What the forecast of a day said about the end of its window, made from the days before it alone, and what came."""

    __tablename__ = "forecast_tests"

    budget_id: Mapped[str] = mapped_column(sa.ForeignKey("budgets.id"), primary_key=True)
    window: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    low_usd: Mapped[Decimal] = mapped_column(Money)
    likely_usd: Mapped[Decimal] = mapped_column(Money)
    high_usd: Mapped[Decimal] = mapped_column(Money)
    came_usd: Mapped[Decimal] = mapped_column(Money)
    tested_at: Mapped[datetime] = mapped_column(UTCDateTime)


class AlertState(StrEnum):
    """What an alert waits for. A snoozed one is open again when its time is over."""

    OPEN = "open"
    SNOOZED = "snoozed"
    ACKNOWLEDGED = "acknowledged"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"


class Alert(Base):
    """One crossing: at most one per budget, window, person, threshold and generation. The figures are those of the moment.

    `threshold` is in per cent, 0 where `threshold_usd` says dollars. `person_id`: of a budget for each person,
    who crossed it; '' otherwise. `on_forecast`: it is not the spend that reached the threshold, but `forecast_usd`.
    `acknowledged_by`: the actor; `assigned_to`: the person who is to look at it.
    `late`: the window was over when the data arrived. `superseded`: a higher threshold was crossed at the same moment and
    speaks for this one. `withdrawn_at`: a correction took the spend below the threshold again.
    """

    __tablename__ = "alerts"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    budget_id: Mapped[str] = mapped_column(sa.ForeignKey("budgets.id"))
    window: Mapped[str] = mapped_column(sa.String(20))
    person_id: Mapped[str] = mapped_column(sa.String(40), default="", server_default=sa.text("''"))
    threshold: Mapped[int]
    threshold_usd: Mapped[Decimal] = mapped_column(Money, default=Decimal(0), server_default="0")
    on_forecast: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    generation: Mapped[int]
    label: Mapped[str] = mapped_column(sa.String(320))
    limit_usd: Mapped[Decimal] = mapped_column(Money)
    spent_usd: Mapped[Decimal] = mapped_column(Money)
    billed_usd: Mapped[Decimal] = mapped_column(Money)
    estimated_usd: Mapped[Decimal] = mapped_column(Money)
    forecast_usd: Mapped[Decimal | None] = mapped_column(Money)
    late: Mapped[bool]
    superseded: Mapped[bool]
    raised_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    withdrawn_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    withdrawn_usd: Mapped[Decimal | None] = mapped_column(Money)
    acknowledged_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    acknowledged_by: Mapped[str | None] = mapped_column(sa.String(120))
    snoozed_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    assigned_to: Mapped[str | None] = mapped_column(sa.String(40))

    __table_args__ = (
        sa.UniqueConstraint(
            "budget_id",
            "window",
            "person_id",
            "threshold",
            "threshold_usd",
            "generation",
            "on_forecast",
            name="uq_alerts_forecast_threshold",
        ),
    )

    @property
    def reached(self) -> Threshold:
        """The threshold."""
        return Threshold(self.threshold, self.threshold_usd or Decimal(0), self.on_forecast)

    def state(self, now: datetime) -> AlertState:
        """What it waits for at that moment. No job ends a snooze: it is a question of the time."""
        if self.withdrawn_at is not None:
            return AlertState.WITHDRAWN
        if self.superseded:
            return AlertState.SUPERSEDED
        if self.acknowledged_at is not None:
            return AlertState.ACKNOWLEDGED
        snoozed = self.snoozed_until is not None and self.snoozed_until > now
        return AlertState.SNOOZED if snoozed else AlertState.OPEN


def _marks(percents: list[int], amounts: list[str] | None) -> list[Threshold]:
    return [*(Threshold(percent=each) for each in percents), *(Threshold(usd=Decimal(text)) for text in amounts or ())]


class Note(StrEnum):
    """What a delivery tells: the crossing, or that a correction undid it."""

    CROSSED = "crossed"
    WITHDRAWN = "withdrawn"


class Delivery(Sending, Base):
    """One sending of an alert."""

    __tablename__ = "deliveries"

    alert_id: Mapped[str] = mapped_column(sa.ForeignKey("alerts.id"))
    note: Mapped[Note] = mapped_column(words(Note))

    __table_args__ = (sa.UniqueConstraint("alert_id", "note", "channel", "address"),)
