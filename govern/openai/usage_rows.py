"""From a result of usage or of costs to a row: nothing is lost, and the plain case is quick, because there are millions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from govern.openai import fields
from govern.openai.fields import Fields
from govern.usage_ports import CostRow, UsageRow

_DIMENSIONS: Final = ("project_id", "user_id", "api_key_id", "model", "batch", "service_tier")
_QUANTITIES: Final = ("images", "characters", "seconds", "usage_bytes", "num_sessions", "num_requests")
_NAMED: Final = ("num_model_requests", "input_tokens", "input_cached_tokens", "input_cache_write_tokens", "output_tokens")
_IMPLIED: Final = ("input_uncached_tokens", "input_text_tokens", "input_cached_text_tokens", "output_text_tokens")
_USUALLY_ZERO: Final = (
    "input_audio_tokens", "input_cached_audio_tokens", "output_audio_tokens", "input_image_tokens", "input_cached_image_tokens",
    "output_image_tokens", "input_cache_write_30m_tokens", "input_cache_write_12h_tokens",
)  # fmt: skip
_PLAIN: Final = frozenset({"object", *_DIMENSIONS, *_NAMED, *_IMPLIED, *_USUALLY_ZERO, "api_source"})
_FLAGS: Final = {None: "", True: "true", False: "false"}
_LARGEST: Final = 2**63 - 1
"""What a column holds. OpenAI counts no further; a number that does is kept as text."""
_COST_COLUMNS: Final = frozenset(
    {"object", "amount", "quantity", "quantity_unit", "line_item", "project_id", "api_key_id", "user_id"}
)  # fmt: skip


def usage_row(result: Fields) -> UsageRow:
    """The row of one usage result."""
    return _plain(result) or _any(result)


def _plain(result: Fields) -> UsageRow | None:
    """The row of usual text traffic, whose parts follow from its whole; None for anything that needs a closer look."""
    if not _PLAIN.issuperset(result):
        return None
    get = result.get
    requests, tokens, output = get("num_model_requests") or 0, get("input_tokens") or 0, get("output_tokens") or 0
    cached, written = get("input_cached_tokens") or 0, get("input_cache_write_tokens") or 0
    project, user, api_key, model = get("project_id") or "", get("user_id") or "", get("api_key_id") or "", get("model") or ""
    tier, source, batch = get("service_tier") or "", get("api_source") or "", get("batch")
    try:
        "".join((project, user, api_key, model, tier, source))
        whole = requests + tokens + output + cached + written
        uncached = tokens - cached - written
    except TypeError:
        return None
    if (
        type(whole) is not int
        or not -_LARGEST < whole < _LARGEST
        or get("input_uncached_tokens", uncached) != uncached
        or get("input_text_tokens", uncached) != uncached
        or get("input_cached_text_tokens", cached) != cached
        or get("output_text_tokens", output) != output
        or any(map(get, _USUALLY_ZERO))
        or batch not in _FLAGS
        or not str(get("object")).startswith("organization.usage.")
    ):
        return None
    extra = _dimensions({"api_source": source}) if source else ""
    return UsageRow(
        project, user, api_key, model, _FLAGS[batch], tier, extra, requests, tokens, cached, written, output, 0, ""
    )  # fmt: skip


def _any(result: Fields) -> UsageRow:
    """Whatever it is. A number is a measure; a text, a flag, a fraction and anything else is a dimension, kept as text."""
    measures: dict[str, int] = {}
    extra: dict[str, str] = {}
    for name, value in result.items():
        if value is None or (name in _DIMENSIONS and (isinstance(value, str) or name == "batch")):
            continue
        if name == "object":
            if not str(value).startswith("organization.usage."):
                extra[name] = _text(value)
            continue
        number = _number(value)
        if number is None:
            extra[name] = _text(value)
        else:
            measures[name] = number
    batch = result.get("batch")
    project, user, api_key, model, _, tier = (value if isinstance(value := result.get(name), str) else "" for name in _DIMENSIONS)
    flag = _FLAGS[batch] if batch is None or isinstance(batch, bool) else _text(batch)
    return _packed(UsageRow(project, user, api_key, model, flag, tier, _dimensions(extra)), measures)


def _packed(row: UsageRow, measures: Mapping[str, int]) -> UsageRow:
    """The row with its numbers: six columns that nearly every row fills, and the rest as JSON.

    Left out are zeros and the parts that follow from the whole: pure text traffic says its token counts three times over.
    """
    requests, tokens, cached, written, output = (measures.get(name, 0) for name in _NAMED)
    uncached = tokens - cached - written
    implied = dict(zip(_IMPLIED, (uncached, uncached, cached, output), strict=True))
    unit = next((name for name in _QUANTITIES if name in measures), "")
    rest = {
        name: value for name, value in measures.items() if name not in _NAMED and name != unit and value != implied.get(name, 0)
    }
    return row._replace(
        requests=requests, input_tokens=tokens, cached_tokens=cached, cache_write_tokens=written, output_tokens=output,
        quantity=measures.get(unit, 0), detail=_dumped(rest),
    )  # fmt: skip


def _number(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    number = Decimal(value)
    return int(number) if abs(number) <= _LARGEST and number == number.to_integral_value() else None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, Decimal) else json.dumps(value, default=str, sort_keys=True)


def _dimensions(extra: Mapping[str, str]) -> str:
    return json.dumps(extra, sort_keys=True, ensure_ascii=False, separators=(",", ":")) if extra else ""


def _dumped(rest: Mapping[str, int]) -> str:
    return json.dumps(rest, sort_keys=True, separators=(",", ":")) if rest else ""


def cost_row(result: Fields) -> CostRow:
    """The row of one billed amount, whatever its line item, unit and currency."""
    amount, quantity, unit = fields.inner(result, "amount"), result.get("quantity"), result.get("quantity_unit")
    value = amount.get("value")
    known_as = result.get("object")
    extra = {name: _text(value) for name, value in result.items() if name not in _COST_COLUMNS and value is not None}
    if known_as != "organization.costs.result":
        extra["object"] = _text(known_as)
    return CostRow(
        fields.maybe_text(result, "project_id") or "", fields.maybe_text(result, "api_key_id") or "",
        fields.maybe_text(result, "line_item") or "", Decimal(0) if value is None else fields.decimal(value, "amount"),
        (fields.maybe_text(amount, "currency") or "usd").lower(),
        None if quantity is None else fields.decimal(quantity, "quantity"), "" if unit is None else _text(unit),
        fields.maybe_text(result, "user_id") or "", _dimensions(extra),
    )  # fmt: skip
