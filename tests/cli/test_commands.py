"""What an administrator does on the host: with a table for people, JSON for programs, and the outcome awaited."""

from __future__ import annotations

import json
import stat
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from freezegun import freeze_time

from govern.core.clock import utcnow
from govern.fakes.openai import FakeOpenAI
from govern.identity import queries as identity
from govern.settings import load_settings
from govern.worker.runner import run_job
from tests.cli.conftest import Govern
from tests.given import EVE, World


@pytest.fixture
def project(world: World, command: Govern) -> str:
    """The organization is known; the name of a project that may hold keys."""
    assert command("sync directory").code == 0
    return world.project().name


def test_the_database_is_upgraded_and_checked(command: Govern, host: pytest.MonkeyPatch, tmp_path: Path) -> None:
    host.setenv("GOVERN_DATABASE_URL", f"sqlite:///{tmp_path}/deep/below/govern.db")
    assert command("db check").code == 4
    assert "from empty to" in command("db upgrade").out
    again = command("db upgrade")
    assert (again.code, "The database is at" in again.out) == (0, True)
    assert command("db check").code == 0


def test_a_new_sealing_key_is_private_usable_and_never_overwritten(
    command: Govern, host: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "keys" / "sealing.key"
    assert command(f"init --new-sealing-key {file}").code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    host.delenv("GOVERN_SEALING_KEYS")
    host.setenv("GOVERN_SEALING_KEYS_FILE", str(file))
    assert len(load_settings().sealing.ring()) == 1
    before = file.read_text()
    again = command(f"init --new-sealing-key {file}")
    assert again.code == 4
    assert file.read_text() == before
    assert before.strip() not in again.out + again.err


def test_the_first_administrator_gets_a_link(command: Govern, host: pytest.MonkeyPatch) -> None:
    answer = command("init --admin ada@acme.example")
    assert answer.code == 0
    assert answer.out.startswith("http://127.0.0.1:8000/auth/setup/")
    assert command("audit list --json --action setup_link.").json["items"][0]["action"] == "setup_link.created"
    assert command("init").code == 2
    host.setenv("GOVERN_OIDC_ISSUER", "https://login.example.com")
    refused = command("init --admin ada@acme.example")
    assert refused.code == 4
    assert "--again" in refused.err
    assert command("init --admin ada@acme.example --again").code == 0


@pytest.mark.one_database
def test_sync_pulls_and_reports(command: Govern) -> None:
    answer = command("sync --json")
    assert answer.code == 0
    assert [row["job"] for row in answer.json["items"]] == ["directory.sync", "usage.sync", "costs.sync"]
    assert {row["state"] for row in answer.json["items"]} == {"done"}
    assert "ada@acme.example" in command("members list").out
    assert command("jobs runs --json --job usage.sync").json["items"][0]["requested_by"]


def test_spend_is_told_and_written_to_files(command: Govern, world: World, openai: FakeOpenAI, tmp_path: Path) -> None:
    day = utcnow().date() - timedelta(days=5)
    openai.spend(project="Search", usd=85, on=day.isoformat(), model="gpt-4o-mini-2024-07-18")
    assert command("sync").code == 0
    costs = command("costs --by model --by month --largest --compare --clock billed --json").json["items"]
    assert Decimal(costs[0]["amount_usd"]) > 0
    assert "Billed through" in command("usage --by person").out
    lines = command("costs --by month --by model --clock billed --csv").out.splitlines()
    assert lines[0].startswith("month,model,amount_usd")
    assert sum(Decimal(line.split(",")[2]) for line in lines[1:]) == sum(Decimal(row["amount_usd"]) for row in costs)
    assert command(f"costs --by person --xlsx {tmp_path}/spend.xlsx").code == 0
    assert (tmp_path / "spend.xlsx").read_bytes().startswith(b"PK")
    month = f"{day:%Y-%m}"
    report = command(f"report chargeback {month} --json").json["items"]
    assert [(row["kind"], Decimal(row["amount_usd"])) for row in report] == [("project's own", 85)]
    focus = command(f"report focus --from {day} --to {day}").out.splitlines()
    assert focus[0].startswith("BilledCost,BillingAccountId")
    assert [row["model"] for row in command("report accuracy --json").json["items"]] == ["gpt-4o-mini-2024-07-18"]
    assert "to be within 3.00 %: the target is" in command("report accuracy").out
    assert "Billed through" in command("report movers --by project").out
    read = command("report backfill --json").json
    assert (read["state"], read["days"], len(read["endpoints"])) == ("stopped", 365, 12)
    assert f"of 365 days read of every endpoint, back to {read['read_back_to']} (" in command("report backfill").out
    why = command("report ownerless --json").json["items"]
    assert [(row["whose"], row["reason"], Decimal(row["amount_usd"])) for row in why] == [("project", "no_key", 85)]
    assert "No key is named: OpenAI names" in command("report ownerless").out
    window = f"--period year --year-starts {day.month}"
    assert command(f"budgets create Year --usd 9 --at 100 {window} --notify it@acme.example").code == 0
    run_job(world.govern, "budgets.evaluate")
    world.drain()
    [alert] = command("budgets alerts --json").json["items"]
    assert alert["told"] == ["it@acme.example (failed)"]  # no mail is set up here
    assert "sends it to it@acme.example again" in command("budgets send-again", alert["id"]).out
    assert command("budgets send-again", alert["id"]).code == 4  # under way
    soon = (utcnow() + timedelta(days=2)).date()
    assert f"rests until {soon} 00:00 UTC" in command("alerts snooze", alert["id"], "--until", str(soon)).out
    assert command("alerts reopen", alert["id"], "--json").json["state"] == "open"
    assert command("alerts assign", alert["id"], EVE).code == 0
    assert "is acknowledged" in command("alerts acknowledge", alert["id"]).out
    [row] = command("alerts list --state acknowledged --json").json["items"]
    assert row["id"] == alert["id"]
    assert alert["id"] in command("alerts").out
    assert command("report chargeback 2026-13").code == 2
    assert command("costs --person nobody@acme.example").code == 4


@pytest.mark.one_database
def test_a_sync_that_openai_refuses_fails_with_its_sentence(command: Govern, host: pytest.MonkeyPatch) -> None:
    host.setenv("GOVERN_OPENAI_ADMIN_KEY", "sk-admin-this-one-is-not-known-there")
    answer = command("sync directory")
    assert answer.code == 1
    assert answer.err.startswith("directory.sync failed.")
    assert "this-one-is-not-known" not in answer.out + answer.err


def test_a_key_from_issue_to_revoke(command: Govern, project: str, openai: FakeOpenAI) -> None:
    issued = command(f"keys issue {EVE} --name laptop --days 30 --json", project)
    assert issued.code == 0
    key = issued.json
    assert (key["state"], key["person"], key["project"]) == ("live", "Eve Employee", project)
    assert key["id"] in command(f"keys list --person {EVE}").out
    value = command(f"keys reveal {key['id']}").out.strip()
    assert openai.oracle().authenticates(value)
    assert command(f"keys reveal {key['id']}").code == 4
    revoked = command(f"keys revoke {key['id']} --reason lost")
    assert (revoked.code, revoked.out) == (0, f"{key['id']} is revoked, and proven absent.\n")
    assert not openai.oracle().authenticates(value)
    assert command("keys list --json --state revoked").json["items"][0]["id"] == key["id"]


@pytest.mark.one_database
def test_a_policy_forbids_with_its_own_code(command: Govern, project: str, host: pytest.MonkeyPatch) -> None:
    host.setenv("GOVERN_KEYS_MOST_PER_PERSON", "1")
    assert command(f"keys issue {EVE} --name one", project).code == 0
    refused = command(f"keys issue {EVE} --name two", project)
    assert refused.code == 5
    assert "the most per person is 1" in refused.err


def test_a_member_is_invited_and_revoked(command: Govern, project: str, openai: FakeOpenAI) -> None:
    invited = command("members invite nia@acme.example --json --project", f"{project}:owner")
    assert invited.code == 0
    assert invited.json["state"] == "pending"
    assert [invite.email for invite in openai.oracle().invites()] == ["nia@acme.example"]
    assert command("members resend-invite", invited.json["id"]).code == 0
    assert command("members cancel-invite", invited.json["id"]).code == 0
    foreseen = command(f"members revoke {EVE} --dry-run --json").json
    assert (foreseen["seat"], foreseen["refused"], foreseen["dry_run"]) == ("reader", None, True)
    assert command(f"members revoke {EVE} --dry-run").out.endswith("Nothing was done.\n")
    assert "they can still sign in at OpenAI" in command(f"members suspend {EVE} --dry-run").out
    assert command(f"members suspend {EVE} --reason 'on leave'").out.startswith(f"{EVE} is suspended; 0 keys are frozen.")
    assert command(f"members suspend {EVE} --reason 'on leave' --json").json["state"] == "suspended"
    assert command(f"members resume {EVE} --reason back").out.startswith(f"{EVE} is resumed.")
    gone = command(f"members revoke {EVE} --reason 'left the company'")
    assert (gone.code, gone.out) == (0, f"{EVE} is removed, and proven absent.\n")
    assert EVE not in {member.email for member in openai.oracle().members()}
    assert command(f"members revoke {EVE} --reason again").code == 0
    told = {each["name"]: each["state"] for each in command(f"members removal {EVE} --json").json["witnesses"]}
    assert told == {"complete_listings": "proven", "openai_audit_log": "silent", "no_usage": "pending"}
    assert f"The removal of {EVE} is revoked." in command(f"members removal {EVE}").out
    assert command("members removal nobody@acme.example").code != 0


@pytest.mark.one_database
def test_without_a_worker_and_without_the_key_a_promise_is_kept_later(
    command: Govern, project: str, host: pytest.MonkeyPatch, world: World
) -> None:
    host.delenv("GOVERN_OPENAI_ADMIN_KEY")
    answer = command(f"keys issue {EVE} --name later --json", project)
    assert answer.code == 0
    assert answer.json["state"] == "requested"
    assert "done as soon as `govern worker` starts" in answer.err
    assert command("sync").code == 2
    world.drain()
    assert command("keys list --json").json["items"][0]["state"] == "live"


def test_budgets_are_made_listed_and_retired(command: Govern, project: str) -> None:
    made = command("budgets create Search --usd 100.50 --at 50 --at 100 --json --project", project)
    assert made.json["amount_usd"] == "100.50"
    listed = command("budgets list --json").json["items"][0]
    assert (listed["label"], listed["thresholds"], listed["percent"]) == (project, [50, 100], 0)
    assert "No forecast. Too little data: 0 days since the first spend" in command("budgets forecast", made.json["id"]).out
    assert command("budgets retire", made.json["id"]).code == 0
    assert command("budgets create two --usd 9 --model gpt-5 --person", EVE).code == 2
    made = command(
        "budgets create Year --usd 9 --at-usd 7.5 --model gpt-5 --period year --year-starts 7 --zone Asia/Tokyo --json"
    )
    listed = command("budgets list --json").json["items"][0]
    assert command("budgets raise --by 3 --until 2090-01-01", made.json["id"]).code == 2
    each = command("budgets create each --usd 9 --each --json").json
    assert command("budgets people", each["id"]).out.startswith("Nobody for whom it holds has spent anything")
    assert command("budgets retire", each["id"]).code == 0
    tried = command("budgets create each --usd 9 --each --dry-run")
    assert tried.out == "Nobody would be over today, and no alert would be sent at once. Nothing is saved.\n"
    assert command("budgets change --usd 8 --dry-run", made.json["id"]).out.startswith("It would not be over today")
    changed = command("budgets change --name Years --at 50 --at-forecast 100 --json", made.json["id"]).json
    assert (changed["name"], changed["amount_usd"]) == ("Years", "9.00")
    until = utcnow() + timedelta(days=2)
    assert "is raised until the end of" in command(f"budgets raise --by 3 --until {until:%Y-%m-%d}", made.json["id"]).out
    raised = command("budgets list --json").json["items"][0]
    assert (raised["limit_usd"], raised["amount_usd"], raised["at"]) == ("12.00", "9.00", ["50 %", "$7.50", "100 % by forecast"])
    assert (listed["label"], listed["per"], listed["window"][4:8]) == ("Model gpt-5", "a fiscal year", "-07/")
    assert command("budgets retire", made.json["id"]).code == 0
    assert command("budgets").out == "There are no budgets yet. Make one with `govern budgets create`.\n"
    assert command("budgets alerts").out == "No threshold was reached yet.\n"


def test_budgets_are_kept_in_a_file(command: Govern, tmp_path: Path) -> None:
    file = tmp_path / "budgets.toml"
    file.write_text('[budgets.all]\namount_usd = 99.50\nperiod = "week"\n')
    planned = command("budgets plan", str(file))
    assert planned.code == 7
    assert planned.out == "+ all: create $99.50 a week for The organization, told at 80 %, 100 %\n1 to create, 0 unchanged.\n"
    assert command("budgets apply --json", str(file)).json["steps"][0]["kind"] == "create"
    again = command("budgets plan", str(file))
    assert (again.code, again.out) == (0, "1 unchanged.\n")
    file.write_text("")
    assert "- all: retire the budget of The organization" in command("budgets apply", str(file)).out
    file.write_text("[budgets")
    assert command("budgets plan", str(file)).code == 2


def test_a_token_is_shown_once_and_can_be_revoked(command: Govern, world: World) -> None:
    answer = command("token create ci --role auditor --days 1")
    value = answer.out.strip()
    assert value.startswith("gov_")

    with world.govern.unit_of_work.reading() as session:
        assert identity.principal_of_token(session, world.govern.box, value, utcnow()) is not None
    listed = command("token list --json").json["items"][0]
    assert value not in command("token list --json").out
    assert command("token revoke", listed["id"]).code == 0
    with world.govern.unit_of_work.reading() as session:
        assert identity.principal_of_token(session, world.govern.box, value, utcnow()) is None


def test_the_audit_log_is_verified_and_a_change_is_found(command: Govern, world: World) -> None:
    command("token create one --role auditor")
    command("token create two --role auditor")
    verified = command("audit verify --json")
    assert (verified.code, verified.json["ok"], verified.json["events"]) == (0, True, 2)
    with world.govern.engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("DROP TRIGGER audit_events_keep_update")
        else:
            connection.exec_driver_sql("ALTER TABLE audit_events DISABLE TRIGGER audit_events_keep")
        connection.exec_driver_sql("UPDATE audit_events SET actor_label = 'somebody else' WHERE seq = 2")
    broken = command("audit verify")
    assert broken.code == 1
    assert "Event 2 was changed" in broken.err


def test_the_audit_log_is_handed_out_and_gone_on_with(command: Govern) -> None:
    for name in ("one", "two", "three"):
        command(f"token create {name} --role auditor")
    lines = [json.loads(line) for line in command("audit export").out.splitlines()]
    assert [line["seq"] for line in lines] == [1, 2, 3]
    [last] = command("audit export --after 2 --format ocsf").out.splitlines()
    told = json.loads(last)
    assert (told["class_uid"], told["metadata"]["sequence"], told["unmapped"]["digest"]) == (3004, 3, lines[2]["digest"])


def test_an_exported_audit_log_is_verified_far_from_the_database(
    command: Govern, host: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = {"log.jsonl": "audit export", "signed.jsonl": "audit checkpoints --sign", "key.pem": "evidence key"}
    for name in ("one", "two", "three"):
        command(f"token create {name} --role auditor")
    for file, line in {"": "audit checkpoints --sign", **files}.items():
        answer = command(line)
        assert answer.code == 0
        if file:
            (tmp_path / file).write_text(answer.out, encoding="utf-8")
    assert len((tmp_path / "signed.jsonl").read_text().splitlines()) == 2  # making the key was an event too
    assert command("audit verify --checkpoints signed.jsonl").code == 0
    assert "No sink is set up" in command("audit sinks").out
    host.setenv("GOVERN_AUDIT_SYSLOG", "tls://logs.example.com:6514")
    [sink] = command("audit sinks --json").json["items"]
    assert (sink["name"], sink["seq"], sink["lacks"]) == ("syslog", 0, 2)
    by_ring = command("audit verify log.jsonl")
    assert by_ring.out == "All 4 events hold. Whether later ones were cut off shows only with --checkpoints.\n"
    assert command("audit verify log.jsonl --checkpoints signed.jsonl --json").json["ok"] is True

    command("token create four --role auditor")  # neither file reaches further than the other
    for _ in range(2):
        (tmp_path / "whole.jsonl").write_text(command("audit export --signed proof.jsonl").out, encoding="utf-8")
        whole = command("audit verify whole.jsonl --checkpoints proof.jsonl --key key.pem")
        assert whole.out == "All 5 events hold.\n"
    for name in ("GOVERN_DATABASE_URL", "GOVERN_SEALING_KEYS"):
        host.delenv(name)
    assert command("audit verify log.jsonl --key key.pem").code == 2
    offline = "audit verify log.jsonl --checkpoints signed.jsonl --key key.pem"
    assert command(offline).out == "All 4 events hold.\n"
    log = (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "log.jsonl").write_text("".join(log[:-1]), encoding="utf-8")
    cut = command(offline)
    assert (cut.code, "ends at 3, but a checkpoint of event 4 was signed" in cut.err) == (1, True)
    (tmp_path / "log.jsonl").write_text("".join(log[3:]), encoding="utf-8")
    assert command(f"{offline} --after 3").code == 0
    assert command(offline).code == 1


def test_old_audit_events_go_only_when_it_is_said_twice(command: Govern, host: pytest.MonkeyPatch) -> None:
    with freeze_time("2026-01-10 12:00:00"):
        command("token create one --role auditor")
        assert command("audit checkpoints --sign").code == 0
    assert command("audit forget").code == 2
    host.setenv("GOVERN_AUDIT_KEEP_DAYS", "30")
    assert command("audit forget").out == "The events up to 1 would go. Nothing was changed; add --yes.\n"
    assert "Nothing may go" in command("audit forget --days 20000").out
    assert command("audit forget --yes").out == "1 events are gone, up to 1.\n"
    assert command("audit verify --json").json["events"] == 2  # the key that signs was made, and the first event let go
    assert "Nothing may go" in command("audit forget").out


def test_the_grants_for_postgresql_are_printed_as_sql(command: Govern) -> None:
    printed = command("db grants govern_app").out
    assert "REVOKE UPDATE, DELETE, TRUNCATE ON audit_events, audit_checkpoints, audit_boundaries FROM govern_app;\n" in printed
    assert command("db grants", "x; DROP TABLE people").code == 2


def test_the_inventory_is_listed_searched_and_its_log_told(command: Govern, project: str, openai: FakeOpenAI) -> None:
    openai.make_personal_key(EVE, "Search", "eve's own")
    assert command("sync directory").code == 0
    rows = {row["kind"]: row for row in command("inventory status --json").json["items"]}
    assert rows["project-keys"]["is_whole"] is True
    assert rows["openai-audit-log"]["is_whole"] == "never_read"
    [key] = command("inventory list project-keys --json --search own --owner eve@acme.example").json["items"]
    assert key["label"] == "eve's own"
    assert command(f"inventory show project-keys {key['native']} --json").json["id"] == key["id"]
    assert "tells of no such change" in command("inventory events --verdict our_key").out
