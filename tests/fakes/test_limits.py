"""Throttle, rate limits, model permissions, spend limits and alerts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from govern.fakes.openai import FakeOpenAI, WorldSpec
from tests.fakes.conftest import Client, issue, project_of

QUESTION = {"model": "gpt-5.4", "messages": [{"role": "user", "content": "hello"}]}
MONTH = {"currency": "USD", "interval": "month"}


def test_the_throttle_counts_each_family_and_says_nothing(client: Client) -> None:
    clock = [datetime(2026, 11, 23, 12, tzinfo=UTC)]
    fake = FakeOpenAI(WorldSpec(projects=1), requests_per_minute=6, burst=4, now=lambda: clock[0])
    http = client(fake)
    statuses = [http.get("organization/users").status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 200, 429]
    answer = http.get("organization/users")
    assert "retry-after" not in answer.headers
    assert not any(name.startswith("x-ratelimit") for name in answer.headers)
    assert http.get("organization/projects").status_code == 200  # another family
    clock[0] += timedelta(seconds=10)
    assert [http.get("organization/users").status_code for _ in range(2)] == [200, 429]
    fake.behaviour.retry_after = True
    assert http.get("organization/users").headers["retry-after"] == "10"
    assert fake.oracle().requests[-1].status == 429


def test_a_spend_limit_stops_the_project_after_its_lag(client: Client) -> None:
    clock = [datetime(2026, 11, 23, 12, tzinfo=UTC)]
    fake = FakeOpenAI(WorldSpec(projects=2), spend_limit_lag_seconds=60, now=lambda: clock[0])
    http = client(fake)
    project = project_of(fake)
    caller = client(fake, issue(fake, http)["api_key"]["value"])
    other = client(fake, issue(fake, http, project=project_of(fake, "Support bot"))["api_key"]["value"])
    http.post(f"organization/projects/{project}/spend_limit", json={"threshold_amount": 1_000, **MONTH})
    fake.spend(project=project, usd=10)
    assert caller.post("chat/completions", json=QUESTION).status_code == 200  # not known yet
    clock[0] += timedelta(seconds=61)
    answer = caller.post("chat/completions", json=QUESTION)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "project_spend_limit_exceeded")
    assert other.post("chat/completions", json=QUESTION).status_code == 200
    http.post("organization/spend_limit", json={"threshold_amount": 1, **MONTH})
    assert other.post("chat/completions", json=QUESTION).json()["error"]["code"] == "organization_spend_limit_exceeded"
    clock[0] = datetime(2026, 12, 1, 0, 2, tzinfo=UTC)
    assert caller.post("chat/completions", json=QUESTION).status_code == 200  # a new month


def test_seeded_traffic_counts_towards_a_limit(client: Client) -> None:
    fake = FakeOpenAI(WorldSpec(people=40, projects=8, months=1, seed=7), now=lambda: datetime(2026, 11, 23, 12, tzinfo=UTC))
    http = client(fake)
    caller = client(fake, issue(fake, http)["api_key"]["value"])
    assert caller.post("chat/completions", json=QUESTION).status_code == 200
    http.post("organization/spend_limit", json={"threshold_amount": 100, **MONTH})
    assert caller.post("chat/completions", json=QUESTION).status_code == 429


def test_an_alert_mails_once_a_month_and_blocks_nothing(client: Client) -> None:
    clock = [datetime(2026, 11, 23, 12, tzinfo=UTC)]
    fake = FakeOpenAI(WorldSpec(projects=1), now=lambda: clock[0])
    http, project = client(fake), project_of(fake)
    channel = {"type": "email", "recipients": ["finance@acme.example"]}
    alert = {"threshold_amount": 500, "notification_channel": channel, **MONTH}
    assert http.post(f"organization/projects/{project}/spend_alerts", json=alert).status_code == 200
    fake.spend(project=project, usd="4.99")
    assert fake.oracle().alert_mails() == []
    fake.spend(project=project, usd="0.01")
    fake.spend(project=project, usd=100)
    assert [mail["recipients"] for mail in fake.oracle().alert_mails()] == [["finance@acme.example"]]
    assert client(fake, issue(fake, http)["api_key"]["value"]).post("chat/completions", json=QUESTION).status_code == 200
    clock[0] = datetime(2026, 12, 2, tzinfo=UTC)
    fake.spend(project=project, usd=6)
    assert [mail["month"] for mail in fake.oracle().alert_mails()] == ["2026-11", "2026-12"]


def test_model_permissions_hold_on_the_data_plane(small: FakeOpenAI, client: Client) -> None:
    http, path = client(small), f"organization/projects/{project_of(small)}/model_permissions"
    caller = client(small, issue(small, http)["api_key"]["value"])
    http.post(path, json={"mode": "deny_list", "model_ids": ["gpt-5.4-2026-03-05"]})
    assert caller.post("chat/completions", json=QUESTION).status_code == 403  # by its alias as well
    assert caller.post("chat/completions", json=QUESTION | {"model": "gpt-4o"}).status_code == 200
    http.post(path, json={"mode": "allow_list", "model_ids": ["gpt-5.4"]})
    assert {row["id"] for row in caller.get("models").json()["data"]} == {"gpt-5.4", "gpt-5.4-2026-03-05"}
    assert caller.post("chat/completions", json=QUESTION | {"model": "gpt-4o"}).status_code == 403
    http.delete(path)
    assert caller.post("chat/completions", json=QUESTION | {"model": "gpt-4o"}).status_code == 200


def test_a_projects_rate_limit_holds_for_a_minute(client: Client) -> None:
    clock = [datetime(2026, 11, 23, 12, tzinfo=UTC)]
    fake = FakeOpenAI(WorldSpec(projects=1), now=lambda: clock[0])
    http = client(fake)
    caller = client(fake, issue(fake, http)["api_key"]["value"])
    http.post(
        f"organization/projects/{project_of(fake)}/rate_limits/rl-gpt-5.4-2026-03-05", json={"max_requests_per_1_minute": 2}
    )
    assert [caller.post("chat/completions", json=QUESTION).status_code for _ in range(3)] == [200, 200, 429]
    clock[0] += timedelta(seconds=61)
    assert caller.post("chat/completions", json=QUESTION).status_code == 200


def test_a_call_is_metered_at_once_and_billed_later(client: Client) -> None:
    clock = [datetime(2026, 11, 23, 12, tzinfo=UTC)]
    fake = FakeOpenAI(WorldSpec(projects=1), cost_lag_hours=2, now=lambda: clock[0])
    http = client(fake)
    made = issue(fake, http)
    caller = client(fake, made["api_key"]["value"])
    said = caller.post("chat/completions", json=QUESTION).json()["usage"]
    caller.post("embeddings", json={"model": "text-embedding-3-small", "input": "hello"})
    day = {"start_time": int(clock[0].timestamp()) // 86_400 * 86_400, "group_by": "api_key_id"}
    clock[0] += timedelta(seconds=1)
    usage = http.get("organization/usage/completions", params=day).json()["data"][0]["results"][0]
    assert (usage["api_key_id"], usage["num_model_requests"]) == (made["api_key"]["id"], 1)
    assert (usage["input_tokens"], usage["output_tokens"]) == (said["prompt_tokens"], said["completion_tokens"])
    assert http.get("organization/usage/embeddings", params=day).json()["data"][0]["results"][0]["num_model_requests"] == 1
    assert http.get("organization/costs", params=day).json()["data"][0]["results"] == []
    clock[0] += timedelta(hours=2)
    assert http.get("organization/costs", params=day).json()["data"][0]["results"][0]["amount"]["value"] > 0
    key = http.get(f"organization/projects/{project_of(fake)}/api_keys/{made['api_key']['id']}").json()
    assert key["last_used_at"] == int(datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp())
