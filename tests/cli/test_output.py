"""Tables: what stands in a cell."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from govern.cli import output
from govern.core.outbox import EffectState


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        ("", "–"),
        (datetime(2026, 3, 10, 12, 0, 5, 123, tzinfo=UTC), "2026-03-10 12:00:05"),
        (Decimal("1234.5678"), "1,234.57"),
        (True, "yes"),
        (EffectState.READY, "ready"),
        ({"added": 1, "vanished": 0}, "added 1, vanished 0"),
        ([50, 80], "50, 80"),
        # Names come from outside: neither markup nor control characters may reach the terminal.
        ("[red]loud[/red]", r"\[red]loud\[/red]"),
        ("\x1b[2Jgone", r"�\[2Jgone"),
        ("abc\u202etxt", "abc�txt"),
    ],
)
def test_a_cell_is_plain_text(value: object, text: str) -> None:
    assert output.cell(value) == text


def test_json_keeps_money_exact_and_times_in_utc(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"usd": Decimal("0.000000001"), "more": Decimal("100.5"), "at": datetime(2026, 3, 10, tzinfo=UTC), "name": "Zoë"}]
    output.show(rows, {"usd": "USD"}, as_json=True, empty="")
    item = json.loads(capsys.readouterr().out)["items"][0]
    assert item == {"usd": "0.000000001", "more": "100.50", "at": "2026-03-10T00:00:00Z", "name": "Zoë"}


def test_ids_are_not_cut_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    long = "run_" + "0123456789" * 9
    output.show([{"id": long, "other": long}], {"id": "Id", "other": "Other"}, as_json=False, empty="")
    assert f"{long}  {long}" in capsys.readouterr().out
