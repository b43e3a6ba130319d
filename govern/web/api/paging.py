"""Keyset pages with opaque cursors: a list does not shift under its reader, and the last page costs what the first does."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from flask import request

from govern.core.errors import InvalidInput

Row = TypeVar("Row")


def after(cursor: str | None) -> list[str] | None:
    """What the cursor says: the key of the last row seen. Raises InvalidInput for another list's cursor, or nonsense."""
    if cursor is None:
        return None
    try:
        kind, *key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if kind != request.endpoint or not key or not all(isinstance(part, str) and part.isprintable() for part in key):
            raise ValueError("not ours")
    except (ValueError, TypeError, RecursionError):
        raise InvalidInput(
            "The cursor does not belong to this list.", {"cursor": "Send the `next` of the page before."}
        ) from None
    return [str(part) for part in key]


def after_id(cursor: str | None) -> str | None:
    """Like `after`, for lists in the order of one id."""
    key = after(cursor)
    return key[0] if key else None


def page(rows: Sequence[Row], limit: int, key: Callable[[Row], Sequence[str] | str]) -> tuple[list[Row], str | None]:
    """The page's rows and the cursor of the next. `rows` holds one more than `limit` where there is a next page."""
    kept = list(rows[:limit])
    if len(rows) <= limit or not kept:
        return kept, None
    last = key(kept[-1])
    parts: list[Any] = [request.endpoint, *([last] if isinstance(last, str) else last)]
    packed = base64.urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode()
    return kept, packed.rstrip("=")
