"""What forms do: they act once, keep what was typed when refused, ask before they end something, and show secrets once."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa
from freezegun.api import FrozenDateTimeFactory
from werkzeug.test import TestResponse

from govern.budgets import queries as budgets
from govern.budgets.models import Alert, Budget, BudgetRaise
from govern.budgets.service import create_budget, evaluate_all
from govern.budgets.windows import Calendar, Period
from govern.core.clock import utcnow
from govern.identity import queries as identity
from govern.identity.models import ApiToken
from govern.keys.models import Key, KeyState
from govern.members.models import Invite, InviteState
from govern.offboarding.models import Offboarding, Suspension
from govern.projects import queries as projects
from govern.usage.sync import run_costs
from tests.given import ADA, ADMIN, EVE, MAX, OLA
from tests.usage.reported import Reported, billed
from tests.web.conftest import Door
from tests.web.pages.conftest import Reader, secret_of, value_of

Row = TypeVar("Row")


def count(door: Door, table: type[Any]) -> int:
    with door.govern.unit_of_work.reading() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def only(door: Door, table: type[Row]) -> Row:
    with door.govern.unit_of_work.reading() as session:
        return session.scalars(sa.select(table)).one()


def errors_of(page: TestResponse) -> bool:
    return 'role="alert"' in page.text


# --- forms as such ---


def test_a_form_of_another_site_does_nothing(door: Door, admin: Reader) -> None:
    body = {"email": "x@acme.example", "role": "reader"}
    assert admin.client.post("/invites", data=body).status_code == 403
    token = {"csrf_token": "forged", **body}
    assert admin.client.post("/invites", data=token).status_code == 403
    assert admin.client.post("/invites", data=body, headers={"Origin": "https://evil.example"}).status_code == 403
    assert count(door, Invite) == 0


def test_a_form_that_is_sent_twice_acts_once(door: Door, admin: Reader) -> None:
    project = door.world.project()
    page = admin.get("/keys/new")
    values = {"person": EVE, "project": project.id, "name": "laptop", "expires_in_days": "30"}
    hidden = {name: value_of_hidden(page, name) for name in ("csrf_token", "once")}
    first = admin.client.post("/keys", data=hidden | values)
    again = admin.client.post("/keys", data=hidden | values)
    assert first.status_code == again.status_code == 303
    assert first.location == again.location
    assert count(door, Key) == 1


def value_of_hidden(page: TestResponse, name: str) -> str:
    return page.text.partition(f'name="{name}" value="')[2].partition('"')[0]


# --- invites ---


@pytest.mark.one_database
def test_inviting_taking_back_and_sending_again(door: Door, admin: Reader) -> None:
    project = door.world.project()
    values = {"email": "Nora@Acme.example", "role": "reader", "projects": [project.id], "project_role": "member"}
    page = admin.send("/invites/new", "/invites", values)
    assert "nora@acme.example" in page.text
    assert "being sent" in page.text
    invite = only(door, Invite)
    assert invite.projects == [{"id": project.remote_id, "role": "member"}]
    door.world.drain()
    assert "waiting for an answer" in admin.get("/invites?state=pending").text
    admin.send("/invites", f"/invites/{invite.id}/resend")
    door.world.drain()
    assert "cannot be undone" not in admin.get(f"/invites/{invite.id}/cancel").text
    admin.send(f"/invites/{invite.id}/cancel")
    door.world.drain()
    assert only(door, Invite).state is InviteState.CANCELLED
    assert "taken back" in admin.get("/invites").text


@pytest.mark.one_database
def test_a_refused_invite_keeps_what_was_typed(door: Door, admin: Reader) -> None:
    project = door.world.project()
    for email, status, says in (
        ("nobody", 422, "not an e-mail address"),
        (EVE, 409, "is a member already"),
        ("", 422, "not an e-mail address"),
    ):
        values = {"email": email, "role": "owner", "projects": [project.id], "project_role": "owner"}
        page = admin.send("/invites/new", "/invites", values)
        assert page.status_code == status
        assert says in page.text
        assert value_of(page, "email") == email
        assert '<option value="owner" selected>Owner: manages' in page.text
        assert f'value="{project.id}" checked' in page.text
    assert count(door, Invite) == 0


# --- keys ---


def issue(reader: Reader, door: Door, person: str = EVE) -> Key:
    project = door.world.project()
    values = {"person": person, "project": project.id, "name": "laptop", "expires_in_days": "30"}
    page = reader.send("/keys/new?person=" + person, "/keys", values)
    assert "being made" in page.text
    door.world.drain()
    key: Key = only(door, Key)
    return key


@pytest.mark.one_database
def test_a_key_from_asking_to_its_proven_end(door: Door, admin: Reader) -> None:
    key = issue(admin, door)
    shown = admin.get(f"/keys/{key.id}")
    assert "Show the value once" in shown.text
    value = secret_of(admin.send(f"/keys/{key.id}", f"/keys/{key.id}/reveal"))
    assert value.startswith("sk-")
    after = admin.get(f"/keys/{key.id}")
    assert value not in after.text
    assert "Show the value once" not in after.text
    assert "Ada" in after.text.partition("Who saw the value")[2]
    assert "version 1" in after.text.partition("Who saw the value")[2]
    again = admin.send(f"/keys/{key.id}", f"/keys/{key.id}/reveal")
    assert "shown once already" in again.text
    assert value not in again.text

    question = admin.get(f"/keys/{key.id}/revoke")
    assert "cannot be undone" in question.text
    nothing = admin.send(f"/keys/{key.id}/revoke", values={"reason": "  "})
    assert nothing.status_code == 422
    assert door.world.reload(key).state is KeyState.LIVE
    ended = admin.send(f"/keys/{key.id}/revoke", values={"reason": "laptop was stolen"})
    assert "contained, proof pending" in ended.text
    assert 'hx-trigger="every' in ended.text
    door.world.drain()
    proven = admin.get(f"/keys/{key.id}")
    assert "Proven absent at" in proven.text
    assert "laptop was stolen" in proven.text
    assert "hx-trigger" not in proven.text


@pytest.mark.one_database
def test_the_reveal_repeats_only_for_the_same_form(door: Door, admin: Reader) -> None:
    """The answer may be lost on the way: the same form, sent again soon, shows the value again."""
    key = issue(admin, door)
    page = admin.get(f"/keys/{key.id}")
    hidden = {name: value_of_hidden(page, name) for name in ("csrf_token", "once")}
    first = admin.client.post(f"/keys/{key.id}/reveal", data=hidden)
    again = admin.client.post(f"/keys/{key.id}/reveal", data=hidden)
    other = admin.client.post(f"/keys/{key.id}/reveal", data=hidden | {"once": "page-other"})
    assert secret_of(first) == secret_of(again)
    assert other.status_code == 303
    assert first.headers["Cache-Control"] == "no-store"


@pytest.mark.one_database
def test_an_employee_gets_a_key_for_themself_where_they_stand(door: Door, readers: dict[str, Reader]) -> None:
    eve, project = readers["employee"], door.world.project()
    offered = re.findall(r'<option value="(prj_[^"]+)"', eve.get("/keys/new").text)
    assert len(offered) == 1
    values = {"person": EVE, "project": offered[0], "name": "laptop", "expires_in_days": "30"}
    with door.govern.unit_of_work.reading() as session:
        elsewhere = next(each.id for each in projects.open_projects(session) if each.id not in offered)
    assert project.id in (*offered, elsewhere)
    assert eve.send("/keys/new", "/keys", values | {"project": elsewhere}).status_code == 422
    assert eve.send("/keys/new", "/keys", values | {"person": MAX}).status_code == 404
    assert count(door, Key) == 0
    eve.send("/keys/new", "/keys", values)
    door.world.drain()
    key = only(door, Key)
    assert secret_of(eve.send(f"/keys/{key.id}", f"/keys/{key.id}/reveal"))


REFUSED_KEYS: tuple[tuple[dict[str, str], int, str], ...] = (
    ({"person": "ghost@acme.example"}, 404, "nobody with this address"),
    ({"person": "ghost"}, 422, "not an e-mail address"),
    ({"name": ""}, 422, "1 to 120"),
    ({"expires_in_days": "0"}, 422, "between 1 and 365"),
    ({"expires_in_days": "-1"}, 422, "1 to 365"),
    ({"expires_in_days": "٣"}, 422, "1 to 365"),
    ({"project": "prj_none"}, 404, "no project"),
)


@pytest.mark.one_database
def test_a_refused_key_keeps_what_was_typed(door: Door, admin: Reader) -> None:
    for changed, status, says in REFUSED_KEYS:
        values = {"person": EVE, "project": door.world.project().id, "name": "laptop", "expires_in_days": "30"} | changed
        page = admin.send("/keys/new", "/keys", values)
        assert page.status_code == status, changed
        assert says in page.text
        assert errors_of(page)
        assert value_of(page, "person") == values["person"]
        assert value_of(page, "name") == values["name"]
    assert count(door, Key) == 0


@pytest.mark.one_database
def test_the_list_of_keys_is_filtered_and_goes_on(door: Door, admin: Reader) -> None:
    door.world.key(EVE, name="eves")
    door.world.requested_key(ADA, name="adas")
    assert "eves" in admin.get(f"/keys?person={EVE}").text
    assert "adas" not in admin.get(f"/keys?person={EVE}").text
    assert "adas" in admin.get("/keys?state=requested").text
    assert "eves" not in admin.get("/keys?state=requested").text
    assert "No key matches" in admin.get("/keys?person=ghost@acme.example").text
    assert "adas" in admin.get("/keys?state=nonsense").text


# --- removal ---


@pytest.mark.one_database
def test_a_removal_needs_the_typed_address_and_is_followed_to_its_proof(door: Door, admin: Reader) -> None:
    key = door.world.key(EVE)
    preview = admin.get(f"/members/{EVE}/revoke")
    assert "laptop" in preview.text
    wrong = admin.send(f"/members/{EVE}/revoke", values={"reason": "has left", "email": "eve@acme.exampel"})
    assert wrong.status_code == 422
    assert "so nothing was done" in wrong.text
    assert ">has left</textarea>" in wrong.text
    unexplained = admin.send(f"/members/{EVE}/revoke", values={"reason": "x", "email": EVE})
    assert unexplained.status_code == 422
    assert count(door, Offboarding) == 0

    begun = admin.send(f"/members/{EVE}/revoke", values={"reason": "has left", "email": f" {EVE.upper()} "})
    assert "ontained, proof pending" in begun.text
    assert 'hx-trigger="every' in begun.text
    removal = only(door, Offboarding)
    assert door.world.reload(key).state is KeyState.REVOKING
    assert "under way" in admin.get(f"/members/{EVE}").text
    door.world.drain()
    done = admin.get(f"/offboardings/{removal.id}")
    assert "Complete listings show nothing of them any more." in done.text
    assert "hx-trigger" not in done.text
    assert "left" in admin.get(f"/members/{EVE}").text


def test_a_suspension_is_previewed_confirmed_shown_and_lifted(door: Door, admin: Reader) -> None:
    key = door.world.key(EVE)
    assert "Preview the suspension" in admin.get(f"/members/{EVE}").text
    preview = admin.get(f"/members/{EVE}/suspend")
    assert "laptop" in preview.text
    assert "they can still sign in at OpenAI" in preview.text
    unexplained = admin.send(f"/members/{EVE}/suspend", values={"reason": "x", "keys": "freeze"})
    assert unexplained.status_code == 422
    assert admin.send(f"/members/{ADA}/suspend", values={"reason": "on leave", "keys": "freeze"}).status_code == 409
    assert admin.send(f"/members/{EVE}/suspend", values={"reason": "on leave", "keys": "perhaps"}).status_code == 422
    assert count(door, Suspension) == 0

    begun = admin.send(f"/members/{EVE}/suspend", values={"reason": "on leave", "keys": "freeze"})
    assert "0 of 1 keys frozen, 1 on the way." in begun.text
    too_soon = admin.send(f"/members/{EVE}", f"/members/{EVE}/resume", {"reason": "back already"})
    assert (too_soon.status_code, "still being frozen" in too_soon.text) == (409, True)
    door.world.drain()
    assert "1 of 1 keys frozen." in admin.get(f"/members/{EVE}").text
    assert "suspended" in admin.get("/members").text
    admin.send(f"/members/{EVE}", f"/members/{EVE}/resume", {"reason": "back from leave"})
    door.world.drain()
    assert "Preview the suspension" in admin.get(f"/members/{EVE}").text
    assert door.world.reload(key).state is KeyState.LIVE


def test_the_last_owner_stays(door: Door, admin: Reader) -> None:
    page = admin.send(f"/members/{ADA}/revoke", values={"reason": "has left", "email": ADA})
    assert page.status_code == 409
    assert "last owner" in page.text
    assert count(door, Offboarding) == 0


# --- tokens ---


def test_a_token_is_shown_once_works_and_ends(door: Door, admin: Reader) -> None:
    page = admin.get("/tokens/new")
    hidden = {name: value_of_hidden(page, name) for name in ("csrf_token", "once")}
    values = {"name": "pipeline", "expires_in_days": "30", "owner": "me", "permissions": ["members:read"]}
    made = admin.client.post("/tokens", data=hidden | values)
    value = secret_of(made)
    bearer = {"Authorization": f"Bearer {value}"}
    assert door.app.test_client().get("/api/v1/members", headers=bearer).status_code == 200
    assert door.app.test_client().get("/api/v1/jobs", headers=bearer).status_code == 403
    again = admin.client.post("/tokens", data=hidden | values)
    assert "the value was shown then" in again.text
    assert count(door, ApiToken) == 1
    listed = admin.get("/tokens").text
    assert value not in listed
    assert "pipeline" in listed
    token = only(door, ApiToken)
    admin.send(f"/tokens/{token.id}/revoke", values={"reason": "not needed"})
    assert door.app.test_client().get("/api/v1/members", headers=bearer).status_code == 401


@pytest.mark.one_database
def test_a_refused_token_keeps_what_was_ticked(door: Door, readers: dict[str, Reader]) -> None:
    page = readers["employee"].send("/tokens/new", "/tokens", {"name": "", "expires_in_days": "30", "permissions": ["keys:read"]})
    assert page.status_code == 422
    assert 'value="keys:read" checked' in page.text
    more = {"name": "too much", "expires_in_days": "30", "permissions": ["audit:read"]}
    assert readers["employee"].send("/tokens/new", "/tokens", more, follow=False).status_code in (303, 403)
    with door.govern.unit_of_work.reading() as session:
        assert identity.find_tokens(session) == []


# --- budgets ---


def test_a_budget_is_previewed_made_changed_and_retired(door: Door, admin: Reader) -> None:
    values = {
        "name": "All of it", "scope": "organization", "amount_usd": "$1,500.50", "thresholds": "50, 80 100%",
        "notify": "a@acme.example, b@acme.example", "zone": "Europe/Berlin", "period": "quarter", "year_starts": "2",
        "days": "14", "thresholds_usd": "$900, 1000.5", "thresholds_forecast": "100, 120 %",
    }  # fmt: skip
    preview = admin.send("/budgets/new", "/budgets", values | {"preview": "yes"})
    assert "Nothing is saved yet" in preview.text
    assert value_of(preview, "name") == "All of it"
    assert count(door, Budget) == 0
    assert "is watched from now on" in admin.send("/budgets/new", "/budgets", values).text
    budget = only(door, Budget)
    assert (budget.amount_usd, budget.thresholds, budget.zone) == (Decimal("1500.5"), [50, 80, 100], "Europe/Berlin")
    assert budget.notify == ["a@acme.example", "b@acme.example"]
    assert (budget.thresholds_usd, budget.thresholds_forecast) == (["900", "1000.5"], [100, 120])
    assert budget.calendar == Calendar(Period.QUARTER, "Europe/Berlin", 2)
    edit = admin.get(f"/budgets/{budget.id}/edit")
    assert value_of(edit, "amount_usd") == "1500.5"
    assert value_of(edit, "anchor") == ""
    changed = values | {"amount_usd": "2000", "period": "days", "anchor": "2026-03-03"}
    admin.send(f"/budgets/{budget.id}/edit", f"/budgets/{budget.id}", changed)
    assert door.world.reload(budget).amount_usd == Decimal(2000)
    page = admin.get(f"/budgets/{budget.id}").text
    assert "14 days each, one from 2026-03-03, in Europe/Berlin" in page
    assert "every 14 days" in page
    refused = admin.send(f"/budgets/{budget.id}", f"/budgets/{budget.id}/raises", {"by_usd": "10", "until": "2020-01-01"})
    assert (refused.status_code, value_of(refused, "by_usd")) == (422, "10")
    assert "ends today or later" in refused.text
    until = (utcnow() + timedelta(days=3)).date().isoformat()
    raised = admin.send(
        f"/budgets/{budget.id}", f"/budgets/{budget.id}/raises", {"by_usd": "500", "until": until, "reason": "fair"}
    )
    assert "of $2,500.00" in raised.text
    row = only(door, BudgetRaise)
    ended = admin.send(f"/budgets/{budget.id}", f"/budgets/{budget.id}/raises/{row.id}/end")
    assert "of $2,000.00" in ended.text
    admin.send(f"/budgets/{budget.id}/retire", values={"reason": "merged"})
    assert "All of it" not in admin.get("/budgets").text
    assert "All of it" in admin.get("/budgets?retired=yes").text


REFUSED_BUDGETS: tuple[tuple[dict[str, str], str], ...] = (
    ({"amount_usd": "much"}, "Write dollars"),
    ({"amount_usd": "NaN"}, "above 0"),
    ({"amount_usd": "-3"}, "above 0"),
    ({"thresholds": "a lot"}, "whole per cents"),
    ({"thresholds": ""}, "1 to 20 thresholds"),
    ({"thresholds_usd": "some"}, "Write dollars"),
    ({"thresholds_usd": "500,750"}, "a space after each comma"),
    ({"zone": "Mars/Olympus"}, "not a time zone"),
    ({"period": "decade"}, "no such window"),
    ({"period": "days"}, "1 to 366 days"),
    ({"period": "days", "days": "7"}, "one of the windows begin"),
    ({"period": "year", "year_starts": "13"}, "A month from 1 to 12"),
    ({"notify": "nobody"}, "not a mail address"),
    ({"scope": "project"}, "Which project?"),
    ({"scope": "person", "named": ""}, "Which person?"),
    ({"scope": "person", "named": "ghost@acme.example"}, "There is no person"),
    ({"scope": "team", "named": "Nowhere"}, "Nobody has ever been in the team"),
    ({"scope": "galaxy"}, "a cost centre, a key or a model"),
    ({"scope": "model", "named": "gpt-5", "per_person": "yes"}, "a team or a cost centre can be for each person"),
    ({"name": ""}, "needs a name"),
)


@pytest.mark.one_database
def test_a_budget_shows_where_its_window_will_end(door: Door, admin: Reader) -> None:
    with door.govern.unit_of_work(ADMIN) as uow:
        budget = create_budget(uow, name="All", scope="organization", scope_id=None, amount_usd=Decimal(100), thresholds=[80])
    assert "No forecast. Too little data" in admin.get(f"/budgets/{budget.id}").text
    assert "No forecast yet" in admin.get("/budgets").text
    today = utcnow().date()
    days = [(today - timedelta(days=back)).isoformat() for back in range(1, 60)]
    rows = [billed(day, "70", project=door.world.project().remote_id, key=None) for day in days]
    run_costs(door.govern.unit_of_work, Reported(cost_rows=rows), trailing_days=3, backfill_days=70)
    said = door.api("admin").get(f"/budgets/{budget.id}").get_json()["forecast"]
    last = (today.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    whole = f"{70 * last.day}.00"
    assert said == {"low_usd": whole, "likely_usd": whole, "high_usd": whole, "why": None, "tested": 0, "held_percent": None}
    shown = admin.get(f"/budgets/{budget.id}").text
    assert f"Likely ${70 * last.day:,.2f} at its end" in shown
    assert "That is over the limit" in shown
    assert "forecast-band" in shown
    assert "forecast-band" in admin.get("/budgets").text


@pytest.mark.one_database
def test_a_refused_budget_keeps_what_was_typed(door: Door, admin: Reader) -> None:
    for changed, says in REFUSED_BUDGETS:
        values = {
            "name": "All", "scope": "organization", "amount_usd": "10", "thresholds": "80", "notify": "", "zone": "UTC",
            "named": "",
        } | changed  # fmt: skip
        page = admin.send("/budgets/new", "/budgets", values)
        assert page.status_code in (404, 422), changed
        assert says in page.text
        for name in ("name", "amount_usd", "thresholds", "zone", "named"):
            assert value_of(page, name) == values[name]
    assert count(door, Budget) == 0


def test_a_budget_that_would_tell_at_once_is_confirmed_first(door: Door, admin: Reader) -> None:
    today = utcnow().date().isoformat()
    source = Reported(cost_rows=[billed(today, "85", project=door.world.project().remote_id, key=None)])
    run_costs(door.govern.unit_of_work, source, trailing_days=3, backfill_days=3)
    values = {"name": "A day", "scope": "organization", "amount_usd": "50", "thresholds": "80", "zone": "UTC", "period": "day"}
    asked = admin.send("/budgets/new", "/budgets", values)
    assert "It would be over today, and 1 alert would be sent at once." in asked.text
    assert "Save all the same" in asked.text
    assert count(door, Budget) == 0
    assert "is watched from now on" in admin.send("/budgets/new", "/budgets", values | {"confirm": "yes"}).text
    each = values | {"scope": "organization", "per_person": "yes"}
    assert "Nobody would be over today" in admin.send("/budgets/new", "/budgets", each | {"preview": "yes"}).text
    budget = only(door, Budget)
    higher = admin.send(f"/budgets/{budget.id}/edit", f"/budgets/{budget.id}", values | {"amount_usd": "100"})
    assert "It would not be over today, and 1 alert would be sent at once." in higher.text
    assert door.world.reload(budget).amount_usd == Decimal(50)


@pytest.mark.one_database
def test_an_alert_is_decided_about(door: Door, admin: Reader) -> None:
    with door.govern.unit_of_work(ADMIN) as uow:
        budget = create_budget(uow, name="All", scope="organization", amount_usd=Decimal(50), thresholds=[80])
    rows = [billed(utcnow().date().isoformat(), "45", project=door.world.project().remote_id, key=None)]
    run_costs(door.govern.unit_of_work, Reported(cost_rows=rows), trailing_days=3, backfill_days=3)
    evaluate_all(door.govern.unit_of_work)
    alert = only(door, Alert)
    page, inbox = f"/alerts/{alert.id}", f'href="/alerts/{alert.id}"'
    assert inbox in admin.get("/alerts").text
    assert "Choose one of these." in admin.send(page, f"{page}/snooze", {"hours": "9"}).text
    assert admin.send(page, f"{page}/sing", {}).status_code == 404
    assert "Snoozed until" in admin.send(page, f"{page}/snooze", {"hours": "24"}).text
    assert "Nothing waits for you" in admin.get("/alerts").text
    assert inbox in admin.get("/alerts?state=snoozed").text
    assert "Open again" not in admin.send(page, f"{page}/reopen", {}).text
    assert f"<bdi>{door.world.person(EVE).name}</bdi>" in admin.send(page, f"{page}/assign", {"person": EVE}).text
    assert "Acknowledged" in admin.send(page, f"{page}/acknowledge", {}).text
    assert inbox in admin.get("/alerts?state=acknowledged").text
    assert "No alert matches" in admin.get("/alerts?state=all&mine=yes").text
    assert inbox in admin.get(f"/alerts?budget={budget.id}").text


@pytest.mark.one_database
def test_a_budget_of_a_person(door: Door, admin: Reader, readers: dict[str, Reader]) -> None:
    values = {"name": "Eve", "scope": "person", "named": EVE, "amount_usd": "5", "thresholds": "80", "zone": "UTC"}
    admin.send("/budgets/new", "/budgets", values)
    with door.govern.unit_of_work.reading() as session:
        (budget,) = budgets.active_budgets(session)
    assert budget.scope_id == door.world.person(EVE).id
    assert "of $5.00" in readers["employee"].get("/me").text
    assert "Eve" in readers["manager"].get("/budgets").text
    each = values | {"name": "A day each", "scope": "organization", "per_person": "yes", "period": "day", "amount_usd": "7"}
    admin.send("/budgets/new", "/budgets", each)
    with door.govern.unit_of_work.reading() as session:
        (made,) = [row for row in budgets.active_budgets(session) if row.per_person]
    assert "of $7.00" in readers["employee"].get("/me").text
    page = admin.get(f"/budgets/{made.id}").text
    assert "Nobody has spent anything yet" in page
    assert "Each person" in page


# --- jobs and the record ---


@pytest.mark.one_database
def test_a_job_is_run_by_hand(door: Door, admin: Reader, readers: dict[str, Reader]) -> None:
    assert "No worker is running" in admin.get("/jobs").text
    page = admin.send("/jobs", "/jobs/keys.expire/runs")
    assert "was asked for" in page.text
    assert 'hx-trigger="every' in page.text
    door.world.drain()
    assert "hx-trigger" not in admin.get("/jobs").text
    assert admin.client.post("/jobs/nonsense/runs").status_code == 403
    refused = readers["auditor"].get("/jobs")
    assert "Run now" not in refused.text


def test_the_audit_log_is_filtered_and_judged(door: Door, admin: Reader) -> None:
    key = door.world.key(EVE)
    found = admin.get(f"/audit-events?subject={key.id}")
    assert "key.issued" in found.text
    assert "session.started" not in found.text
    assert "No event matches" in admin.get("/audit-events?action=nothing").text
    assert "The chain holds" in admin.get("/audit-events?verify=yes").text
    with door.govern.engine.begin() as connection:
        for trigger in ("audit_events_no_update", "audit_events_no_delete"):
            if connection.dialect.name == "sqlite":
                connection.execute(sa.text(f"DROP TRIGGER IF EXISTS {trigger}"))
        names = (
            connection.scalars(sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all()
            if connection.dialect.name == "sqlite"
            else []
        )
        for trigger in names:
            connection.execute(sa.text(f"DROP TRIGGER {trigger}"))
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("ALTER TABLE audit_events DISABLE TRIGGER USER"))
        connection.execute(sa.text("UPDATE audit_events SET actor_label = 'somebody else' WHERE seq = 2"))
    verdict = admin.get("/audit-events?verify=yes")
    assert "The chain is broken at event 2" in verdict.text


# --- lists and reach ---


def test_members_are_searched_and_filtered(door: Door, admin: Reader) -> None:
    assert EVE in admin.get("/members?search=EVE").text
    assert OLA not in admin.get("/members?search=EVE").text
    assert "Nobody matches" in admin.get("/members?search=%25").text
    owners = admin.get("/members?role=owner").text
    assert ADA in owners
    assert EVE not in owners


@pytest.mark.one_database
def test_a_manager_sees_their_people_only(door: Door, readers: dict[str, Reader]) -> None:
    page = readers["manager"].get("/members").text
    assert EVE in page
    assert OLA not in page
    assert readers["manager"].get(f"/members/{OLA}").status_code == 404
    theirs, other = door.world.key(EVE), door.world.key(OLA, name="other")
    assert readers["manager"].get(f"/keys/{theirs.id}").status_code == 200
    assert readers["manager"].get(f"/keys/{other.id}").status_code == 404
    assert readers["manager"].get(f"/keys/{other.id}/revoke").status_code == 404


@pytest.mark.one_database
def test_the_value_is_shown_only_after_a_fresh_sign_in(clock: FrozenDateTimeFactory, door: Door) -> None:
    eve = Reader(door.browser("employee"))
    key = door.world.key(EVE)
    clock.tick(timedelta(minutes=6))
    page = eve.get(f"/keys/{key.id}")
    assert f"/auth/login?next=/keys/{key.id}&amp;fresh=yes" in page.text
    refused = eve.send(f"/keys/{key.id}", f"/keys/{key.id}/reveal")
    assert "Sign in again" in refused.text
    assert door.world.reload(door.world.version(key)).revealed_at is None
    again = Reader(door.browser("employee"))
    assert secret_of(again.send(f"/keys/{key.id}", f"/keys/{key.id}/reveal"))


@pytest.mark.one_database
def test_a_token_is_made_only_after_a_fresh_sign_in(clock: FrozenDateTimeFactory, door: Door) -> None:
    eve = Reader(door.browser("employee"))
    clock.tick(timedelta(minutes=6))
    assert "/auth/login?next=/tokens/new&amp;fresh=yes" in eve.get("/tokens/new").text
    values = {"name": "x", "expires_in_days": "30", "permissions": ["keys:read"]}
    assert "Sign in again to make a token" in eve.send("/tokens/new", "/tokens", values).text
    assert count(door, ApiToken) == 0
