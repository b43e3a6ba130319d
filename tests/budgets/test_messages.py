"""What an alert says: the figure, where it comes from, and nothing that a name could smuggle in."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from govern.budgets.messages import compose
from govern.budgets.models import Alert, Budget, Note, Scope
from govern.budgets.rules import dollars
from govern.notify.webhook import encode
from govern.ports import Message

AT = datetime(2026, 3, 10, 12, tzinfo=UTC)


def message(note: Note = Note.CROSSED, *, scope: Scope = Scope.PROJECT, per_person: bool = False, **facts: Any) -> Message:
    budget = Budget(
        id="bud_1",
        name="Search <team>",
        scope=scope,
        scope_id="prj_1",
        zone="Europe/Berlin",
        amount_usd=Decimal(100),
        per_person=per_person,
    )
    values: dict[str, Any] = {
        "id": "alr_1", "budget_id": "bud_1", "window": "2026-03", "threshold": 80, "label": "search", "limit_usd": Decimal(100),
        "spent_usd": Decimal("85.129"), "billed_usd": Decimal("60"), "estimated_usd": Decimal("25.129"), "late": False,
        "raised_at": AT,
    } | facts  # fmt: skip
    return compose(Alert(**values), budget, note, message_id="dlv_1", web_url="https://govern.example")


def test_the_subject_says_who_how_much_and_of_which_month() -> None:
    assert message().subject == "search has used 85 % of its March budget"


def test_the_text_says_both_clocks_and_where_to_look() -> None:
    text = message().text
    assert "The project search has used 85 % of its March 2026 budget “Search <team>”: $85.13 of $100.00." in text
    assert "$60.00 is billed by OpenAI and $25.13 is estimated from usage" in text
    assert "2026-03-01 to 2026-03-31 (Europe/Berlin" in text
    assert "Open the alert: https://govern.example/alerts/alr_1" in text
    assert "late data" not in text


@pytest.mark.parametrize(
    ("window", "whose", "counted"),
    [
        ("2026-W11", "its 9–15 March 2026 budget", "2026-03-09 to 2026-03-15 (Europe/Berlin"),
        ("2026-04/2027-03", "its April 2026 – March 2027 budget", "2026-04-01 to 2027-03-31 (Europe/Berlin"),
        ("2026-03-10", "its 10 March 2026 budget", "It counts 2026-03-10 (Europe/Berlin"),
    ],
)
def test_other_windows_have_names_too(window: str, whose: str, counted: str) -> None:
    text = message(window=window).text
    assert whose in text
    assert counted in text


def test_a_threshold_in_dollars_is_named_in_dollars() -> None:
    said = message(threshold=0, threshold_usd=Decimal(85))
    assert "The threshold of $85.00 is reached." in said.text
    assert (said.facts["threshold"], said.facts["threshold_usd"]) == (None, Decimal(85))
    assert message().facts["threshold_usd"] is None


def test_late_data_says_so() -> None:
    assert "This is late data: March was over when it arrived." in message(late=True).text


def test_a_correction_says_what_it_corrects() -> None:
    said = message(Note.WITHDRAWN, withdrawn_at=AT, withdrawn_usd=Decimal("79.5"))
    assert said.subject == "Correction: search has used 79 % of its March budget"
    assert "The alert for 80 % said $85.13." in said.text
    assert said.facts["corrected_usd"] == Decimal("79.5")


def test_a_team_is_named_as_one() -> None:
    facts: dict[str, Any] = {"scope": Scope.TEAM, "label": "Team Ads"}
    assert message(**facts).text.count("Team Ads has used") == 1
    assert "the spend of team Ads back" in message(Note.WITHDRAWN, withdrawn_at=AT, withdrawn_usd=Decimal(1), **facts).text


def test_a_budget_for_each_speaks_of_the_person() -> None:
    facts: dict[str, Any] = {"scope": Scope.TEAM, "label": "Eve", "person_id": "per_1"}
    said = message(per_person=True, **facts)
    assert said.text.startswith("Eve has used 85 %")
    assert said.facts["person_id"] == "per_1"
    assert message().facts["person_id"] is None


def test_the_organization_is_named_in_the_middle_of_a_sentence_too() -> None:
    said = message(Note.WITHDRAWN, scope=Scope.ORGANIZATION, label="The organization", withdrawn_at=AT, withdrawn_usd=Decimal(1))
    assert "the spend of the organization back" in said.text


@pytest.mark.parametrize("name", ["a\r\nBcc: x@y.example", "tab\there", "null\x00", "bidi\u202eevil", "line\u2028sep"])
def test_a_name_cannot_break_the_subject(name: str) -> None:
    assert message(label=name).subject.isprintable()


def test_a_name_cannot_break_the_page() -> None:
    page = message(label='<script>alert("x")</script>').html
    assert page is not None
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "Search &lt;team&gt;" in page


def test_facts_survive_json_exactly() -> None:
    assert b'"spent_usd":"85.129"' in encode(message())


@pytest.mark.parametrize(
    ("amount", "text"),
    [("0", "$0.00"), ("0.004", "less than $0.01"), ("1234567.891", "$1,234,567.89"), ("-3.5", "-$3.50"), ("0.01", "$0.01")],
)
def test_dollars_for_people(amount: str, text: str) -> None:
    assert dollars(Decimal(amount)) == text
