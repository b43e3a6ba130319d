"""Budgets for each person of a group: for whom they hold, who goes before them, and crossings of each by themselves."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from govern.budgets import drafts, preview, queries, service
from govern.budgets.defaults import Defaults, Place
from govern.budgets.models import Alert, Budget, Scope
from govern.budgets.standing import of_people, of_person, standings
from govern.budgets.windows import Period
from govern.core.clock import utcnow
from govern.core.errors import InvalidInput
from govern.people.models import Assignment
from tests.budgets.conftest import Money
from tests.given import ADMIN, EVE, MAX

MADE, UNTIL = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)


def budget(name: str, scope: Scope, scope_id: str = "", **more: Any) -> Budget:
    facts = {"per_person": scope is not Scope.PERSON, "period": Period.MONTH, "created_at": MADE} | more
    return Budget(id=name, name=name, scope=scope, scope_id=scope_id, **facts)


BUDGETS = [
    budget("everybody", Scope.ORGANIZATION),
    budget("each in ads", Scope.TEAM, "Ads"),
    budget("each in c1", Scope.COST_CENTRE, "c1"),
    budget("eve's own", Scope.PERSON, "eve"),
    budget("max's own from April", Scope.PERSON, "max", created_at=UNTIL),
    budget("each in ads a day", Scope.TEAM, "Ads", period=Period.DAY),
    budget("ads together", Scope.TEAM, "Ads", per_person=False),
    budget("each without a team", Scope.TEAM, "", per_person=True),
    budget("every 10 days", Scope.ORGANIZATION, period=Period.DAYS, days=10),
    budget("every 9 days in ads", Scope.TEAM, "Ads", period=Period.DAYS, days=9),
]


@pytest.mark.parametrize(
    ("person", "place", "holding"),
    [
        ("mal", Place(), {"everybody", "every 10 days"}),
        ("mal", Place("Sales", "c2"), {"everybody", "every 10 days"}),
        ("mal", Place("Sales", "c1"), {"each in c1", "every 10 days"}),
        ("mal", Place("Ads", "c1"), {"each in ads", "each in ads a day", "every 10 days", "every 9 days in ads"}),
        ("eve", Place("Ads", "c1"), {"eve's own", "each in ads a day", "every 10 days", "every 9 days in ads"}),
        ("max", Place("", "c1"), {"each in c1", "every 10 days"}),
    ],
)
def test_the_nearest_budget_of_each_kind_of_window_holds(person: str, place: Place, holding: set[str]) -> None:
    assert {each.name for each in Defaults(BUDGETS).holding(person, place, UNTIL)} == holding


@pytest.fixture
def two(money: Money) -> dict[str, str]:
    """Eve and Max, both in a team, each with a key with which they spend: who → OpenAI's key id."""
    keys = {who: money.world.openai.make_personal_key(who, "Search")[0] for who in (EVE, MAX)}
    money.world.synced()
    with money.govern.unit_of_work(ADMIN) as uow:
        for who in keys:
            person = money.world.person(who)
            uow.session.add(Assignment(id=uow.new_id("asg"), person_id=person.id, team="Ads", from_on=date(2026, 1, 1)))
    return keys


def spoke(money: Money) -> set[tuple[str, str, int]]:
    """(budget, whose, threshold) of every alert."""
    with money.govern.unit_of_work.reading() as session:
        rows = session.execute(sa.select(Budget.name, Alert.label, Alert.threshold).join(Alert, Alert.budget_id == Budget.id))
        return {(name, label, threshold) for name, label, threshold in rows}


def test_each_crosses_by_themselves_and_their_own_budget_goes_before(money: Money, two: dict[str, str]) -> None:
    eve, max_ = money.world.person(EVE), money.world.person(MAX)
    each = money.budget(Decimal(100), [80, 100], name="each", scope="team", scope_id="Ads", per_person=True)
    money.budget(Decimal(1000), [80], name="all of them", scope="team", scope_id="Ads")
    money.bills(85, key=two[EVE])
    assert money.evaluate() == {"budgets": 2, "alerts": 1, "withdrawn": 0}
    money.bills(120, key=two[MAX])
    assert money.evaluate()["alerts"] == 2
    assert money.evaluate()["alerts"] == 0
    told = {("each", eve.name, 80), ("each", max_.name, 80), ("each", max_.name, 100)}
    assert spoke(money) == told
    with money.govern.unit_of_work.reading() as session:
        (most,) = standings(session, [queries.get(session, each.id)], utcnow())
        people = of_people(session, queries.get(session, each.id), utcnow())
        assert (most.label, most.percent, [row.percent for row in people]) == ("Each in team Ads", 120, [120, 85])
        mine = of_person(session, eve.id, utcnow())
        assert [(row.label, row.percent, row.person_id) for row in mine] == [(eve.name, 85, eve.id)]
    # Max gets a budget of his own: it goes before the one of each, and what was said stays said.
    money.budget(Decimal(500), [20], name="max's", scope="person", scope_id=max_.id)
    money.bills(300, key=two[MAX])
    assert money.evaluate()["alerts"] == 1
    assert spoke(money) == told | {("max's", max_.name, 20)}
    # A correction withdraws Eve's alert, and nobody else's.
    money.bills(0, key=two[EVE])
    assert money.evaluate()["withdrawn"] == 1
    assert money.evaluate() == {"budgets": 3, "alerts": 0, "withdrawn": 0}


def test_a_change_is_previewed_before_it_tells_anybody(money: Money, two: dict[str, str]) -> None:
    facts: dict[str, Any] = {"scope": "team", "scope_id": "Ads", "per_person": True}
    money.bills(85, key=two[EVE])
    money.bills(120, key=two[MAX])
    with money.govern.unit_of_work.reading() as session:
        new = drafts.draft(session, name="each", amount_usd=Decimal(110), thresholds=[70, 100], **facts)
        found = preview.of_new(session, new, utcnow())
        assert found.sentence == "1 person would be over today, and 2 alerts would be sent at once."
        seen = [(each.standing.label, [mark.words for mark in each.crossed]) for each in found.affected]
        assert seen == [(money.world.person(MAX).name, ["70 %", "100 %"]), (money.world.person(EVE).name, ["70 %"])]
    made = money.budget(Decimal(110), [70, 100], name="each", **facts)
    assert money.evaluate()["alerts"] == 3
    with money.govern.unit_of_work.reading() as session:
        assert preview.of_change(session, made.id, {"name": "other"}, utcnow()).alerts == 0
        lower = preview.of_change(session, made.id, {"amount_usd": Decimal(80)}, utcnow())
        assert lower.sentence == "2 people would be over today (1 is now), and 2 alerts would be sent at once."
        day = preview.of_change(session, made.id, {"period": "day"}, utcnow())
        assert day.sentence == "Nobody would be over today (1 is now), and no alert would be sent at once."
    whole = money.budget(Decimal(500), [70], name="all")
    with money.govern.unit_of_work.reading() as session:
        assert queries.get(session, made.id).amount_usd == 110
        found = preview.of_change(session, whole.id, {"thresholds": [], "thresholds_usd": [Decimal(200)]}, utcnow())
        assert found.sentence == "It would not be over today, and 1 alert would be sent at once."
        assert [each.standing.label for each in found.affected] == ["Search"]
        assert preview.of_change(session, whole.id, {"amount_usd": Decimal(50)}, utcnow()).over == 1
    assert money.evaluate()["alerts"] == 0


@pytest.mark.one_database
def test_who_changes_the_team_takes_the_month_along(money: Money, two: dict[str, str]) -> None:
    money.budget(Decimal(100), [80], name="ads", scope="team", scope_id="Ads", per_person=True)
    money.budget(Decimal(50), [80], name="everybody", scope="organization", scope_id=None, per_person=True)
    with money.govern.unit_of_work(ADMIN) as uow:
        eve = money.world.person(EVE)
        uow.session.execute(sa.update(Assignment).where(Assignment.person_id == eve.id).values(until_on=date(2026, 3, 10)))
    money.bills(60, key=two[EVE])
    money.bills(60, key=two[MAX])
    assert money.evaluate()["alerts"] == 1
    assert spoke(money) == {("everybody", eve.name, 80)}


@pytest.mark.one_database
def test_only_people_can_be_each(money: Money) -> None:
    for scope, scope_id in (("project", "Search"), ("model", "gpt-5"), ("person", EVE)):
        with pytest.raises(InvalidInput):
            money.budget(Decimal(1), [80], scope=scope, scope_id=scope_id, per_person=True)
    with money.govern.unit_of_work(ADMIN) as uow:
        made = service.create_budget(uow, name="each", scope="organization", per_person=True, amount_usd=Decimal(1))
    with money.govern.unit_of_work.reading() as session:
        (row,) = standings(session, [queries.get(session, made.id)], utcnow())
        assert (row.label, row.percent, row.spent.amount) == ("Each person", 0, 0)
