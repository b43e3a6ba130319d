"""The price book: what a model's tokens cost on a day. It makes the estimated clock; the bill makes the other one."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
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
FINEST: Final = 10**15
"""Parts of a dollar that `Price.whole` counts in."""
_TIERS: Final = {"flex": Decimal("0.5"), "priority": Decimal(2)}
_RATES: Final = frozenset(
    {"input", "output", "cached_input", "cache_write", "audio_input", "audio_output", "batch", "unit", "per"}
)
_KNOWN: Final = frozenset({"model", "endpoint", "from", "tiers", *_RATES})
_ENDPOINT: Final = "endpoint:"
"""Before the name of an endpoint that has a price of its own, whatever the model."""


@dataclass(frozen=True)
class Price:
    """US dollars for one million tokens of one model from a day on; `batch` and `tiers` are shares of it.

    What is not counted in tokens costs `unit` dollars for `per` of the endpoint's own units (images, seconds, calls, bytes…).
    """

    model: str
    since: date
    input: Decimal
    output: Decimal
    cached_input: Decimal
    cache_write: Decimal
    audio_input: Decimal
    audio_output: Decimal
    unit: Decimal = Decimal(0)
    per: Decimal = Decimal(1)
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
        return to_nano((total / _MILLION + measures.quantity * self.unit / self.per) * share)

    def whole(self, *, batch: bool = False, tier: str = "") -> tuple[int, int, int, int, int] | None:
        """For one token of plain input, cached input, cache write and output, and for one unit: dollars × 10^15, where these are
        whole numbers. Millions of rows are priced with them; `of` says the same."""
        share = self.batch if batch else self.tiers.get(tier, Decimal(1))
        token = [rate * share * _MILLION * 1000 for rate in (self.input, self.cached_input, self.cache_write, self.output)]
        exact = [*token, self.unit / self.per * share * FINEST]
        if any(value != value.to_integral_value() for value in exact):
            return None
        plain, cached, written, output, unit = map(int, exact)
        return plain, cached, written, output, unit

    def times(self, factor: Decimal) -> Price:
        """The price as the bill shows it: so many times what the book says."""
        rates = ("input", "output", "cached_input", "cache_write", "audio_input", "audio_output", "unit")
        return replace(self, **{name: getattr(self, name) * factor for name in rates})


@dataclass(frozen=True)
class Learned:
    """What the settled days `[since, through]` taught of one model: how far the book is off, or a price where it has none."""

    since: date
    through: date
    factor: Decimal | None = None
    price: Price | None = None


class PriceBook:
    """All prices, found by model, day and endpoint. `learned`: what settled days taught, by model (see `learning`)."""

    def __init__(self, prices: Iterable[Price], learned: Mapping[str, Learned] | None = None) -> None:
        self._learned = dict(learned or {})
        self._prices: dict[str, list[Price]] = {}
        for price in sorted(prices, key=lambda each: each.since):
            self._prices.setdefault(price.model, []).append(price)

    def find(self, model: str, day: date, endpoint: str = "completions") -> Price | None:
        """The price on that day: of the endpoint if it has one, else of the model by its own name, else of its family.

        A day after those that taught what a model really costs has that price. None where neither is known.
        """
        price = self.published(model, day, endpoint)
        if price is not None and price.model.startswith(_ENDPOINT):
            return price
        learned = self._learned.get(model)
        if learned is None or learned.through >= day:
            return price
        if price is None:
            return learned.price
        # A price that was entered after the lesson is newer than the lesson.
        return price.times(learned.factor) if learned.factor is not None and price.since <= learned.since else price

    def published(self, model: str, day: date, endpoint: str = "completions") -> Price | None:
        """What the book itself says."""
        for name in (_ENDPOINT + endpoint, *_names(model)):
            valid = [price for price in self._prices.get(name, ()) if price.since <= day]
            if valid:
                return valid[-1]
        return None

    def with_learned(self, learned: Mapping[str, Learned]) -> PriceBook:
        """The same book beside other lessons."""
        return PriceBook([price for prices in self._prices.values() for price in prices], learned)


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
    named = [name for name in ("model", "endpoint") if name in entry]
    model, since = entry.get(named[0]) if named else None, entry.get("from")
    where = f"The price of {model!r} in {path}"
    required = {"from"} if "unit" in entry else {"from", "input", "output"}
    wrong = [f"lacks {name}" for name in sorted(required - set(entry))] + (
        [] if len(named) == 1 else ["needs a model or an endpoint"]
    )
    wrong += [f"has an unknown {name}" for name in sorted(set(entry) - _KNOWN)]
    if wrong:
        raise InvalidInput(f"{where} {', '.join(wrong)}.")
    if not isinstance(model, str) or not isinstance(since, date):
        raise InvalidInput(f"{where} needs a model as text and a day in `from`, such as 2026-01-31.")
    rates = {"input": Decimal(0), "output": Decimal(0)}
    rates |= {name: _amount(entry[name], f"{where}: {name}") for name in entry if name in _RATES}
    if rates.get("per") == 0:
        raise InvalidInput(f"{where}: per must be more than nothing.")
    tiers = {name: _amount(share, f"{where}: tiers.{name}") for name, share in entry.get("tiers", _TIERS).items()}
    defaults = {
        "cached_input": rates["input"], "cache_write": rates["input"],
        "audio_input": rates["input"], "audio_output": rates["output"],
    }  # fmt: skip
    name = _ENDPOINT + model if named == ["endpoint"] else model
    return Price(model=name, since=since, tiers=tiers, **(defaults | rates))


def _amount(value: object, where: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or value < 0:
        raise InvalidInput(f"{where} must be a number that is not negative.")
    return Decimal(value)
