"""When a threshold is crossed, what the limit is at a moment, what a budget may say. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Protocol

from govern.budgets.windows import Calendar, Period, Windows
from govern.core.db import to_nano
from govern.core.errors import InvalidInput

LARGEST: Final = Decimal(1_000_000_000)
_MAIL: Final = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+\.[^@\s,;<>\".]+")


@dataclass(frozen=True)
class Threshold:
    """When to tell: at so many per cent of the limit, or at so many dollars. The other one is 0.

    `forecast`: when what is likely at the end of the window reaches it, and not only what was spent.
    """

    percent: int = 0
    usd: Decimal = Decimal(0)
    forecast: bool = False

    def amount(self, limit: Decimal) -> Decimal:
        """The dollars at which it is reached."""
        return limit * self.percent / 100 if self.percent else self.usd

    @property
    def words(self) -> str:
        """For people: "80 %", "$500.00", "100 % by forecast"."""
        reached = f"{self.percent} %" if self.percent else dollars(self.usd)
        return f"{reached} by forecast" if self.forecast else reached


def crossed(spent: Decimal, limit: Decimal, thresholds: Iterable[Threshold]) -> list[Threshold]:
    """The thresholds that the spend has reached, the highest last."""
    found = [each for each in thresholds if spent >= each.amount(limit)]
    return sorted(found, key=lambda each: (each.amount(limit), each.percent, each.usd))


class Raised(Protocol):
    """A temporary raise: `by_usd` more in `[starts_at, ends_at)`; `generation` as a budget's."""

    @property
    def by_usd(self) -> Decimal: ...
    @property
    def starts_at(self) -> datetime: ...
    @property
    def ends_at(self) -> datetime: ...
    @property
    def generation(self) -> int: ...


@dataclass(frozen=True)
class Limit:
    """What a limit is at a moment, and the generation of the alerts about it."""

    usd: Decimal
    generation: int

    def raised(self, raises: Iterable[Raised], at: datetime) -> Limit:
        """The limit with the raises that hold at this moment. Each limit that there ever was has its own thresholds to reach."""
        held = [each for each in raises if each.starts_at <= at < each.ends_at]
        return Limit(
            sum((each.by_usd for each in held), self.usd), max([self.generation, *(each.generation for each in held)])
        )  # fmt: skip


def dollars(amount: Decimal) -> str:
    """For people: two decimals, rounded for display only; a cost below a cent does not read as nothing."""
    if amount and abs(amount) < Decimal("0.01"):
        return "less than $0.01"
    sign = "-" if amount < 0 else ""
    return f"{sign}${abs(amount):,.2f}"


def percent(spent: Decimal, limit: Decimal) -> int:
    """Whole per cent of the limit, rounded down: it never names a threshold that was not reached."""
    return int((spent * 100 / limit).to_integral_value(rounding="ROUND_FLOOR"))


def calendar_of(wanted: Windows, now: Calendar | None = None) -> Calendar:
    """The windows that the fields ask for; what is left out stays as it is. A new period has nothing of the old one but its
    zone. Raises InvalidInput."""
    try:
        asked = wanted.get("period")
        period = None if asked is None else Period(asked)
    except ValueError:
        raise InvalidInput("There is no such window.", {"period": f"One of {', '.join(Period)}."}) from None
    start = asdict(Calendar() if now is None else Calendar(zone=now.zone) if period not in (None, now.period) else now)
    given: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    return Calendar(**(start | given | {"period": period or start["period"]}))


def check_name(name: str) -> str:
    """The name on one line. Raises InvalidInput."""
    cleaned = " ".join(name.split())
    if not 1 <= len(cleaned) <= 200 or not cleaned.isprintable():
        raise InvalidInput("The budget needs a name of 1 to 200 characters.", {"name": "1 to 200 characters."})
    return cleaned


def check_amount(amount: Decimal, field: str = "amount_usd") -> Decimal:
    """Dollars, to a nano-dollar. Raises InvalidInput."""
    if not amount.is_finite() or not 0 < amount <= LARGEST:
        raise InvalidInput("The amount must be above 0 US dollars.", {field: "Above 0, at most 1,000,000,000."})
    return to_nano(amount)


def check_thresholds(percents: Sequence[int], amounts: Sequence[Decimal]) -> tuple[list[int], list[Decimal]]:
    """Whole per cents and dollars, each once, ascending. Raises InvalidInput."""
    found, dollar = sorted(set(percents)), sorted({check_amount(each, "thresholds_usd") for each in amounts})
    if not 1 <= len(found) + len(dollar) <= 20 or (found and (found[0] < 1 or found[-1] > 1000)):
        raise InvalidInput(
            "Give 1 to 20 thresholds; those in per cent are between 1 and 1000.",
            {"thresholds": "1 to 20, with those in dollars; whole numbers from 1 to 1000."},
        )
    return found, dollar


def check_forecast(percents: Sequence[int]) -> list[int]:
    """Whole per cents that a forecast may reach, each once, ascending; there may be none. Raises InvalidInput."""
    found = sorted(set(percents))
    if len(found) > 20 or (found and (found[0] < 1 or found[-1] > 1000)):
        sentence = "Give at most 20 thresholds on the forecast, between 1 and 1000 per cent."
        raise InvalidInput(sentence, {"thresholds_forecast": "At most 20 whole numbers from 1 to 1000."})
    return found


def check_addresses(addresses: Sequence[str]) -> list[str]:
    """Mail addresses, each once, in order. Raises InvalidInput."""
    found = list(dict.fromkeys(address.strip() for address in addresses))
    wrong = [address for address in found if len(address) > 254 or not _MAIL.fullmatch(address) or not address.isprintable()]
    if wrong or len(found) > 50:
        sentence = f"{wrong[0][:80]!r} is not a mail address." if wrong else "At most 50 addresses can be told."
        raise InvalidInput(sentence, {"notify": sentence})
    return found
