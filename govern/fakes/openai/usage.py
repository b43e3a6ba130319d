"""The usage endpoints. A dimension that was not grouped by is null, even where the question filtered on it."""

from __future__ import annotations

from collections.abc import Callable

from govern.fakes.openai.catalogue import MEASURES
from govern.fakes.openai.ledger import LIMITS, WIDTHS, everything, made_between, span
from govern.fakes.openai.tables import Json
from govern.fakes.openai.traffic import Part
from govern.fakes.openai.wire import USAGE_READ, Call, Handler, Routes

routes = Routes(scope=USAGE_READ)

_KEYED = ("project_id", "user_id", "api_key_id")
_COMPLETIONS = (*_KEYED, "model", "batch", "service_tier")
DIMENSIONS: dict[str, tuple[str, ...]] = {
    "audio_speeches": (*_KEYED, "model"),
    "audio_transcriptions": (*_KEYED, "model"),
    "code_interpreter_sessions": ("project_id",),
    "completions": _COMPLETIONS,
    "decisions": _COMPLETIONS,
    "embeddings": (*_KEYED, "model"),
    "file_search_calls": (*_KEYED, "vector_store_id"),
    "images": (*_KEYED, "model", "size", "source"),
    "moderations": (*_KEYED, "model"),
    "vector_stores": ("project_id",),
    "web_search_calls": (*_KEYED, "model", "context_level"),
}
_NEWER = {"completions", "decisions", "web_search_calls"}  # may also be grouped by api_source since 2026-11
# The objects are not named after their paths.
_OBJECTS = {"file_search_calls": "file_searches", "web_search_calls": "web_searches"}
_FILTERS = {
    "project_id": "project_ids",
    "user_id": "user_ids",
    "api_key_id": "api_key_ids",
    "model": "models",
    "source": "sources",
    "size": "sizes",
    "context_level": "context_levels",
    "vector_store_id": "vector_store_ids",
}


def answer(call: Call, endpoint: str) -> Json:
    org, query = call.org, call.query
    known = DIMENSIONS[endpoint]
    if endpoint in _NEWER and org.behaviour.generation != "2026-08":
        known = (*known, "api_source")
    asked = query.choices("group_by", known)
    wanted = keep(call, known)
    covered = span(call, width_names=tuple(WIDTHS), limits=LIMITS)
    made = made_between(org, covered.buckets[0][0], covered.buckets[-1][1]) if covered.buckets else []
    data = []
    for low, high in covered.buckets:
        sums: dict[tuple[object, ...], list[int]] = {}
        for part in everything(org, endpoint, low, high, call.now, made=made):
            if not wanted(part):
                continue
            group = tuple(getattr(part.row, name) for name in asked)
            found = sums.get(group)
            if found is None:
                sums[group] = [part.requests, *part.measures]
            else:
                found[0] += part.requests
                for index, measure in enumerate(part.measures, 1):
                    found[index] += measure
        results = [_result(endpoint, known, dict(zip(asked, group, strict=True)), total) for group, total in sums.items()]
        data.append({"object": "bucket", "start_time": low, "end_time": high, "results": results})
    return {"object": "page", "data": data, "has_more": covered.next_page is not None, "next_page": covered.next_page}


def keep(call: Call, known: tuple[str, ...]) -> Callable[[Part], bool]:
    """The filters of the question as one function."""
    chosen = [(name, set(call.query.texts(_FILTERS[name]))) for name in known if name in _FILTERS]
    chosen = [(name, values) for name, values in chosen if values]
    batch = call.query.flag("batch") if "batch" in known else None

    def wanted(part: Part) -> bool:
        row = part.row
        return (batch is None or row.batch == batch) and all(getattr(row, name) in values for name, values in chosen)

    return wanted


def _result(endpoint: str, known: tuple[str, ...], group: dict[str, object], sums: list[int]) -> Json:
    requests, *measures = sums
    result: Json = {"object": f"organization.usage.{_OBJECTS.get(endpoint, endpoint)}.result"}
    match endpoint:
        case "completions" | "decisions":
            result |= _tokens(requests, *measures)
        case "vector_stores":
            result["usage_bytes"] = measures[0] * 2**20
        case "code_interpreter_sessions":
            result["num_sessions"] = measures[0]
        case "file_search_calls":
            result["num_requests"] = measures[0]
        case "web_search_calls":
            result |= {"num_model_requests": requests, "num_requests": measures[0]}
        case _:
            name = {"input": "input_tokens"}.get(MEASURES[endpoint][0], MEASURES[endpoint][0])
            result |= {name: measures[0], "num_model_requests": requests}
    return result | {name: group.get(name) for name in known}


def _tokens(requests: int, plain: int, cached: int, written: int, output: int) -> Json:
    return {
        "input_tokens": plain + cached + written,
        "input_uncached_tokens": plain,
        "input_cached_tokens": cached,
        "input_cache_write_tokens": written,
        "input_text_tokens": plain,
        "input_cached_text_tokens": cached,
        "input_audio_tokens": 0,
        "input_cached_audio_tokens": 0,
        "input_image_tokens": 0,
        "input_cached_image_tokens": 0,
        "output_tokens": output,
        "output_text_tokens": output,
        "output_audio_tokens": 0,
        "output_image_tokens": 0,
        "num_model_requests": requests,
    }


def _serve(endpoint: str) -> Handler:
    return lambda call: answer(call, endpoint)


for _endpoint in DIMENSIONS:
    _since = "2026-11" if _endpoint == "decisions" else "2026-08"
    routes.get(f"usage.{_endpoint}", f"/organization/usage/{_endpoint}", since=_since)(_serve(_endpoint))
