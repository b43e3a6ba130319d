"""The price book: what a model's tokens cost on a day. It makes the estimated clock; the bill makes the other one."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from govern.core.db import to_nano
from govern.core.errors import InvalidInput
from govern.usage.measures import Measures

DEFAULT_FILE: Final = Path("config/prices.toml")
_PACKAGE: Final = Path(__file__).resolve().parents[1]
_SNAPSHOT: Final = re.compile(r"-\d{4}-\d{2}-\d{2}$")
_MILLION: Final = Decimal(1_000_000)
_TIERS: Final = {"flex": Decimal("0.5"), "priority": Decimal(2)}
_REQUIRED: Final = frozenset({"model", "from", "input", "output"})
_OPTIONAL: Final = frozenset({"cached_input", "cache_write", "audio_input", "audio_output", "batch"})


@dataclass(frozen=True)
class Price:
    """US dollars for one million tokens of one model from a day on; `batch` and `tiers` are shares of it."""

    model: str
    since: date
    input: Decimal
    output: Decimal
    cached_input: Decimal
    cache_write: Decimal
    audio_input: Decimal
    audio_output: Decimal
    batch: Decimal = Decimal("0.5")
    tiers: Mapping[str, Decimal] = field(default_factory=lambda: dict(_TIERS))

    def of(self, measures: Measures, detail: Mapping[str, int] | None = None, *, batch: bool = False, tier: str = "") -> Decimal:
        """What these measures cost, to a nano-dollar; `detail` are the measures without a column (`measures.detail_of`).

        A tier that the entry does not name costs the full price.
        """
        parts = detail or {}
        heard, spoken = parts.get("input_audio_tokens", 0), parts.get("output_audio_tokens", 0)
        plain = measures.input_tokens - measures.cached_tokens - measures.cache_write_tokens - heard
        total = (
            plain * self.input
            + measures.cached_tokens * self.cached_input
            + measures.cache_write_tokens * self.cache_write
            + heard * self.audio_input
            + (measures.output_tokens - spoken) * self.output
            + spoken * self.audio_output
        )
        share = self.batch if batch else self.tiers.get(tier, Decimal(1))
        return to_nano(total * share / _MILLION)


class PriceBook:
    """All prices, found by model and day."""

    def __init__(self, prices: Iterable[Price]) -> None:
        self._prices: dict[str, list[Price]] = {}
        for price in sorted(prices, key=lambda each: each.since):
            self._prices.setdefault(price.model, []).append(price)

    def find(self, model: str, day: date) -> Price | None:
        """The price of the model on that day, by its own name, else by that of its family. None where the book has none."""
        for name in _names(model):
            valid = [price for price in self._prices.get(name, ()) if price.since <= day]
            if valid:
                return valid[-1]
        return None


def _names(model: str) -> list[str]:
    """From the most particular to the family: `ft:gpt-4o-2024-08-06:acme::x1` → itself, `ft:gpt-4o-2024-08-06`, `ft:gpt-4o`."""
    names = [model]
    if model.startswith("ft:"):
        names.append(":".join(model.split(":")[:2]))
    family = _SNAPSHOT.sub("", names[-1])
    return names if family in names else [*names, family]


def load_prices(path: Path | None = None) -> PriceBook:
    """Read the price book: `path`, else `config/prices.toml` here, else the one that comes with the service.

    Raises InvalidInput with the entry that is wrong.
    """
    found = path or next((each for each in _places() if each.is_file()), None)
    if found is None:
        raise InvalidInput("There is no price book. Put one at config/prices.toml.")
    try:
        # Through text, not float: 0.1 must stay a tenth.
        document = tomllib.loads(found.read_text(encoding="utf-8"), parse_float=Decimal)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"The price book {found} cannot be read: {error}") from error
    entries = document.get("price")
    if set(document) != {"price"} or not isinstance(entries, list):
        raise InvalidInput(f"The price book {found} must be a list of [[price]] entries and nothing else.")
    return PriceBook([_price(entry, found) for entry in entries])


def _places() -> tuple[Path, ...]:
    return DEFAULT_FILE, _PACKAGE / "_config" / "prices.toml", _PACKAGE.parent / DEFAULT_FILE


def _price(entry: Mapping[str, Any], path: Path) -> Price:
    model, since = entry.get("model"), entry.get("from")
    where = f"The price of {model!r} in {path}"
    wrong = [f"lacks {name}" for name in sorted(_REQUIRED - set(entry))]
    wrong += [f"has an unknown {name}" for name in sorted(set(entry) - _REQUIRED - _OPTIONAL - {"tiers"})]
    if wrong:
        raise InvalidInput(f"{where} {', '.join(wrong)}.")
    if not isinstance(model, str) or not isinstance(since, date):
        raise InvalidInput(f"{where} needs a model as text and a day in `from`, such as 2026-01-31.")
    rates = {name: _amount(entry[name], f"{where}: {name}") for name in entry if name not in {"model", "from", "tiers"}}
    tiers = {name: _amount(share, f"{where}: tiers.{name}") for name, share in entry.get("tiers", _TIERS).items()}
    defaults = {
        "cached_input": rates["input"], "cache_write": rates["input"],
        "audio_input": rates["input"], "audio_output": rates["output"],
    }  # fmt: skip
    return Price(model=model, since=since, tiers=tiers, **(defaults | rates))


def _amount(value: object, where: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or value < 0:
        raise InvalidInput(f"{where} must be a number that is not negative.")
    return Decimal(value)
