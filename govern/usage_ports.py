"""An organization's usage and costs, as we ask for them.

The same promises as in `ports`: ids are OpenAI's, and every method may raise `core.errors.ProviderError`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final, NamedTuple, Protocol

USAGE_ENDPOINTS: Final = (
    "completions", "embeddings", "moderations", "images", "audio_speeches", "audio_transcriptions", "vector_stores",
    "code_interpreter_sessions", "file_search_calls", "web_search_calls", "decisions",
)  # fmt: skip
"""What usage is reported of, as far as we know."""


class UsageRow(NamedTuple):
    """One usage result of one bucket: seven dimensions, '' where OpenAI says nothing, and its numbers.

    `batch` is 'true', 'false' or ''. `extra` is JSON of further dimensions and `detail` JSON of further numbers, '' for none, so
    that nothing is lost that we have no column for. `quantity` is in the endpoint's own unit: images, seconds, calls, bytes…
    A bucket of a large organization has fifty thousand rows: this is a tuple, not an object with a dictionary.
    """

    project_id: str
    user_id: str
    api_key_id: str
    model: str
    batch: str
    service_tier: str
    extra: str
    requests: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    quantity: int = 0
    detail: str = ""


class UsageBucket(NamedTuple):
    """All rows of one bucket of time."""

    start: datetime
    rows: Sequence[UsageRow]


class CostRow(NamedTuple):
    """One billed amount. Texts are '' where OpenAI says nothing; `extra` is JSON of whatever else it says.

    `amount` is exact, in `currency` (lower case ISO); it may be negative.
    """

    project_id: str
    api_key_id: str
    line_item: str
    amount: Decimal
    currency: str = "usd"
    quantity: Decimal | None = None
    quantity_unit: str = ""
    user_id: str = ""
    extra: str = ""


class CostDay(NamedTuple):
    """All billed rows of one UTC day."""

    day: date
    rows: Sequence[CostRow]


class UsageSource(Protocol):
    """The two clocks: usage (minutes old, no money) and costs (billed, per UTC day, restated for days).

    Both hand out one bucket after the other, oldest first and each once, so that nobody has to hold a whole range.
    """

    def usage(self, endpoint: str, start: datetime, end: datetime, width: str) -> Iterator[UsageBucket]:
        """Buckets of `width` (`1m`, `1h`, `1d`) that begin in `[start, end)`, by every dimension that OpenAI offers. A bucket
        without rows may be left out. Raises Unavailable when it ends early: what was handed out is then not all of it."""
        ...

    def costs(self, start: date, end: date) -> Iterator[CostDay]:
        """The UTC days `[start, end)` by project, line item and key, if it tells them apart. Raises Unavailable likewise."""
        ...
