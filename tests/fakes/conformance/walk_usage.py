"""The walk, continued: the data plane, and what it and the seeded months leave in usage and costs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_args, get_type_hints

import openai

from tests.fakes.conformance.walk import Walker, refused

DAY = 86_400
_MEASURES = {
    "costs": "amount",
    "vector_stores": "usage_bytes",
    "code_interpreter_sessions": "num_sessions",
    "file_search_calls": "num_requests",
}


def data_plane(walk: Walker) -> None:
    account = walk.org.projects.service_accounts.create(walk.project(), name="caller")
    assert account.api_key is not None
    client = walk.data_plane(account.api_key.value)
    assert client.get("/me", cast_to=object)["id"] == account.id  # type: ignore[index]
    assert client.models.retrieve(next(iter(client.models.list())).id).object == "model"
    said = client.chat.completions.create(model="gpt-5.4", messages=[{"role": "user", "content": "hello"}])
    assert "hello" in (said.choices[0].message.content or "")
    chunks = client.chat.completions.create(
        model="gpt-5.4", messages=[{"role": "user", "content": "hello"}], stream=True, stream_options={"include_usage": True}
    )
    assert [chunk.usage for chunk in chunks][-1] == said.usage
    assert client.responses.create(model="gpt-6-astra", input="hello").output_text.endswith("hello")
    events = list(client.responses.create(model="gpt-6-astra", input="hello there", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].type == "response.completed"
    vectors = client.embeddings.create(model="text-embedding-3-small", input=["a", "b"], encoding_format="float")
    assert len(vectors.data) == 2
    assert client.moderations.create(input="an attack").results[0].flagged
    refused(404, lambda: client.chat.completions.create(model="gpt-0", messages=[{"role": "user", "content": "x"}]))
    walk.org.projects.service_accounts.delete(account.id, project_id=walk.project())
    refused(401, lambda: client.models.list())


def usage(walk: Walker) -> None:
    api = walk.org.usage
    names = [name for name in dir(api) if name.islower() and not name.startswith(("_", "with_"))]
    for name in names:
        method = getattr(api, name)
        if not inspect.ismethod(method) or (name == "decisions" and not walk.newer):
            continue
        _walk_usage(walk, name, method)


def _walk_usage(walk: Walker, name: str, method: Callable[..., Any]) -> None:
    """Ungrouped, grouped by everything the SDK offers, page by page, and by hour: the numbers agree."""
    start = walk.now // DAY * DAY - 20 * DAY
    span = {"start_time": start, "end_time": start + 14 * DAY}
    dimensions = _dimensions(name, newer=walk.newer)
    whole = method(**span, limit=14)
    assert not whole.has_more
    paged = pages(method, **span, limit=3, group_by=dimensions)
    assert [bucket.start_time for bucket in paged] == [bucket.start_time for bucket in whole.data]
    measure = _MEASURES.get(name, "num_model_requests")
    if name != "costs":
        hours = pages(method, start_time=start, end_time=start + 4 * DAY, limit=40, bucket_width="1h")
        assert _sum(hours, measure) == _sum(whole.data[:4], measure), name
    assert _sum(paged, measure) == _sum(whole.data, measure) > 0, name


def _sum(buckets: list[Any], measure: str) -> float:
    values = [getattr(result, measure) for bucket in buckets for result in bucket.results]
    return round(sum(value.value if measure == "amount" else value for value in values), 6)


def _dimensions(name: str, *, newer: bool) -> list[str]:
    module = __import__(f"openai.types.admin.organization.usage_{name}_params", fromlist=["x"])
    params = next(value for key, value in vars(module).items() if key.endswith("Params"))
    found = set(_literals(get_type_hints(params)["group_by"]))
    if not newer:
        found -= {"api_source"} | ({"user_id"} if name == "costs" else set())
    # The one combination that the API refuses.
    return sorted(found - ({"user_id"} if name == "costs" else set()))


def _literals(hint: Any) -> list[str]:
    inner = get_args(hint)
    return [hint] if isinstance(hint, str) else [found for part in inner for found in _literals(part)]


def pages(method: Callable[..., Any], **asked: Any) -> list[Any]:
    """All buckets. The SDK has no pages of this style, so it is looped by hand."""
    buckets: list[Any] = []
    more: dict[str, Any] = {}
    while True:
        answer = method(**asked, **more)
        buckets += answer.data
        if not answer.has_more:
            assert answer.next_page is None
            return buckets
        assert answer.next_page != more.get("page")
        more = {"page": answer.next_page}


def usage_refusals(walk: Walker) -> None:
    api, start = walk.org.usage, walk.now - 40 * DAY
    refused(400, lambda: api.completions(start_time=start, limit=32))
    refused(400, lambda: api.completions(start_time=start, bucket_width="1h", limit=169))
    refused(400, lambda: api.costs(start_time=start, limit=181))
    refused(400, lambda: api.costs(start_time=start, group_by=["user_id", "project_id"]))
    refused(400, lambda: api.completions(start_time=start, page="page_nonsense"))
    client: openai.OpenAI = walk.client
    refused(400, lambda: client.get("/organization/costs", cast_to=object, options={"security": {"admin_api_key_auth": True}}))
