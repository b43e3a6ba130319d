"""The numbers of a usage row, narrow: six columns that nearly every row fills, and the rest as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, NamedTuple

QUANTITIES: Final = ("images", "characters", "seconds", "usage_bytes", "num_sessions", "num_requests")
_NAMED: Final = ("num_model_requests", "input_tokens", "input_cached_tokens", "input_cache_write_tokens", "output_tokens")


class Measures(NamedTuple):
    """What is stored of a row. `detail` is JSON of every further measure that says something, '' where nothing is left."""

    requests: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    quantity: int = 0
    detail: str = ""


def pack(measures: Mapping[str, int]) -> Measures:
    """The row's measures. Nothing is lost: a measure without a column goes into `detail`, also one that we never heard of.

    Left out are zeros and the parts that follow from the whole: pure text traffic says its token counts three times over.
    """
    requests, tokens, cached, written, output = (measures.get(name, 0) for name in _NAMED)
    uncached = tokens - cached - written
    implied = {
        "input_uncached_tokens": uncached,
        "input_text_tokens": uncached,
        "input_cached_text_tokens": cached,
        "output_text_tokens": output,
    }
    quantity = next((name for name in QUANTITIES if name in measures), "")
    rest = {
        name: value
        for name, value in measures.items()
        if name not in _NAMED and name != quantity and value != implied.get(name, 0)
    }
    return Measures(
        requests, tokens, cached, written, output, measures.get(quantity, 0),
        json.dumps(rest, sort_keys=True, separators=(",", ":")) if rest else "",
    )  # fmt: skip


def detail_of(text: str) -> dict[str, int]:
    """What `pack` put aside."""
    return json.loads(text) if text else {}
