"""Budgets by command, and crossings that alert once: repeated, at the same time, late, corrected, raised."""

from __future__ import annotations

import threading
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from govern.audit.models import AuditEvent
from govern.budgets import queries, raising, service
from govern.budgets.models import Alert
from govern.budgets.standing import standings
from govern.core import outbox
from govern.core.clock import utcnow
from govern.core.errors import Conflict, InvalidInput, NotFound
from govern.core.outbox import Effect
from govern.keys.models import ObservedKey
from govern.people.models import Assignment
from govern.usage.sync import run_costs
from tests.budgets.conftest import Money
from tests.given import ADMIN, EVE
from tests.usage.reported import MODEL, billed

HUNDRED = Decimal(100)


def alerts(money: Money) -> list[tuple[str, int, bool]]:
    """(window, threshold, speaks) of every alert, in order."""
    with money.govern.unit_of_work.reading() as session:
        rows = session.scalars(sa.select(Alert).order_by(Alert.window, Alert.generation, Alert.threshold))
        return [(row.window, row.threshold, not row.superseded) for row in rows]


def announced(money: Money) -> int:
    with money.govern.unit_of_work.reading() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(Effect).where(Effect.kind == "alert.announce")) or 0


def audited(money: Money, prefix: str) -> list[str]:
    with money.govern.unit_of_work.reading() as session:
        actions = session.scalars(sa.select(AuditEvent.action).order_by(AuditEvent.seq))
        return [action for action in actions if action.startswith(prefix)]


class TestCommands:
    def test_every_command_is_audited(self, money: Money) -> None:
        budget = money.budget(HUNDRED, [80])
        with money.govern.unit_of_work(ADMIN) as uow:
            service.change_budget(uow, budget.id, name="Search team", amount_usd=Decimal("120.5"), notify=["a@acme.example"])
            service.retire_budget(uow, budget.id, reason="no longer needed")
        with money.govern.unit_of_work(ADMIN) as uow:
            service.retire_budget(uow, budget.id)
        assert audited(money, "budget.") == ["budget.created", "budget.changed", "budget.retired"]

    @pytest.mark.one_database
    def test_a_change_without_a_difference_is_none(self, money: Money) -> None:
        budget = money.budget(HUNDRED, [80])
        with money.govern.unit_of_work(ADMIN) as uow:
            service.change_budget(uow, budget.id, amount_usd=Decimal("100.00"), thresholds=[80], zone="UTC")
        assert audited(money, "budget.") == ["budget.created"]

    @pytest.mark.one_database
    def test_a_retired_budget_is_not_changed_and_not_watched(self, money: Money) -> None:
        budget = money.budget(HUNDRED, [80])
        with money.govern.unit_of_work(ADMIN) as uow:
            service.retire_budget(uow, budget.id)
        with money.govern.unit_of_work(ADMIN) as uow, pytest.raises(Conflict):
            service.change_budget(uow, budget.id, name="x")
        money.bills(90)
        assert money.evaluate() == {"budgets": 0, "alerts": 0, "withdrawn": 0}

    @pytest.mark.one_database
    @pytest.mark.parametrize(
        ("facts", "error"),
        [
            ({"scope": "galaxy"}, InvalidInput),
            ({"scope": "organization", "scope_id": "prj_1"}, InvalidInput),
            ({"scope": "project", "scope_id": None}, InvalidInput),
            ({"scope": "project", "scope_id": "prj_nobody"}, NotFound),
            ({"scope": "person", "scope_id": "per_nobody"}, NotFound),
            ({"scope": "team", "scope_id": "Nowhere"}, NotFound),
            ({"scope": "cost_centre", "scope_id": "0"}, NotFound),
            ({"scope": "key", "scope_id": "key_nobody"}, NotFound),
            ({"scope": "model", "scope_id": "x" * 201}, InvalidInput),
            ({"scope": "model", "scope_id": "  "}, InvalidInput),
        ],
    )
    def test_a_scope_must_exist(self, money: Money, facts: dict[str, Any], error: type[Exception]) -> None:
        with pytest.raises(error):
            money.budget(HUNDRED, [80], **facts)
        with money.govern.unit_of_work.reading() as session:
            assert queries.find_budgets(session) == []

    @pytest.mark.one_database
    def test_unknown_budgets_are_not_found(self, money: Money) -> None:
        with money.govern.unit_of_work(ADMIN) as uow, pytest.raises(NotFound):
            service.retire_budget(uow, "bud_nobody")


class TestCrossing:
    @pytest.mark.one_database
    def test_a_threshold_alerts_once_however_often_it_is_looked_at(self, money: Money) -> None:
        money.budget(HUNDRED, [80])
        money.bills("79.99")
        assert money.evaluate()["alerts"] == 0
        money.bills(85)
        assert money.evaluate()["alerts"] == 1
        for spent in (85, 86, 99):
            money.bills(spent)
            assert money.evaluate() == {"budgets": 1, "alerts": 0, "withdrawn": 0}
        assert alerts(money) == [("2026-03", 80, True)]
        assert announced(money) == 1

    @pytest.mark.one_database
    def test_each_threshold_speaks_when_it_is_reached(self, money: Money) -> None:
        money.budget(HUNDRED, [50, 80, 100])
        for spent in (55, 85, 120):
            money.bills(spent)
            assert money.evaluate()["alerts"] == 1
        assert alerts(money) == [("2026-03", 50, True), ("2026-03", 80, True), ("2026-03", 100, True)]

    @pytest.mark.one_database
    def test_a_leap_over_several_is_told_once_by_the_highest(self, money: Money) -> None:
        money.budget(HUNDRED, [50, 80, 100])
        money.bills(85)
        assert money.evaluate()["alerts"] == 2
        assert alerts(money) == [("2026-03", 50, False), ("2026-03", 80, True)]
        assert announced(money) == 1

    @pytest.mark.one_database
    def test_a_new_month_begins_anew(self, money: Money) -> None:
        money.budget(HUNDRED, [80])
        money.bills(85)
        money.evaluate()
        money.clock.move_to("2026-04-10T12:00:00")
        assert money.evaluate()["alerts"] == 0
        money.bills(90, on="2026-04-09")
        money.evaluate()
        assert alerts(money) == [("2026-03", 80, True), ("2026-04", 80, True)]

    def test_a_day_alerts_in_its_own_windows_and_its_bill_may_come_later(self, money: Money) -> None:
        money.budget(HUNDRED, [80], period="day", zone="Europe/Berlin")
        money.bills(85)  # on the ninth; the budget was made on the tenth
        assert money.evaluate()["alerts"] == 0
        for day in ("10", "11"):
            money.clock.move_to(f"2026-03-{day}T12:00:00")
            money.bills(85, on=f"2026-03-{day}")
            assert money.evaluate()["alerts"] == 1
        money.clock.move_to("2026-03-15T12:00:00")
        money.bills(99, on="2026-03-12")
        assert money.evaluate()["alerts"] == 1
        assert alerts(money) == [("2026-03-10", 80, True), ("2026-03-11", 80, True), ("2026-03-12", 80, True)]
        with money.govern.unit_of_work.reading() as session:
            assert [alert.late for alert in queries.find_alerts(session)] == [True, False, False]
        money.clock.move_to("2026-04-25T12:00:00")
        assert money.evaluate()["withdrawn"] == 0  # what is long over is looked at no longer

    def test_other_windows_hold_from_the_change_on(self, money: Money) -> None:
        budget = money.budget(HUNDRED, [80])
        money.bills(85, on="2026-03-04")
        money.evaluate()
        money.clock.move_to("2026-03-12T12:00:00")
        with money.govern.unit_of_work(ADMIN) as uow:
            service.change_budget(uow, budget.id, period="week")
        assert money.evaluate()["alerts"] == 0  # the week before was over
        money.bills(90, on="2026-03-10")
        assert money.evaluate()["alerts"] == 1
        assert alerts(money) == [("2026-03", 80, True), ("2026-W11", 80, True)]

    def test_all_scopes_are_watched(self, money: Money) -> None:
        eve = money.world.person(EVE)
        api_key, _ = money.world.openai.make_personal_key(EVE, "Search")
        money.world.synced()
        money.budget(HUNDRED, [80], name="all", scope="organization", scope_id=None)
        money.budget(HUNDRED, [80], name="eve", scope="person", scope_id=eve.id)
        money.budget(HUNDRED, [80], name="search")
        with money.govern.unit_of_work(ADMIN) as uow:
            place = {"team": "Search and ads", "cost_centre": "C 100", "from_on": date(2026, 1, 1)}
            uow.session.add(Assignment(id="asg_1", person_id=eve.id, **place))
        named = {"team": "Search and ads", "cost_centre": "C 100", "key": api_key, "model": MODEL}
        for scope, scope_id in named.items():
            money.budget(HUNDRED, [80], name=scope, scope=scope, scope_id=scope_id)
        money.budget(HUNDRED, [80], name="another", scope="model", scope_id="not used yet")
        money.bills(85, key=api_key)
        assert money.evaluate() == {"budgets": 8, "alerts": 7, "withdrawn": 0}
        with money.govern.unit_of_work.reading() as session:
            labels = {alert.label for alert in queries.find_alerts(session)}
            key_name = session.scalars(sa.select(ObservedKey.name).where(ObservedKey.remote_id == api_key)).one()
        assert labels == {
            "The organization", eve.name, "Search", "Team Search and ads", "Cost centre C 100", f"Key {key_name}",
            f"Model {MODEL}",
        }  # fmt: skip

    def test_a_key_of_ours_is_watched_by_its_own_id_over_its_versions(self, money: Money) -> None:
        key = money.world.key(EVE)
        money.world.synced()
        with money.govern.unit_of_work.reading() as session:
            remote_id = session.scalars(sa.select(ObservedKey.remote_id).where(ObservedKey.version_id.is_not(None))).one()
        assert money.budget(HUNDRED, [80], scope="key", scope_id=remote_id).scope_id == key.id
        money.bills(85, key=remote_id)
        assert money.evaluate()["alerts"] == 1

    @pytest.mark.one_database
    def test_somebody_elses_spend_does_not_count(self, money: Money) -> None:
        money.budget(HUNDRED, [80])
        money.source.cost_rows = [billed("2026-03-09", "500", project="proj_other", key=None)]
        run_costs(money.govern.unit_of_work, money.source, trailing_days=3, backfill_days=9)
        assert money.evaluate()["alerts"] == 0

    @pytest.mark.one_database
    def test_days_of_another_month_do_not_count(self, money: Money) -> None:
        money.budget(HUNDRED, [80], zone="Pacific/Kiritimati")
        money.bills(85, on="2026-02-28")  # its noon is in March there
        assert money.evaluate()["alerts"] == 1
        assert alerts(money) == [("2026-03", 80, True)]

    def test_an_evaluation_without_news_takes_no_lock(self, money: Money) -> None:
        money.budget(HUNDRED, [80])
        money.bills(85)
        money.evaluate()
        with money.govern.unit_of_work(ADMIN) as uow:
            uow.session.execute(sa.update(Alert).values(label="held"))
            assert money.evaluate()["alerts"] == 0

    @pytest.mark.one_database
    def test_evaluations_at_the_same_time_raise_one_alert(self, money: Money) -> None:
        money.budget(HUNDRED, [50, 80])
        money.budget(HUNDRED, [80], name="all", scope="organization", scope_id=None)
        money.bills(85)
        start, failures, raised = threading.Barrier(4), [], []

        def evaluate() -> None:
            try:
                start.wait()
                with money.govern.unit_of_work(ADMIN) as uow:
                    raised.append(service.evaluate(uow)["alerts"])
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=evaluate) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert sum(raised) == 3
        assert len(alerts(money)) == 3
        assert announced(money) == 2


class TestLateAndCorrected:
    def test_late_data_for_the_month_before_says_so(self, money: Money) -> None:
        money.budget(HUNDRED, [80])
        money.clock.move_to("2026-04-02T12:00:00")
        money.bills(85, on="2026-03-31")
        assert money.evaluate()["alerts"] == 1
        with money.govern.unit_of_work.reading() as session:
            (alert,) = queries.find_alerts(session)
        assert (alert.window, alert.late) == ("2026-03", True)

    @pytest.mark.one_database
    def test_a_month_that_was_over_before_the_budget_was_made_is_left_alone(self, money: Money) -> None:
        money.bills(85, on="2026-02-20")
        money.budget(HUNDRED, [80])
        assert money.evaluate()["alerts"] == 0

    def test_a_correction_withdraws_once_and_never_alerts_again(self, money: Money) -> None:
        money.budget(HUNDRED, [80])
        money.bills(85)
        money.evaluate()
        money.bills(70)
        assert money.evaluate() == {"budgets": 1, "alerts": 0, "withdrawn": 1}
        assert money.evaluate()["withdrawn"] == 0
        money.bills(95)
        assert money.evaluate() == {"budgets": 1, "alerts": 0, "withdrawn": 0}
        assert len(alerts(money)) == 1
        assert announced(money) == 2  # the alert and the note
        assert audited(money, "alert.") == ["alert.raised", "alert.withdrawn"]

    def test_a_change_says_nothing_about_windows_that_were_over(self, money: Money) -> None:
        budget = money.budget(HUNDRED, [100])
        money.bills(60)
        money.clock.move_to("2026-04-05T12:00:00")
        with money.govern.unit_of_work(ADMIN) as uow:
            service.change_budget(uow, budget.id, amount_usd=Decimal(50))
        with money.govern.unit_of_work(ADMIN) as uow:
            service.change_budget(uow, budget.id, thresholds=[10], thresholds_usd=[Decimal(1)])
        assert money.evaluate()["alerts"] == 0  # March had 100 and its threshold
        money.bills(45, on="2026-03-31")
        assert money.evaluate()["alerts"] == 1
        assert alerts(money) == [("2026-03", 100, True)]
        money.bills(5, on="2026-04-04")
        assert money.evaluate()["alerts"] == 2
        with money.govern.unit_of_work.reading() as session:
            limits = {(alert.window, alert.limit_usd) for alert in queries.find_alerts(session)}
        assert limits == {("2026-03", 100), ("2026-04", 50)}

    def test_a_raise_lasts_until_the_end_of_its_day_and_leaves_nothing_behind(self, money: Money) -> None:
        budget = money.budget(HUNDRED, [80, 100], thresholds_usd=[Decimal(110)], zone="Asia/Tokyo")
        with money.govern.unit_of_work(ADMIN) as uow:
            raising.raise_budget(uow, budget.id, by_usd=Decimal(50), until=date(2026, 3, 12), reason="a fair")
        money.bills(115)  # 76 % of 150
        money.evaluate()
        money.clock.move_to("2026-03-12T14:59:59")
        assert money.evaluate()["alerts"] == 0
        money.clock.move_to("2026-03-12T15:00:00")  # midnight in Tokyo
        assert money.evaluate()["alerts"] == 3
        with money.govern.unit_of_work.reading() as session:
            found = {(alert.reached.words, alert.limit_usd, alert.superseded) for alert in queries.find_alerts(session)}
        assert found == {("$110.00", 150, False), ("80 %", 100, True), ("100 %", 100, True), ("$110.00", 100, False)}
        assert money.evaluate()["alerts"] == 0
        assert audited(money, "budget.") == ["budget.created", "budget.raised"]

    def test_a_raise_that_is_ended_holds_for_the_past_it_held_in(self, money: Money) -> None:
        budget = money.budget(HUNDRED, [100])
        with money.govern.unit_of_work(ADMIN) as uow:
            row = raising.raise_budget(uow, budget.id, by_usd=Decimal(50), until=date(2026, 3, 31))
        money.clock.move_to("2026-04-05T12:00:00")
        with money.govern.unit_of_work(ADMIN) as uow:
            raising.end_raise(uow, budget.id, row.id)  # it was over: nothing changes
        money.bills(120, on="2026-03-31")
        assert money.evaluate()["alerts"] == 0  # March ended with 150
        for day, by_usd in ((date(2026, 4, 4), 50), (date.max, 50), (date(2026, 4, 9), 10**9)):
            with money.govern.unit_of_work(ADMIN) as uow, pytest.raises(InvalidInput):
                raising.raise_budget(uow, budget.id, by_usd=Decimal(by_usd), until=day)
        with money.govern.unit_of_work(ADMIN) as uow, pytest.raises(NotFound):
            raising.end_raise(uow, money.budget(HUNDRED, [80]).id, row.id)
        assert audited(money, "budget.")[:2] == ["budget.created", "budget.raised"]

    def test_a_raised_limit_is_no_correction_and_may_alert_again(self, money: Money) -> None:
        budget = money.budget(HUNDRED, [80])
        money.bills(85)
        money.evaluate()
        with money.govern.unit_of_work(ADMIN) as uow:
            service.change_budget(uow, budget.id, amount_usd=Decimal(200))
        assert money.evaluate() == {"budgets": 1, "alerts": 0, "withdrawn": 0}
        money.bills(170)
        assert money.evaluate()["alerts"] == 1
        assert len(alerts(money)) == 2


@pytest.mark.one_database
def test_how_budgets_stand(money: Money) -> None:
    money.budget(HUNDRED, [80])
    money.bills("42.5")
    with money.govern.unit_of_work.reading() as session:
        (standing,) = standings(session, queries.find_budgets(session), utcnow())
    assert (standing.label, standing.percent, standing.left, standing.window.key) == ("Search", 42, Decimal("57.5"), "2026-03")
    assert standing.spent.billed == Decimal("42.5")


def test_lists_go_page_by_page_newest_first(money: Money) -> None:
    made = []
    for number in range(5):
        money.clock.tick(timedelta(seconds=1))
        made.append(money.budget(HUNDRED, [80], name=f"b{number}").id)
    with money.govern.unit_of_work.reading() as session:
        first = queries.find_budgets(session, limit=3)
        rest = queries.find_budgets(session, limit=3, after=first[-1].id)
        assert [budget.id for budget in (*first, *rest)] == made[::-1]
        assert queries.find_budgets(session, scope_ids=["prj_other"]) == []


def test_an_alert_is_announced_in_the_same_transaction(money: Money) -> None:
    budget = money.budget(HUNDRED, [80])
    money.bills(85)

    def evaluate_and_fail() -> None:
        with money.govern.unit_of_work(ADMIN) as uow:
            assert service.evaluate(uow, [budget.id])["alerts"] == 1
            raise Conflict("something else in this transaction")

    with pytest.raises(Conflict):
        evaluate_and_fail()
    assert (alerts(money), announced(money)) == ([], 0)
    money.evaluate()
    with money.govern.unit_of_work.reading() as session:
        (alert,) = queries.find_alerts(session)
        assert outbox.open_effect(session, "alert.announce", alert.id) is not None
