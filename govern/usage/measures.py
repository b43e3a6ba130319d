"""The numbers of a usage row, as they are priced."""

from __future__ import annotations

import json
from typing import NamedTuple


class Measures(NamedTuple):
    """What is stored of a row. `quantity` is in the endpoint's own unit (images, seconds, calls, bytes…)."""

    requests: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    quantity: int = 0
    detail: str = ""
    """JSON of every further measure that says something; '' where nothing is left."""


def detail_of(text: str) -> dict[str, int]:
    """The measures that have no column."""
    return json.loads(text) if text else {}
