"""Nonsense is refused, never crashed on: every operation, with bodies and queries that no client should send."""

from __future__ import annotations

import re

import pytest

from govern.fakes.openai import FakeOpenAI
from govern.fakes.openai.operations import OPERATIONS
from govern.fakes.openai.wire import Operation
from tests.fakes.conftest import Client, issue, project_of

WRONG = (None, 5, -1, 1.5, True, "", "x\x00\x01y", [], [None], [5], {}, {"a": None}, "9" * 400, 2**70)
MEMBERS = (
    "name", "email", "role", "role_id", "role_name", "permissions", "projects", "user_id", "group_id", "scopes",
    "expires_in_seconds", "threshold_amount", "notification_channel", "mode", "model_ids", "enabled_tiers", "default",
    "certificate", "certificate_ids", "attribute_matchers", "verification", "attribute_transformations", "model",
    "messages", "input", "stream", "stream_options", "max_tokens", "retention_type", "web_search",
    "max_requests_per_1_minute", "subject_token", "project_id", "service_account_id",
)  # fmt: skip
QUERIES = (
    "limit=x", "limit=-5", "limit=999999999999999999999", "after=nothing", "before=nothing", "order=up",
    "include_archived=maybe", "start_time=soon", "start_time=5&end_time=1", "start_time=1&page=%00",
    "start_time=1&page=page_%3D%3D", "start_time=1&group_by=x", "start_time=99999999999999", "owner_project_access=x",
    "effective_at[gte]=x", "event_types[]=x.y", "emails=&emails[]=", "%ff=%fe",
)  # fmt: skip
RIGHT = {
    "name": "n", "email": "a@b.example", "role": "reader", "role_name": "r", "permissions": [], "user_id": "u",
    "type": "oidc", "issuer": "i", "audience": "a", "model": "gpt-5.4", "messages": [], "input": "x",
    "currency": "USD", "interval": "month", "threshold_amount": 1, "project_id": "p", "service_account_id": "s",
    "attribute_matchers": {"a": "b"}, "mode": "deny_list",
    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "model_ids": [],
}  # fmt: skip


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.method != "DELETE"], ids=lambda operation: operation.name)
def test_nonsense_is_refused(small: FakeOpenAI, client: Client, operation: Operation) -> None:
    admin = client(small)
    made = issue(small, admin)
    http = client(small, made["api_key"]["value"]) if operation.plane == "data" else admin
    known = {
        "project_id": project_of(small),
        "user_id": small.oracle().members()[1].id,
        "service_account_id": made["id"],
        "api_key_id": made["api_key"]["id"],
        "rate_limit_id": "rl-gpt-5.4-2026-03-05",
        "group_id": admin.post("organization/groups", json={"name": "g"}).json()["id"],
        "role_id": admin.get("organization/roles").json()["data"][-1]["id"],
    }
    path = re.sub(r"<(\w+)>", lambda found: known.get(found[1], "nothing"), operation.rule)
    bodies: list[object] = [*WRONG, *(dict.fromkeys(MEMBERS, value) for value in WRONG)]
    bodies += [RIGHT | {name: WRONG[turn % len(WRONG)]} for turn, name in enumerate(MEMBERS * 2)]
    bodies.append(RIGHT | {"stream": True, "stream_options": 5, "messages": [{"content": {"a": 1}}]})
    if operation.method == "GET":
        for query in QUERIES:
            assert http.get(f"http://openai.test{path}?{query}").status_code < 500, query
        return
    for body in bodies:
        answer = http.post(f"http://openai.test{path}", json=body)
        assert answer.status_code < 500, body
        if "stream" not in answer.headers["content-type"]:
            assert isinstance(answer.json(), dict)
    assert http.post(f"http://openai.test{path}", content=b"\xff{").status_code < 500
