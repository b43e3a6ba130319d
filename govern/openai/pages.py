"""Listings that are complete or fail: OpenAI's ways of paging, with guards against cursors that lead nowhere.

Absence from a listing is what proves a removal, so a listing that ends early would be a false proof.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Final

from govern.core.errors import Rejected, Unavailable
from govern.openai import fields
from govern.openai.fields import Fields

MOST_PAGES: Final = 2000
"""Two hundred thousand members or keys; more is a server that never ends."""

Fetch = Callable[[str | None], dict[str, Any]]
"""Get the page after a cursor; None is the first."""


class Paging(Enum):
    """Where the next cursor comes from, and as which parameter it is sent. Members compare by identity.

    LAST_ID: most lists, also those that can go back with `before`; LAST_ITEM: admin keys, which promise no `last_id`;
    NEXT: groups and roles; PAGE: usage and costs.
    """

    LAST_ID = ("last_id", "after")
    LAST_ITEM = ("last_item", "after")
    NEXT = ("next", "after")
    PAGE = ("next_page", "page")

    @property
    def parameter(self) -> str:
        return self.value[1]


class Disorder(Unavailable):
    """The pages do not line up: a cursor came back, led nowhere or has expired."""


def collect(fetch: Fetch, paging: Paging) -> list[Fields]:
    """Every item of a list, united by id, in the order of first sight.

    A listing whose pages do not line up is begun anew, once. Raises Unavailable if it cannot be completed.
    """
    return _twice(lambda: _united(fetch, paging))


def collect_buckets(fetch: Fetch) -> list[Fields]:
    """Every bucket of a range of usage or costs. A bucket that comes twice is disorder: its rows must not count twice."""
    return _twice(lambda: _distinct(fetch))


def _twice(attempt: Callable[[], list[Fields]]) -> list[Fields]:
    try:
        return attempt()
    except Disorder:
        return attempt()


def _united(fetch: Fetch, paging: Paging) -> list[Fields]:
    found: dict[str, Fields] = {}
    for page in _pages(fetch, paging):
        found |= {fields.text(item, "id"): item for item in page}
    return list(found.values())


def _distinct(fetch: Fetch) -> list[Fields]:
    found: dict[object, Fields] = {}
    for page in _pages(fetch, Paging.PAGE):
        for bucket in page:
            start = fields.instant(bucket, "start_time")
            if start in found:
                raise Disorder("OpenAI gave the same bucket twice.")
            found[start] = bucket
    return list(found.values())


def _pages(fetch: Fetch, paging: Paging) -> list[list[Fields]]:
    pages: list[list[Fields]] = []
    cursor: str | None = None
    seen: set[str] = set()
    while len(pages) < MOST_PAGES:
        try:
            answer = fetch(cursor)
        except Rejected as error:
            if cursor is not None and error.status == 400:
                raise Disorder("OpenAI no longer knows the place in the list at which we were.", status=400) from error
            raise
        page = list(fields.items(answer, "data"))
        pages.append(page)
        more = answer.get("has_more")
        if not isinstance(more, bool):
            raise fields.malformed("has_more")
        if not more:
            return pages
        cursor = _next(answer, page, paging)
        if cursor is None or cursor in seen:
            raise Disorder("OpenAI says that the list goes on, but not where.")
        seen.add(cursor)
    raise Unavailable(f"OpenAI's list did not end within {MOST_PAGES} pages.")


def _next(answer: Fields, page: list[Fields], paging: Paging) -> str | None:
    if paging in {Paging.NEXT, Paging.PAGE}:
        return fields.maybe_text(answer, paging.value[0])
    named = fields.maybe_text(answer, "last_id") if paging is Paging.LAST_ID else None
    return named or (fields.text(page[-1], "id") if page else None)
