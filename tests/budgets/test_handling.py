"""What is decided about an alert: its state by the clock, who may decide what when, and that each decision is audited once."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from govern.budgets import handling, queries
from govern.budgets.models import Alert, AlertState
from govern.core.clock import utcnow
from govern.core.errors import Conflict, InvalidInput, NotFound
from tests.budgets.conftest import Money
from tests.budgets.test_service import audited
from tests.given import ADMIN, EVE


def told(money: Money) -> tuple[str, str]:
    """The ids of two alerts: one that another spoke for, and the one that spoke."""
    money.budget(Decimal(100), [50, 80])
    money.bills(85)
    money.evaluate()
    with money.govern.unit_of_work.reading() as session:
        loud, quiet = sorted(queries.find_alerts(session), key=lambda row: row.superseded)
        return quiet.id, loud.id


def do(money: Money, command: Any, *args: Any, **more: Any) -> Alert:
    with money.govern.unit_of_work(ADMIN) as uow:
        row: Alert = command(uow, *args, **more)
    return row


def states(money: Money) -> dict[AlertState, list[str]]:
    """State → the ids that a list in this state shows; each is the state that the row itself says."""
    with money.govern.unit_of_work.reading() as session:
        found = {state: queries.find_alerts(session, state=state) for state in AlertState}
        assert all(row.state(utcnow()) is state for state, rows in found.items() for row in rows)
        return {state: sorted(row.id for row in rows) for state, rows in found.items() if rows}


def test_an_alert_goes_from_state_to_state(money: Money) -> None:
    quiet, loud = told(money)
    rest = {AlertState.SUPERSEDED: [quiet]}
    assert states(money) == rest | {AlertState.OPEN: [loud]}

    until = utcnow() + timedelta(hours=4)
    for _ in range(2):
        do(money, handling.snooze, loud, until=until)
    assert states(money) == rest | {AlertState.SNOOZED: [loud]}
    money.clock.tick(timedelta(hours=4))  # no job has to run
    assert states(money) == rest | {AlertState.OPEN: [loud]}

    for _ in range(2):
        do(money, handling.acknowledge, loud)
        do(money, handling.assign, loud, EVE)
    assert states(money) == rest | {AlertState.ACKNOWLEDGED: [loud]}
    with money.govern.unit_of_work.reading() as session:
        row = queries.get_alert(session, loud)
        assert (row.acknowledged_by, row.assigned_to) == (ADMIN.id, money.world.person(EVE).id)
        assert [each.id for each in queries.find_alerts(session, assigned_to=row.assigned_to)] == [loud]

    for _ in range(2):
        do(money, handling.reopen, loud)
    assert states(money) == rest | {AlertState.OPEN: [loud]}

    money.bills(10)
    money.evaluate()
    assert states(money) == {AlertState.WITHDRAWN: sorted([loud, quiet])}
    decided = [each for each in audited(money, "alert.") if each not in ("alert.raised", "alert.withdrawn")]
    assert decided == ["alert.snoozed", "alert.acknowledged", "alert.assigned", "alert.reopened"]


@pytest.mark.one_database
def test_what_cannot_be_decided(money: Money) -> None:
    quiet, loud = told(money)
    for hours in (0, -1, 24 * 90 + 1):
        with pytest.raises(InvalidInput, match="within 90 days"):
            do(money, handling.snooze, loud, until=utcnow() + timedelta(hours=hours))
    with pytest.raises(NotFound):
        do(money, handling.acknowledge, "alr_0")
    with pytest.raises(NotFound):
        do(money, handling.assign, loud, "nobody@acme.example")
    with pytest.raises(Conflict, match="superseded"):
        do(money, handling.acknowledge, quiet)
    do(money, handling.acknowledge, loud)
    with pytest.raises(Conflict, match="Open it again first"):
        do(money, handling.snooze, loud, until=utcnow() + timedelta(hours=1))
    money.bills(10)
    money.evaluate()
    with pytest.raises(Conflict, match="withdrawn"):
        do(money, handling.assign, loud, EVE)
