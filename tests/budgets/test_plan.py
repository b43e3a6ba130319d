"""Budgets as code: what a file may say, what would change, and that doing it twice does it once."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from govern.budgets import declared, plan, queries, service
from govern.budgets.models import Scope
from govern.core.clock import utcnow
from govern.core.errors import Conflict, InvalidInput, NotFound
from tests.budgets.conftest import Money
from tests.given import ADMIN, EVE

EXAMPLE = Path(__file__).parents[2] / "config" / "budgets.example.toml"


def read(text: str) -> dict[str, dict[str, Any]]:
    return declared.read(tomllib.loads(text, parse_float=Decimal))


def test_the_example_says_what_its_comments_say() -> None:
    found = read(EXAMPLE.read_text(encoding="utf-8"))
    assert list(found) == ["everything", "each-engineer", "experiments", "sprint"]
    assert (found["everything"]["scope"], found["everything"]["scope_id"]) == (Scope.ORGANIZATION, None)
    each = found["each-engineer"]
    assert (each["scope"], each["scope_id"], each["per_person"], each["zone"]) == (Scope.TEAM, "Engineering", True, "UTC")
    assert found["experiments"]["thresholds_usd"] == [Decimal(1000), Decimal("1499.50")]
    assert (found["sprint"]["name"], found["sprint"]["anchor"].isoformat()) == ("sprint", "2026-03-03")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("budget = 1", "There is no 'budget'"),
        ("budgets = 1", "budgets: that is to be a table"),
        ("[budgets]\nx = 1", "budgets.x: that is to be a table"),
        ('[budgets."Big One"]\namount_usd = 1', "a slug has small letters"),
        ("[budgets.x]\nname = 'x'", "budgets.x: amount_usd is missing"),
        ("[budgets.x]\namount_usd = true", "amount_usd cannot be 'True'"),
        ("[budgets.x]\namount_usd = 'lots'", "amount_usd cannot be 'lots'"),
        ("[budgets.x]\namount = 1", "budgets.x: there is no 'amount' here"),
        ("[budgets.x]\namount_usd = 1\nteam = 'a'\nperson = 'b'", "of person or of team, not of both"),
        ("[budgets.x]\namount_usd = 1\nthresholds = [0.5]", "thresholds cannot be"),
        ("[budgets.x]\namount_usd = 1\nnotify = 'a@b.example'", "notify cannot be"),
        ("[budgets.x]\namount_usd = 1\nanchor = 2026-03-03T00:00:00", "anchor cannot be"),
        ("[budgets.x]\namount_usd = 1\nper_person = 1", "per_person cannot be"),
        ("[defaults]\nteam = 'a'", "defaults: there is no 'team' here"),
    ],
)
def test_a_mistake_is_named_where_it_is(text: str, says: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(text)
    assert says in refused.value.sentence


FILE = """
[defaults]
thresholds = [80]
[budgets.all]
amount_usd = 100
[budgets.eve]
name = "Eve"
person = "{eve}"
amount_usd = "50.5"
"""


def apply(money: Money, text: str) -> list[str]:
    """What was done, in words; what it said before is what it does."""
    wanted = read(text)
    with money.govern.unit_of_work.reading() as session:
        said = [step.words for step in plan.plan(session, wanted, utcnow()).steps]
    with money.govern.unit_of_work(ADMIN) as uow:
        done = [step.words for step in plan.apply(uow, wanted).steps]
    assert done == said
    with money.govern.unit_of_work(ADMIN) as uow:
        assert plan.apply(uow, wanted).steps == ()
    return done


def test_a_file_is_made_so_and_then_nothing_is_left_to_do(money: Money) -> None:
    first = FILE.format(eve=EVE)
    eve = money.world.person(EVE)
    by_hand = money.budget(Decimal(7), [80], name="by hand")
    assert apply(money, first) == [
        "+ all: create $100.00 a month for The organization, told at 80 %",
        f"+ eve: create $50.50 a month for {eve.name}, told at 80 %",
    ]
    money.bills(90)
    assert money.evaluate()["alerts"] == 2  # that by hand, and all
    second = first.replace("amount_usd = 100", 'amount_usd = 85\nthresholds = [80, 100]\nzone = "Asia/Tokyo"')
    assert apply(money, second) == [
        "~ all: change amount_usd $100.00 → $85.00; thresholds 80 → 80, 100; zone UTC → Asia/Tokyo. "
        "It would be over today, and 1 alert would be sent at once."
    ]
    third = second.replace(f'person = "{EVE}"', "per_person = true").replace("[budgets.all]", "[budgets.every]")
    assert [line.split(" ")[:3] for line in apply(money, third)] == [
        ["+", "every:", "create"], ["±", "eve:", "replace"], ["-", "all:", "retire"],
    ]  # fmt: skip
    with money.govern.unit_of_work.reading() as session:
        kept = {budget.slug or budget.id: budget.name for budget in queries.active_budgets(session)}
    assert kept == {by_hand.id: "by hand", "every": "every", "eve": "Eve"}


@pytest.mark.one_database
def test_a_plan_names_who_is_not_there_and_does_nothing_by_halves(money: Money) -> None:
    with money.govern.unit_of_work(ADMIN) as uow, pytest.raises(NotFound, match=r"budgets\.eve: There is no person"):
        plan.apply(uow, read(FILE.format(eve="ghost@acme.example")))
    with money.govern.unit_of_work(ADMIN) as uow, pytest.raises(InvalidInput, match=r"budgets\.all: .* above 0"):
        plan.apply(uow, read("[budgets.all]\namount_usd = 0"))
    with money.govern.unit_of_work.reading() as session:
        assert queries.find_budgets(session, retired=True) == []
        assert plan.plan(session, read(FILE.format(eve=EVE)), utcnow()).sentence == "2 to create, 0 unchanged."


def test_a_slug_is_taken_once(money: Money) -> None:
    money.budget(Decimal(1), [80], slug="x")
    with pytest.raises(Conflict), money.govern.unit_of_work(ADMIN) as uow:
        plan._create(uow, read("[budgets.x]\namount_usd = 1")["x"])
    with money.govern.unit_of_work(ADMIN) as uow:
        (budget,) = queries.active_budgets(uow.session)
        service.retire_budget(uow, budget.id)
    money.budget(Decimal(1), [80], slug="x")
