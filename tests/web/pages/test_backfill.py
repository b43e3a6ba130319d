"""The history of usage and costs: how much of it was read, on the jobs page, over REST; and while it is being read."""

from __future__ import annotations

from datetime import timedelta

import pytest

from govern.core.clock import utcnow
from govern.core.uow import Actor, ActorKind
from govern.jobs import ledger, service
from govern.usage.rules import DAY
from govern.usage.sync import run_backfill
from tests.usage.reported import CHAT, Reported
from tests.web.conftest import CLI, Door
from tests.web.pages.conftest import Reader

WORKER = Actor(ActorKind.JOB, "worker", "worker")


@pytest.mark.one_database
def test_how_much_of_the_history_was_read(door: Door, readers: dict[str, Reader]) -> None:
    admin, page = door.api("admin"), readers["admin"]
    run_backfill(door.govern.unit_of_work, Reported(), days=30, endpoints=CHAT)
    found = admin.get("/reports/backfill").get_json()
    today = utcnow().date()
    assert (found["state"], found["days"], found["days_read"], found["read_back_to"]) == ("stopped", 365, 0, None)
    assert {part["endpoint"]: part["days_read"] for part in found["endpoints"]}["costs"] == 30
    assert (found["start"], found["end"]) == (str(today - 365 * DAY), str(today))
    assert door.api("manager").get("/reports/backfill").status_code == 403
    assert "goes on with what is missing" in page.get("/jobs").text
    with door.govern.unit_of_work(CLI) as uow:
        run_id = service.request_run(uow, "usage.backfill").id
    assert admin.get("/reports/backfill").get_json()["state"] == "waiting"
    with door.govern.unit_of_work(WORKER) as uow:
        run = ledger.claim_requested(uow, run_id, "wrk_1")
        assert run is not None
        run.started_at = uow.now - timedelta(minutes=10)
        ledger.note_progress(uow, run, "back to", 1000, 4000)
    found = admin.get("/reports/backfill").get_json()
    assert found["state"] == "running"
    assert found["seconds_left"] == pytest.approx(1800, abs=30)
    assert admin.get("/jobs/usage.backfill/runs").get_json()["items"][0]["progress"]["done"] == 1000
    assert "About 30 min left." in page.get("/jobs").text or "About 29 min left." in page.get("/jobs").text
