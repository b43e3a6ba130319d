"""Files of spend: every digit, no formula, page by page; FOCUS by its published rules; a chargeback that is the bill."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import openpyxl
import pytest
import sqlalchemy as sa
from freezegun import freeze_time

from govern.people.models import Assignment
from govern.usage import chargeback, exports, focus, queries, reports
from govern.usage.exports import Sheet
from govern.usage.models import CostFact
from govern.usage.names import By, Whose
from govern.usage.questions import Question, View
from govern.usage.records import CostAdjustment
from govern.usage.sync import run_costs, run_usage
from tests.given import ADMIN, EVE, World
from tests.usage.reported import CHAT, MODEL, Reported, billed, used

if TYPE_CHECKING:
    from govern.bootstrap import Govern

MARCH = (date(2026, 3, 1), date(2026, 4, 1))


@pytest.fixture(autouse=True)
def in_april() -> Iterator[None]:
    with freeze_time("2026-04-10T12:00:00", tick=True):
        yield


@pytest.fixture
def month(world: World, govern: Govern) -> World:
    """A March: Eve before and after a move on the twelfth, a project's own, something of nobody, a credit, other currencies."""
    project = world.synced().project("Search").remote_id
    api_key, _ = world.openai.make_personal_key(EVE, "Search")
    world.synced()
    with govern.unit_of_work(ADMIN) as uow:
        for first, team, centre in ((date(2026, 1, 1), "=cmd|'/c calc'!A1", "CC1"), (date(2026, 3, 12), "ads", "CC2")):
            person_id = world.person(EVE).id
            uow.session.add(Assignment(id=uow.new_id("asg"), person_id=person_id, team=team, cost_centre=centre, from_on=first))
    costs = [
        billed("2026-03-11", "0.123456789", key=api_key, project=project),
        billed("2026-03-12", "7654321.000000001", key=api_key, project=project, item=f"{MODEL}, cached input"),
        billed("2026-03-12", "-2.5", key=api_key, project=project, item="promotional credit", unit=None),
        billed("2026-03-13", "40", key=None, project=project, item="+web search, tool calls", unit="1000_tokens"),
        billed("2026-03-14", "3", key=None, project=None, item=None, unit=None),
        billed("2026-03-14", "9", key=None, project=None, currency="eur"),
        billed("2026-03-15", "0", key=None, project=project, item="free of charge"),
    ]
    usage = [
        used("2026-03-11T10:00", key=api_key, project=project, input_tokens=823_045),
        used("2026-03-14T10:00", model="gpt-99"),
    ]
    run_usage(govern.unit_of_work, Reported(usage), trailing_days=3, backfill_days=40, endpoints=CHAT)
    run_costs(govern.unit_of_work, Reported([], costs), trailing_days=3, backfill_days=40)
    return world


def read(sheet: Sheet) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(exports.csv_lines(sheet)))))


def test_a_months_chargeback_is_the_bill(month: World, govern: Govern) -> None:
    with govern.unit_of_work.reading() as session:
        report = chargeback.chargeback(session, date(2026, 3, 20))
        facts = session.scalars(sa.select(CostFact.amount)).all()
        open_month = chargeback.chargeback(session, date(2026, 4, 2))
    assert report.bill == report.total == sum(facts) - 9
    assert report.difference == 0
    assert report.final
    assert not open_month.final
    assert report.other_currencies == {"eur": 9}
    assert [(line.whose, line.cost_centre, line.team, line.people, line.amount) for line in report.lines] == [
        (Whose.PERSON, "CC1", "=cmd|'/c calc'!A1", 1, Decimal("0.123456789")),
        (Whose.PERSON, "CC2", "ads", 1, Decimal("7654318.500000001")),
        (Whose.PROJECT, "", "", 0, 40),
        (Whose.NOBODY, "", "", 0, 3),
    ]
    rows = read(exports.chargeback(report))
    assert rows[0]["team"] == "'=cmd|'/c calc'!A1"
    assert rows[-1]["kind"] == "bill"
    assert sum(Decimal(row["amount_usd"]) for row in rows[:-2]) == Decimal(rows[-1]["amount_usd"]) == report.bill


def test_what_changes_after_the_month_was_closed_is_a_line_of_its_own(month: World, govern: Govern) -> None:
    with govern.unit_of_work.reading() as session:
        before = chargeback.chargeback(session, MARCH[0])
    with govern.unit_of_work(ADMIN) as uow:
        eves, *_ = uow.session.execute(
            sa.select(CostFact.day, CostFact.series_id, CostFact.amount).where(CostFact.day == date(2026, 3, 11))
        )
        uow.session.add(
            CostAdjustment(
                id="adj_1", day=eves.day, series_id=eves.series_id, found_at=uow.now, before=Decimal(0), after=eves.amount
            )
        )
    with govern.unit_of_work.reading() as session:
        after = chargeback.chargeback(session, MARCH[0])
    assert [(line.amount, line.adjustment) for line in after.lines if line.cost_centre == "CC1"] == [
        (Decimal("0.123456789"), True)
    ]
    assert (after.total, after.adjustments, after.difference) == (before.total, Decimal("0.123456789"), 0)
    with govern.unit_of_work(ADMIN) as uow:
        for number, (day, old, new) in enumerate([(date(2026, 3, 12), "10", "12.5"), (date(2026, 3, 13), "4", "0")]):
            series = uow.session.scalars(sa.select(CostFact.series_id).where(CostFact.day == day)).first()
            uow.session.add(
                CostAdjustment(
                    id=f"adj_more_{number}", day=day, series_id=series if number == 0 else eves.series_id, found_at=uow.now,
                    before=Decimal(old), after=Decimal(new),
                )
            )  # fmt: skip
    rows = read(focus.sheet(govern.unit_of_work.reading, *MARCH, account="acme"))
    for row in rows:
        check_focus(row)
    corrections = [row for row in rows if row["ChargeClass"]]
    assert {(row["ChargePeriodStart"][:10], row["ChargeClass"], Decimal(row["BilledCost"])) for row in corrections} == {
        ("2026-03-11", "Correction", Decimal("0.123456789")), ("2026-03-12", "Correction", Decimal("2.5")),
        ("2026-03-13", "Correction", Decimal(-4)),
    }  # fmt: skip
    assert {row["ChargeCategory"] for row in corrections} == {"Usage", "Adjustment"}
    assert [Decimal(row["BilledCost"]) for row in rows if row["ChargePeriodStart"][:10] == "2026-03-11"] == [
        Decimal("0.123456789")
    ]
    assert sum(Decimal(row["BilledCost"]) for row in rows if row["BillingCurrency"] == "USD") == after.bill


def test_files_hold_every_digit_and_no_formula(month: World, govern: Govern, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "AT_ONCE", 2)
    question = Question(*MARCH, (By.DAY, By.TEAM, By.PERSON), View.BILLED)
    with govern.unit_of_work.reading() as session:
        lines = queries.lines(session, *MARCH, by=question.by, view=View.BILLED)
    rows = read(exports.spend(govern.unit_of_work.reading, question))
    assert [(row["day"], Decimal(row["amount_usd"])) for row in rows] == [
        (line.ids[By.DAY], line.figure.amount) for line in lines
    ]
    assert {row["team"][:2] for row in rows} == {"'=", "ad", ""}
    with exports.xlsx(exports.spend(govern.unit_of_work.reading, question)) as file:
        book = openpyxl.load_workbook(file)
    cells = list(book["Spend"].iter_rows(min_row=2))
    at = [cell.value for cell in book["Spend"][1]].index("amount_usd")
    assert [Decimal(str(row[at].value)) for row in cells] == [line.figure.amount for line in lines]
    assert {cell.data_type for row in cells for cell in row} == {"s", "n"}
    assert "=cmd|'/c calc'!A1" in {row[1].value for row in cells}
    assert "'" not in "".join(exports.csv_lines(Sheet("x", ["a"], [[Decimal(-1)], [-5], [date(2026, 1, 1)]])))


def test_the_estimate_is_held_against_the_bill(month: World, govern: Govern) -> None:
    with govern.unit_of_work.reading() as session:
        found = reports.accuracy(session, *MARCH)
        cover = reports.coverage(session, date(2026, 3, 1), date(2026, 5, 1), date(2026, 4, 10))
        moved = reports.movers(session, date(2026, 3, 12), date(2026, 3, 13), by=By.TEAM, view=View.BILLED)
    (both,) = [day for day in found.days if day.error is not None]
    assert (both.day, both.model, both.estimated) == (date(2026, 3, 11), MODEL, Decimal("0.12345675"))
    assert found.error == abs(both.error or 0) == Decimal("0.000000")
    assert found.met
    assert [reports.meets(error) for error in (None, reports.TARGET, Decimal("0.0301"))] == [None, True, False]
    assert found.unpriced == {"gpt-99": 1_000_000}
    assert found.coverage is not None
    assert found.coverage < 1
    assert (cover.settled, cover.billed, cover.estimated, cover.missing) == (37, 4, 0, 0)
    assert [(each.name[:4], each.change) for each in moved] == [
        ("ads", Decimal("7654318.500000001")), ("=cmd", Decimal("-0.123456789")),
    ]  # fmt: skip


# --- FOCUS 1.2: what https://focus.finops.org/focus-specification/v1-2/ and the columns' pages of its repository ask for ---

MANDATORY = {
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
    "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost",
    "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName",
    "ServiceCategory", "ServiceName",
}  # fmt: skip
NEVER_NULL = MANDATORY - {"BillingAccountName", "ChargeClass", "ChargeDescription", "PricingQuantity", "PricingUnit"}
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
CHECKS: dict[str, Callable[[str], object]] = {
    "BillingCurrency": re.compile(r"[A-Z]{3}").fullmatch,
    "ChargeCategory": {"Usage", "Purchase", "Tax", "Credit", "Adjustment"}.__contains__,
    "ChargeClass": {"Correction"}.__contains__,
    "ChargeFrequency": {"One-Time", "Recurring", "Usage-Based"}.__contains__,
    "PricingCategory": {"Standard", "Dynamic", "Committed", "Other"}.__contains__,
    "ServiceCategory": {"AI and Machine Learning"}.__contains__,
    "ServiceSubcategory": {
        "Bots", "Generative AI", "Machine Learning", "Natural Language Processing", "Other (AI and Machine Learning)",
    }.__contains__,
    "PricingUnit": re.compile(r"([1-9][0-9]* )?(Tokens|Seconds|Minutes|Hours|GiB-Hours|Images|Characters|Units)").fullmatch,
    **dict.fromkeys(
        ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost", "PricingQuantity", "ConsumedQuantity"), NUMBER.fullmatch
    ),
    **dict.fromkeys(
        ("BillingPeriodEnd", "BillingPeriodStart", "ChargePeriodEnd", "ChargePeriodStart"),
        lambda value: datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC),
    ),
}  # fmt: skip
TOGETHER = (
    ("BillingAccountId", "BillingAccountType"), ("SubAccountId", "SubAccountType"), ("ResourceId", "ResourceType"),
    ("SkuId", "SkuPriceId"), ("PricingQuantity", "PricingUnit"), ("ConsumedQuantity", "ConsumedUnit"),
)  # fmt: skip


def check_focus(row: dict[str, str]) -> None:
    """Raise AssertionError where a row breaks a rule of FOCUS 1.2 that can be seen in the row itself. '' is null."""
    assert row.keys() >= MANDATORY
    assert [name for name in NEVER_NULL if not row[name]] == []
    assert [name for name, good in CHECKS.items() if row[name] and not good(row[name])] == []
    assert [pair for pair in TOGETHER if bool(row[pair[0]]) != bool(row[pair[1]])] == []
    if row["ChargeCategory"] == "Usage" and not row["ChargeClass"]:
        assert all(row[name] for name in ("PricingQuantity", "PricingUnit", "PricingCategory", "SkuId", "SkuPriceId")), row
    else:
        assert not row["ConsumedQuantity"]
    assert row["BillingPeriodStart"] <= row["ChargePeriodStart"] < row["ChargePeriodEnd"] <= row["BillingPeriodEnd"]
    assert row["ListCost"] == row["ContractedCost"] == row["BilledCost"], "no unit prices: then these match the billed cost"
    if not row["ResourceId"]:
        assert not row["ResourceName"]


def test_the_focus_export_keeps_the_published_rules_and_adds_up_to_the_bill(
    month: World, govern: Govern, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(focus, "_AT_ONCE", 2)
    rows = read(focus.sheet(govern.unit_of_work.reading, *MARCH, account="acme"))
    own = [name for name in focus.COLUMNS if not name.startswith("x_")]
    ours = [name for name in focus.COLUMNS if name.startswith("x_")]
    assert (*sorted(own), *sorted(ours)) == focus.COLUMNS
    for row in rows:
        check_focus(row)
    with govern.unit_of_work.reading() as session:
        facts = session.scalars(sa.select(CostFact.amount)).all()
        bill = chargeback.chargeback(session, date(2026, 3, 1)).bill
    assert sorted(Decimal(row["BilledCost"]) for row in rows) == sorted(facts)
    assert sum(Decimal(row["BilledCost"]) for row in rows if row["BillingCurrency"] == "USD") == bill
    by_description = {row["ChargeDescription"]: row for row in rows}
    assert by_description["'+web search, tool calls"]["PricingUnit"] == "1000 Tokens"
    assert by_description["promotional credit"]["ChargeCategory"] == "Credit"
    assert by_description[f"{MODEL}, cached input"]["x_CostCentre"] == "CC2"
    assert (by_description[""]["ChargeCategory"], by_description[""]["SubAccountId"]) == ("Adjustment", "")
    assert rows[0]["x_PersonId"] == month.person(EVE).id
