"""When a threshold is crossed, what a budget may say. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any, Final

from govern.budgets.windows import Calendar, Period, Windows
from govern.core.db import to_nano
from govern.core.errors import InvalidInput

LARGEST: Final = Decimal(1_000_000_000)
_MAIL: Final = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+\.[^@\s,;<>\".]+")


def crossed(spent: Decimal, limit: Decimal, thresholds: Sequence[int]) -> list[int]:
    """The thresholds (per cent of the limit) that the spend has reached, ascending."""
    return [each for each in sorted(thresholds) if spent * 100 >= limit * each]


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


def check_amount(amount: Decimal) -> Decimal:
    """The limit, to a nano-dollar. Raises InvalidInput."""
    if not amount.is_finite() or not 0 < amount <= LARGEST:
        raise InvalidInput("The amount must be above 0 US dollars.", {"amount_usd": "Above 0, at most 1,000,000,000."})
    return to_nano(amount)


def check_thresholds(thresholds: Sequence[int]) -> list[int]:
    """Whole per cents, each once, ascending. Raises InvalidInput."""
    found = sorted(set(thresholds))
    if not 1 <= len(found) <= 20 or found[0] < 1 or found[-1] > 1000:
        raise InvalidInput(
            "Give 1 to 20 thresholds, each between 1 and 1000 per cent.", {"thresholds": "1 to 20 whole numbers from 1 to 1000."}
        )
    return found


def check_addresses(addresses: Sequence[str]) -> list[str]:
    """Mail addresses, each once, in order. Raises InvalidInput."""
    found = list(dict.fromkeys(address.strip() for address in addresses))
    wrong = [address for address in found if len(address) > 254 or not _MAIL.fullmatch(address) or not address.isprintable()]
    if wrong or len(found) > 50:
        sentence = f"{wrong[0][:80]!r} is not a mail address." if wrong else "At most 50 addresses can be told."
        raise InvalidInput(sentence, {"notify": sentence})
    return found
