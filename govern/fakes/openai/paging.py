"""The four pagination styles of the admin API.

L: `after` → first_id, last_id, has_more.  LB: the same with `before`.  N: `after` → next.  P (usage and costs):
`page`, see usage.py. A cursor is an object's id. One whose object is gone since goes on from where that object
stood; one that never was is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TypeVar

from govern.fakes.openai.problems import invalid
from govern.fakes.openai.tables import Json
from govern.fakes.openai.wire import Call

T = TypeVar("T")
Place = tuple[int, bytes]


def untidy(_call: Call, id: str) -> Place:
    """The order of lists that document none: the same each time, and neither by age nor by name."""
    return 0, _shuffled(id)


def by_age(call: Call, id: str) -> Place:
    return call.org.tables.born.get(id, 0), _shuffled(id)


@lru_cache(maxsize=200_000)
def _shuffled(id: str) -> bytes:
    return hashlib.blake2b(id.encode(), digest_size=8).digest()


def page(
    call: Call,
    rows: Iterable[T],
    render: Callable[[T], Json],
    *,
    id_of: Callable[[T], str],
    place: Callable[[Call, str], Place] = untidy,
    descending: bool = False,
    default: int = 20,
    low: int = 1,
    maximum: int = 100,
    backwards: bool = False,
    style: str = "L",
    wrapped: str = "list",
) -> Json:
    """Cut one page out of `rows`, in the order of `place`, and render only that."""
    limit = call.query.integer("limit", low, maximum)
    limit = min(default if limit is None else limit, call.org.behaviour.longest_page or maximum)
    after, before = call.query.text("after"), call.query.text("before") if backwards else None
    placed = sorted(((place(call, id_of(row)), row) for row in rows), key=lambda item: item[0], reverse=descending)
    if after:
        mark = _mark(call, after, place)
        placed = [item for item in placed if (item[0] < mark if descending else item[0] > mark)]
    if before:
        mark = _mark(call, before, place)
        placed = [item for item in placed if (item[0] > mark if descending else item[0] < mark)]
    more = len(placed) > limit
    chosen = [row for _, row in (placed[-limit:] if before and limit else placed[:limit])]
    data = [render(row) for row in chosen]
    if style == "N":
        return {"object": wrapped, "data": data, "has_more": more, "next": id_of(chosen[-1]) if more and chosen else None}
    return {
        "object": wrapped,
        "data": data,
        "first_id": id_of(chosen[0]) if chosen else None,
        "last_id": id_of(chosen[-1]) if chosen else None,
        "has_more": more,
    }


def _mark(call: Call, cursor: str, place: Callable[[Call, str], Place]) -> Place:
    if cursor not in call.org.tables.born:
        raise invalid(f"Invalid cursor: {cursor}", "after", "invalid_cursor")
    return place(call, cursor)
