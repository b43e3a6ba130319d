"""Models, what each endpoint measures, and the price table that ties costs to usage."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

# What a row of each usage endpoint counts, in order. Completions are kept in disjoint parts; their sum is `input_tokens`.
COMPLETION_PARTS: Final = ("input", "cached input", "cache write", "output")
MEASURES: Final[dict[str, tuple[str, ...]]] = {
    "completions": COMPLETION_PARTS,
    "decisions": COMPLETION_PARTS,
    "embeddings": ("input",),
    "moderations": ("input",),
    "images": ("images",),
    "audio_speeches": ("characters",),
    "audio_transcriptions": ("seconds",),
    "vector_stores": ("mebibyte_days",),
    "code_interpreter_sessions": ("sessions",),
    "file_search_calls": ("calls",),
    "web_search_calls": ("calls",),
}
_UNITS = {"images": "images", "characters": "characters", "seconds": "duration_seconds", "mebibyte_days": "gibibyte_hours"}
_NEWER_WORDS = {
    "input": "input_tokens",
    "cached input": "cached_input_tokens",
    "cache write": "cache_write_tokens",
    "output": "output_tokens",
}
_TOOL_ITEMS = {
    "vector_stores": "vector store storage",
    "code_interpreter_sessions": "code interpreter sessions",
    "file_search_calls": "file search tool calls",
    "web_search_calls": "web search tool calls",
}


@dataclass(frozen=True, slots=True)
class Model:
    """One model. Prices are in US dollars for each unit measured, in the order of MEASURES[endpoint]."""

    name: str
    endpoint: str
    prices: tuple[Decimal, ...]
    alias: str | None = None
    requests_per_minute: int = 5_000
    tokens_per_minute: int = 2_000_000


def _per_million(*prices: str) -> tuple[Decimal, ...]:
    return tuple(Decimal(price).scaleb(-6) for price in prices)


MODELS: Final[dict[str, Model]] = {
    model.name: model
    for model in (
        Model("gpt-6-astra", "completions", _per_million("2.50", "0.25", "3.125", "15"), requests_per_minute=3_000),
        Model("gpt-5.4-2026-03-05", "completions", _per_million("2.50", "0.25", "0", "15"), "gpt-5.4"),
        Model("gpt-5.4-mini-2026-03-17", "completions", _per_million("0.75", "0.075", "0", "4.50"), "gpt-5.4-mini"),
        Model("gpt-4o-2024-08-06", "completions", _per_million("2.50", "1.25", "0", "10"), "gpt-4o"),
        Model("gpt-4o-mini-2024-07-18", "completions", _per_million("0.15", "0.075", "0", "0.60"), "gpt-4o-mini"),
        Model("o4-mini-2025-04-16", "completions", _per_million("1.10", "0.275", "0", "4.40"), "o4-mini"),
        Model("text-embedding-3-small", "embeddings", _per_million("0.02")),
        Model("text-embedding-3-large", "embeddings", _per_million("0.13")),
        Model("omni-moderation-2024-09-26", "moderations", _per_million("0"), "omni-moderation-latest"),
        Model("gpt-image-1", "images", (Decimal("0.042"),), requests_per_minute=250),
        Model("tts-1", "audio_speeches", _per_million("15"), requests_per_minute=500),
        Model("whisper-1", "audio_transcriptions", (Decimal("0.0001"),), requests_per_minute=500),
    )
}
_ALIASES = {model.alias: model for model in MODELS.values() if model.alias}
_TOOL_PRICES = {
    "vector_stores": (Decimal("0.0042") * 24 / 1024,),  # dollars per mebibyte and day; 0.0042 per gibibyte and hour
    "code_interpreter_sessions": (Decimal("0.03"),),
    "file_search_calls": (Decimal("0.0025"),),
    "web_search_calls": (Decimal("0.01"),),
}
_FREE = tuple([Decimal(0)] * 4)
_DISCOUNT = {"flex": Decimal("0.5"), "priority": Decimal(2)}


def find_model(name: str) -> Model | None:
    """By its full name or its alias."""
    return MODELS.get(name) or _ALIASES.get(name)


def unit_prices(endpoint: str, model: str | None, batch: bool, tier: str) -> tuple[Decimal, ...]:
    """Dollars for one unit of each measure. A model that nobody sells costs what gpt-5.4 costs."""
    if endpoint in _TOOL_PRICES:
        return _TOOL_PRICES[endpoint]
    known = MODELS.get(model or "")
    if known is None:
        known = MODELS["gpt-5.4-2026-03-05"]
    prices = known.prices if len(known.prices) == len(MEASURES[endpoint]) else _FREE
    factor = Decimal("0.5") if batch else _DISCOUNT.get(tier, Decimal(1))
    return tuple(price * factor for price in prices)


def line_item(generation: str, endpoint: str, model: str | None, measure: str, batch: bool) -> str:
    """Display text, worded differently by each generation of the API."""
    if endpoint in _TOOL_ITEMS:
        return _TOOL_ITEMS[endpoint]
    word = _NEWER_WORDS.get(measure, measure) if generation == "2026-11" else measure
    return f"{model} batch, {word}" if batch else f"{model}, {word}"


def quantity_of(measure: str, count: int) -> tuple[Decimal | int, str | None]:
    """The quantity that a cost row shows, with its unit; calls and sessions have none."""
    if measure == "mebibyte_days":
        return Decimal(count) * 24 / 1024, _UNITS[measure]
    if measure in {"calls", "sessions"}:
        return count, None
    return count, _UNITS.get(measure, "tokens")
