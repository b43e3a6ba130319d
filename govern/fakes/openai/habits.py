"""Who uses what, when: the shapes that seeded traffic takes.

A habit is a function of a key, sixteen random bytes and the weekday (0 = Monday) that gives the day's rows. People
work in office hours on weekdays, services all day and all week, pipelines at night in batches.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Final, NamedTuple

from govern.fakes.openai.tables import Key

ASTRA, LARGE, SMALL, OLDER, CHEAP, THINKER = (
    "gpt-6-astra", "gpt-5.4-2026-03-05", "gpt-5.4-mini-2026-03-17", "gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18",
    "o4-mini-2025-04-16",
)  # fmt: skip


class Row(NamedTuple):
    """A day's total at one endpoint. Dimensions that an endpoint does not know stay None."""

    endpoint: str
    project_id: str
    user_id: str | None
    api_key_id: str | None
    model: str | None
    batch: bool
    service_tier: str | None
    curve: str
    requests: int
    measures: tuple[int, ...]
    source: str | None = None
    size: str | None = None
    context_level: str | None = None
    vector_store_id: str | None = None
    api_source: str | None = None


def _curve(*weights: int) -> tuple[int, ...]:
    """Cumulative weight after each minute of the day, from a weight for each hour."""
    return (0, *accumulate(weight for weight in weights for _ in range(60)))


CURVES: Final = {
    "office": _curve(0, 0, 0, 0, 0, 0, 1, 3, 8, 12, 13, 11, 7, 9, 13, 13, 11, 7, 3, 2, 1, 1, 0, 0),
    "always": _curve(3, 3, 2, 2, 2, 3, 4, 5, 6, 7, 7, 7, 7, 7, 7, 7, 7, 6, 6, 6, 5, 5, 4, 3),
    "night": _curve(8, 12, 14, 12, 8, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 6),
}


def _requests(volume: int, dice: int, weekday: int, weekend: int) -> int:
    """Around the key's usual volume, between half and one and a half of it; less at the weekend (percent)."""
    today = volume * (128 + dice) // 256
    return today * weekend // 100 if weekday >= 5 else today


def _tokens(requests: int, size: int, cached_percent: int, output_percent: int, written: bool = False) -> tuple[int, ...]:
    total = requests * size
    cached = total * cached_percent // 100
    write = total // 10 if written else 0
    return total - cached - write, cached, write, total * output_percent // 100


def _chat(key: Key, model: str, requests: int, dice: bytes, curve: str, **more: str | None) -> Row:
    size = 350 + (hash_of(key) % 23) * 120 + dice[5]
    measures = _tokens(requests, size, 10 + dice[6] % 45, 12 + dice[7] % 20, written=model == ASTRA)
    tier = "priority" if dice[8] < 6 else "flex" if dice[8] < 14 else "default"
    return Row("completions", key.project_id, key.owner_user_id, key.id, model, False, tier, curve, requests, measures, **more)


def hash_of(key: Key) -> int:
    return int(key.digest[:8], 16)


def assistant(key: Key, dice: bytes, weekday: int) -> list[Row]:
    if dice[0] < 38 or (weekday >= 5 and dice[0] < 230):
        return []
    requests = _requests(key.volume, dice[1], weekday, 25)
    if not requests:
        return []
    main = (LARGE, SMALL, OLDER, ASTRA)[hash_of(key) % 4]
    rows = [_chat(key, main, requests, dice, "office", api_source="unlabeled")]
    if dice[2] < 60 and requests > 5:
        rows.append(_chat(key, CHEAP, requests // 4, dice, "office", api_source="unlabeled"))
    if dice[3] < 12:
        # A try in the dashboard's playground: no key, but a person.
        rows.append(rows[0]._replace(api_key_id=None, requests=3, measures=_tokens(3, 400, 0, 30)))
    return rows


def coder(key: Key, dice: bytes, weekday: int) -> list[Row]:
    if dice[0] < 25 or (weekday >= 5 and dice[0] < 200):
        return []
    requests = _requests(key.volume * 3, dice[1], weekday, 30)
    if not requests:
        return []
    rows = [_chat(key, ASTRA if hash_of(key) % 3 else LARGE, requests, dice, "office", api_source="unlabeled")]
    if dice[2] < 110:
        rows.append(_chat(key, THINKER, requests // 3 + 1, dice, "office", api_source="unlabeled"))
    if dice[3] < 40:
        calls = 1 + dice[4] % 9
        rows.append(_tool(key, "web_search_calls", calls, "office", LARGE, context_level=("low", "medium", "high")[dice[4] % 3]))
    return rows


def service(key: Key, dice: bytes, weekday: int) -> list[Row]:
    requests = _requests(key.volume * 12, dice[1], weekday, 60)
    rows = [_chat(key, SMALL if hash_of(key) % 2 else LARGE, requests, dice, "always", api_source="unlabeled")]
    moderated = Row("moderations", key.project_id, key.owner_user_id, key.id, "omni-moderation-2024-09-26", False, None, "always",
                    requests, (requests * 180,))  # fmt: skip
    return [*rows, moderated] if hash_of(key) % 5 == 0 else rows


def pipeline(key: Key, dice: bytes, weekday: int) -> list[Row]:
    if dice[0] < 60:
        return []
    requests = _requests(key.volume * 40, dice[1], weekday, 100)
    row = _chat(key, CHEAP if hash_of(key) % 2 else SMALL, requests, dice, "night", api_source="unlabeled")
    return [row._replace(batch=True, service_tier="default")]


def search(key: Key, dice: bytes, weekday: int) -> list[Row]:
    requests = _requests(key.volume * 8, dice[1], weekday, 50)
    model = "text-embedding-3-large" if hash_of(key) % 3 == 0 else "text-embedding-3-small"
    store = f"vs_{key.digest[:24]}"
    mebibytes = 200 + hash_of(key) % 4_000
    return [
        Row("embeddings", key.project_id, key.owner_user_id, key.id, model, False, None, "always", requests, (requests * 420,)),
        _tool(key, "file_search_calls", 1 + requests // 9, "always", None, vector_store_id=store),
        Row("vector_stores", key.project_id, None, None, None, False, None, "always", 1_440, (mebibytes,)),
    ]


def studio(key: Key, dice: bytes, weekday: int) -> list[Row]:
    if weekday >= 5 or dice[0] < 70:
        return []
    images = 1 + key.volume * dice[1] // 1_500
    size, source = ("1024x1024", "1024x1792", "512x512")[dice[2] % 3], ("image.generation", "image.edit")[dice[3] % 2]
    owner = (key.project_id, key.owner_user_id, key.id)
    rows = [Row("images", *owner, "gpt-image-1", False, None, "office", images, (images,), source=source, size=size)]
    if dice[4] < 120:
        rows.append(Row("audio_speeches", *owner, "tts-1", False, None, "office", images, (images * 730,)))
    if dice[4] > 100:
        rows.append(Row("audio_transcriptions", *owner, "whisper-1", False, None, "office", images, (images * 95,)))
    return rows


def agents(key: Key, dice: bytes, weekday: int) -> list[Row]:
    requests = _requests(key.volume * 5, dice[1], weekday, 70) + 1
    chat = _chat(key, ASTRA, requests, dice, "always", api_source="agents_api")
    sessions = Row("code_interpreter_sessions", key.project_id, None, None, None, False, None, "always", 1 + requests // 20,
                   (1 + requests // 20,))  # fmt: skip
    return [
        chat,
        chat._replace(endpoint="decisions", requests=1 + requests // 6, measures=_tokens(1 + requests // 6, 900, 30, 8)),
        _tool(key, "web_search_calls", 1 + requests // 7, "always", ASTRA, context_level="medium", api_source="agents_api"),
        sessions,
    ]


def _tool(key: Key, endpoint: str, calls: int, curve: str, model: str | None, **more: str | None) -> Row:
    return Row(endpoint, key.project_id, key.owner_user_id, key.id, model, False, None, curve, calls, (calls,), **more)


HABITS: Final[dict[str, Callable[[Key, bytes, int], list[Row]]]] = {
    "assistant": assistant,
    "coder": coder,
    "service": service,
    "pipeline": pipeline,
    "search": search,
    "studio": studio,
    "agents": agents,
}
