"""By what a range of usage or costs can be grouped: as much as the organization's API allows, and what it refused is remembered.

A dimension that is not grouped by comes back null, so everything is always asked for by all that there is. Not every
organization may: an older API does not know `api_source`, costs by user and project together are refused, and costs by key
exist from some day on only. A refused grouping answers 400; the next narrower one then serves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from govern.core.errors import Rejected

_KEYED: Final = ("project_id", "user_id", "api_key_id")
_OFFERED: Final = {
    "completions": (*_KEYED, "model", "batch", "service_tier"),
    "embeddings": (*_KEYED, "model"),
    "moderations": (*_KEYED, "model"),
    "images": (*_KEYED, "model", "size", "source"),
    "audio_speeches": (*_KEYED, "model"),
    "audio_transcriptions": (*_KEYED, "model"),
    "vector_stores": ("project_id",),
    "code_interpreter_sessions": ("project_id",),
    "file_search_calls": (*_KEYED, "vector_store_id"),
    "web_search_calls": (*_KEYED, "model", "context_level"),
    "decisions": (*_KEYED, "model", "batch", "service_tier"),
}
COSTS: Final = "costs"
NEWER_ENDPOINTS: Final = frozenset({"decisions"})
"""Known since 2026-11 only; an organization on the older API has no such usage."""
BY_SOURCE: Final = frozenset({"completions", "web_search_calls", "decisions"})
"""Since 2026-11 these can be grouped by `api_source` too."""
_BY_ITEM: Final = ("project_id", "line_item")
_COST_GROUPS: Final = ((*_BY_ITEM, "api_key_id", "user_id"), (*_BY_ITEM, "api_key_id"), _BY_ITEM, ("project_id",), ())


def groupings(endpoint: str, *, newer: bool) -> list[tuple[str, ...]]:
    """Every grouping worth asking for, widest first. `newer`: the organization's API may be that of 2026-11."""
    if endpoint == COSTS:
        return [groups for groups in _COST_GROUPS if newer or "user_id" not in groups]
    whole = _OFFERED.get(endpoint, (*_KEYED, "model"))
    found = [(*whole, "api_source")] if newer and endpoint in BY_SOURCE else []
    found.append(whole)
    for narrower in ((*_KEYED, "model"), _KEYED, ("project_id", "api_key_id"), ("project_id",), ()):
        if len(narrower) < len(found[-1]) and set(narrower) <= set(whole):
            found.append(narrower)
    return found


class Memory:
    """Which groupings were refused, and up to when. Lives as long as the process: at worst it asks once more."""

    def __init__(self) -> None:
        self._refused_before: dict[tuple[str, tuple[str, ...]], int] = {}

    def serves(self, endpoint: str, groups: tuple[str, ...], start: int) -> bool:
        """Whether nothing speaks against this grouping for a range that begins at `start` (Unix seconds)."""
        return start >= self._refused_before.get((endpoint, groups), 0)

    def widest(self, endpoint: str, start: int, choice: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
        """The widest grouping that may be asked for."""
        return next((groups for groups in choice if self.serves(endpoint, groups, start)), choice[-1])

    def next_change(self, endpoint: str, start: int, end: int) -> int:
        """Where within (start, end) a wider grouping begins to serve; `end` if nowhere."""
        bounds = [until for (named, _), until in self._refused_before.items() if named == endpoint and start < until < end]
        return min(bounds, default=end)

    def refuse(self, endpoint: str, groups: tuple[str, ...], before: int) -> None:
        """Remember that a range which begins before then cannot be grouped so."""
        key = endpoint, groups
        self._refused_before[key] = max(before, self._refused_before.get(key, 0))


def is_about_grouping(error: Rejected) -> bool:
    """Whether the refusal is about how it was asked, not about when or by whom."""
    about = f"{error.facts.get('param')} {error.facts.get('provider_code')} {error.sentence}".casefold()
    return error.status == 400 and any(word in about for word in ("group_by", "grouping", "group by", "api_source"))
