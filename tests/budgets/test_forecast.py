"""Where a window will end: the rule by a table of cases, and the budget that shows it."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from govern.budgets import ahead, backtest, drafts, queries, service
from govern.budgets.forecast import HISTORY_DAYS, LEAST_DAYS, Forecast, forecast
from govern.budgets.messages import compose
from govern.budgets.models import Alert, ForecastTest, Note
from govern.budgets.standing import standings
from govern.core.clock import utcnow
from govern.core.errors import InvalidInput
from govern.usage.sync import run_costs
from tests.budgets.conftest import Money
from tests.given import ADMIN
from tests.usage.reported import billed

MONDAY = date(2026, 3, 2)
DAY = timedelta(days=1)


def history(weeks: int, workday: str = "10", weekend: str = "2") -> list[Decimal]:
    """Whole weeks until the Sunday before MONDAY."""
    return [Decimal(weekend if number % 7 >= 5 else workday) for number in range(7 * weeks)]


def said(days: list[Decimal], ahead_days: int, *, opened: str = "0", closed: str = "100") -> Forecast:
    return forecast(days, MONDAY, MONDAY + ahead_days * DAY, Decimal(closed), Decimal(opened))


def even(amount: str) -> Forecast:
    return Forecast(*[Decimal(amount)] * 3)


@pytest.mark.parametrize(
    ("days", "ahead_days", "opened", "expected"),
    [
        (history(10), 5, "0", even("150")),
        (history(10), 7, "0", even("154")),
        (history(10), 13, "0", even("206")),
        (history(6), 1, "0", even("110")),
        (history(30), 91, "0", even("802")),
        (history(10), 5, "70", even("170")),
        ([Decimal(0)] * 70 + history(6), 5, "0", even("150")),
    ],
)
def test_steady_habits_go_on_weekday_by_weekday(days: list[Decimal], ahead_days: int, opened: str, expected: Forecast) -> None:
    assert said(days, ahead_days, opened=opened) == expected


@pytest.mark.parametrize(
    ("days", "ahead_days", "why"),
    [
        ([], 5, "0 days since the first spend, 42 are needed"),
        (history(6)[1:], 5, "41 days since the first spend"),
        ([*history(4, "0", "0"), Decimal(7)], 5, "1 day since the first spend"),
        (history(10), 0, "All days of the window are over"),
        (history(10), 92, "92 days are left; 91 days ahead are the most"),
        ([Decimal(5), *history(10, "0", "0")], 5, "Too irregular"),
        ([*history(7), *history(3, "0", "0")], 5, "Too irregular"),
    ],
)
def test_too_little_says_why(days: list[Decimal], ahead_days: int, why: str) -> None:
    found = said(days, ahead_days)
    assert why in found.why
    assert (found.low, found.likely, found.high) == (None, None, None)
    assert found.sentence == f"No forecast. {found.why}"


def test_one_wild_day_moves_it_little_and_restless_weeks_make_the_band_wide() -> None:
    wild = history(12)
    wild[-3] += 1000
    likely = said(wild, 3).likely
    assert likely is not None
    assert likely < 140  # a mean would say 237 more
    restless = [amount * (3 if number // 7 % 2 else 1) for number, amount in enumerate(history(18))]
    found = said(restless, 7)
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low > 50
    assert found.sentence == f"Likely ${found.likely:,.2f} at its end; the 80 % band is ${found.low:,.2f} to ${found.high:,.2f}."


@settings(max_examples=10, deadline=None)
@given(st.lists(st.decimals("0", "1e5", places=4), min_size=LEAST_DAYS, max_size=HISTORY_DAYS + 9), st.integers(1, 40))
def test_the_band_holds_what_is_likely_and_nothing_below_what_is_spent(days: list[Decimal], ahead_days: int) -> None:
    found = said(days, ahead_days, opened="3", closed="100")
    if found.low is None or found.likely is None or found.high is None:
        assert found.why
    else:
        assert Decimal(103) <= found.low <= found.likely <= found.high


def bill(money: Money, first: date, until: date, *, restless: dict[date, str] | None = None) -> None:
    """10 dollars a workday and 2 on other days, for the project Search; `restless` days have their own amounts."""
    remote_id = money.world.project("Search").remote_id
    days, amounts = [first + number * DAY for number in range((until - first).days)], restless or {}
    money.source.cost_rows = [
        billed(day.isoformat(), amounts.get(day, "2" if day.weekday() >= 5 else "10"), project=remote_id, key=None)
        for day in days
    ]
    run_costs(money.govern.unit_of_work, money.source, trailing_days=3, backfill_days=(until - first).days + 5)


def test_a_budget_is_forecast_from_the_spend_that_is_known(money: Money) -> None:
    money.budget(Decimal(100), [80])
    money.budget(Decimal(100), [80], name="all", scope="organization", scope_id=None)
    money.budget(Decimal(100), [80], name="each", scope="organization", scope_id=None, per_person=True)
    money.budget(Decimal(100), [80], name="one day", period="day")
    bill(money, date(2026, 1, 5), date(2026, 3, 10))
    with money.govern.unit_of_work.reading() as session:
        assert ahead.complete_before(session, utcnow()) == date(2026, 3, 10)
        found = standings(session, queries.active_budgets(session), utcnow())
        likely = ahead.forecasts(session, found, utcnow())
        said = {standing.budget.name: each for standing, each in zip(found, likely, strict=True)}
    # March 2026 has 22 workdays and 9 days of weekends
    assert (said["Search"], said["all"], said["one day"]) == (even("238"), even("238"), even("10"))
    assert said["each"].why == "Nobody has spent anything in this window yet."
    money.clock.move_to("2026-03-10T23:00:00")
    bill(money, date(2026, 1, 5), date(2026, 3, 5))
    with money.govern.unit_of_work.reading() as session:
        one_day = [each for each in found if each.budget.name == "one day"]
        assert ahead.forecasts(session, one_day, utcnow())[0].why == "The figures do not reach into the window yet."


def test_forecasts_of_windows_that_are_over_are_tested_once(money: Money) -> None:
    budget = money.budget(Decimal(100), [80], period="week")
    money.budget(Decimal(100), [80], name="each", scope="organization", scope_id=None, per_person=True)
    assert backtest.run(money.govern.unit_of_work) == {"tests": 0, "held": 0}
    money.clock.move_to("2026-03-04T12:00:00")
    bill(money, date(2026, 1, 5), date(2026, 3, 4), restless={date(2026, 2, 27): "900"})
    money.clock.move_to("2026-03-07T12:00:00")
    run_costs(money.govern.unit_of_work, money.source, trailing_days=30, backfill_days=90)
    # Six weeks are known from 16 February on; two weeks were over and final. 900 dollars on the second one's Friday: what was
    # forecast on its first five days is wrong, and on its last two days the wild day was known.
    assert backtest.run(money.govern.unit_of_work) == {"tests": 14, "held": 9}
    assert backtest.run(money.govern.unit_of_work) == {"tests": 0, "held": 0}
    with money.govern.unit_of_work.reading() as session:
        found = backtest.coverages(session, [budget.id, "bud_none"], utcnow())
        row = session.get_one(ForecastTest, (budget.id, "2026-W09", date(2026, 2, 27)))
        assert (row.low_usd, row.likely_usd, row.high_usd, row.came_usd) == (Decimal(54), Decimal(54), Decimal(54), Decimal(944))
    assert found[budget.id] == backtest.Coverage(14, 9)
    assert found[budget.id].sentence == "Back-tested 14 times: the 80 % band held 64 % of the time."
    assert found["bud_none"].sentence.startswith("Not tested yet")
    money.clock.move_to("2027-06-01T12:00:00")
    backtest.run(money.govern.unit_of_work)
    with money.govern.unit_of_work.reading() as session:
        assert session.scalars(sa.select(ForecastTest).where(ForecastTest.window == "2026-W09")).all() == []


def test_a_forecast_that_reaches_a_threshold_tells_once(money: Money) -> None:
    budget = money.budget(Decimal(250), [80], thresholds_forecast=[150, 90, 95, 20])
    money.budget(Decimal(250), [80], name="each", scope="organization", scope_id=None, per_person=True, thresholds_forecast=[1])
    assert money.evaluate() == {"budgets": 2, "alerts": 0, "withdrawn": 0}
    bill(money, date(2026, 1, 5), date(2026, 3, 10))
    # 66 dollars are spent, 26 %, and 238 are likely, 95.2 %: 20 % is reached already, 150 % is not.
    assert [money.evaluate()["alerts"] for _ in range(2)] == [2, 0]
    with money.govern.unit_of_work.reading() as session:
        lower, higher = session.scalars(sa.select(Alert).order_by(Alert.threshold)).all()
        message = compose(higher, budget, Note.CROSSED, message_id="m", web_url="https://g.example")
    assert [(each.threshold, each.on_forecast, each.superseded) for each in (lower, higher)] == [
        (90, True, True),
        (95, True, False),
    ]
    assert (higher.forecast_usd, higher.spent_usd) == (Decimal(238), Decimal(66))
    assert message.subject == "Forecast: Search will use 95 % of its March budget"
    assert "$238.00 of $250.00. The threshold of 95 % by forecast is reached." in message.text
    with money.govern.unit_of_work(ADMIN) as uow:
        service.change_budget(uow, budget.id, thresholds_forecast=[])
        assert drafts.facts(queries.get(uow.session, budget.id))["thresholds_forecast"] == []
        with pytest.raises(InvalidInput):
            service.change_budget(uow, budget.id, thresholds_forecast=[0])
    bill(money, date(2026, 1, 5), date(2026, 3, 9), restless={date(2026, 3, 8): "180"})
    assert money.evaluate()["alerts"] == 1
    with money.govern.unit_of_work.reading() as session:
        assert [alert.on_forecast for alert in session.scalars(sa.select(Alert).where(Alert.threshold == 80))] == [False]
