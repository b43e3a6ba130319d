"""Why spend has no person: over REST and on the usage page, for who sees everybody's spend."""

from __future__ import annotations

import html
import re
from decimal import Decimal

import pytest

from govern.core.clock import utcnow
from govern.usage.reasons import WORDS, Reason
from govern.usage.rules import DAY
from govern.usage.sync import run_costs
from tests.usage.reported import Reported, billed
from tests.web.conftest import Door
from tests.web.pages.conftest import Reader


@pytest.mark.one_database
def test_why_spend_has_no_person(door: Door, readers: dict[str, Reader]) -> None:
    day = str(utcnow().date() - DAY)
    rows = [billed(day, "2", key="key_unknown"), billed(day, "6.5", key=None, project=None), billed(day, "1", key=None)]
    run_costs(door.govern.unit_of_work, Reported([], rows), trailing_days=3, backfill_days=3)
    admin = door.api("admin")
    report = admin.get("/reports/ownerless").get_json()
    assert [(each["whose"], each["reason"], each["amount_usd"]) for each in report["items"]] == [
        ("unattributed", "no_key", "6.50"), ("project", "unknown_key", "2.00"),
        ("project", "no_key", "1.00"),
    ]  # fmt: skip
    parts = [Decimal(report[name]) for name in ("people_usd", "projects_usd", "unattributed_usd")]
    assert (parts, report["freshness"]["billed_to"] is not None) == ([0, 3, Decimal("6.5")], True)
    assert admin.get("/reports/ownerless?clock=estimated").get_json()["items"] == []
    assert door.api("manager").get("/reports/ownerless").status_code == 403
    lines = admin.get("/costs?by=key,reason&reason=unknown_key").get_json()["items"]
    assert [(line["key"], line["reason"]) for line in lines] == [("key_unknown", "unknown_key")]
    assert admin.get("/costs?reason=because").status_code == 422
    page = html.unescape(readers["admin"].get("/usage?range=7").text)
    for reason in (Reason.NO_KEY, Reason.UNKNOWN_KEY):
        assert WORDS[reason].title in page
        assert WORDS[reason].remedy in page
    assert WORDS[Reason.FOREIGN_ACCOUNT].title not in page
    assert "key_unknown" in readers["admin"].get("/usage?range=7&by=key&reason=unknown_key").text
    assert 'id="ownerless"' not in readers["manager"].get("/usage?range=7").text
    charged = html.unescape(readers["admin"].get(f"/chargeback?month={day[:7]}").text)
    [why] = re.findall(r'href="(/usage[?][^"]*whose=unattributed[^"]*)"', charged)
    assert WORDS[Reason.NO_KEY].title in readers["admin"].get(why).text
    assert f"{day[:7]}-01" in why
