"""`govern policies`, and `govern keys issue` beyond them."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Govern


@pytest.mark.one_database
def test_the_host_sets_policies_and_asks_beyond_them(command: Govern) -> None:
    assert command("sync").code == 0
    assert "the settings hold" in command("policies list").out
    assert "0 would be" in command("policies set --longest-days 10 --dry-run").out
    made = command("policies set --longest-days 10 --approver max@acme.example --json").json
    assert (made["about"], made["longest_days"]) == ("the organization", 10)
    assert command("policies set --project Search --no-self-service").code == 0
    found = command("policies effective eve@acme.example --project Search --json").json
    assert (found["longest_days"], found["self_service"]) == (10, False)
    assert command("policies set --group Nobodies --most-keys 1").code == 2
    assert command("policies set").code == 2
    issue = "keys issue eve@acme.example Search --name laptop --days 30"
    assert command(issue).code == 5
    asked = command(f"{issue} --reason 'a long project' --json").json
    assert asked["beyond"] == ["A key lives at most 10 days (the organization)."]
    assert command(f"approvals approve {asked['approval']} --as eve@acme.example").code == 3
    done = command(f"approvals approve {asked['approval']} --as max@acme.example --json").json
    assert [row["id"] for row in command("keys list --json").json["items"]] == [done["result"]]
    assert command(f"policies remove {made['id']}").code == 0
