"""Reading an answer: what must be there is there and has its type, or the whole answer is refused.

Nothing partial is ever stored: a page with one unreadable item raises Unavailable. Unknown fields and unknown words pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from govern.core.clock import from_unix
from govern.core.crypto import contains_secret
from govern.core.errors import Unavailable

Fields = Mapping[str, Any]
# Four times as quick as the standard library's: a page of usage of a large organization is thirty megabytes.
_DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object of an answer, every number with a point as an exact `Decimal`. Raises Unavailable for anything else."""
    try:
        parsed = _DECODER.decode(body)
    except (msgspec.DecodeError, RecursionError, InvalidOperation):
        # Without `from`: the decoder's error carries the whole text, which may hold a new key's value.
        raise Unavailable("OpenAI's answer is not JSON; it was cut short or came from something in between.") from None
    if not isinstance(parsed, dict):
        raise Unavailable("OpenAI's answer is not a JSON object.")
    return parsed


def malformed(field: str) -> Unavailable:
    """The error for a field that is missing or of another type. Names the field, never its value."""
    return Unavailable(f"OpenAI's answer lacks a usable field {field!r}.", field=field)


def text(item: Fields, field: str) -> str:
    """A text that must be there and not be empty."""
    value = item.get(field)
    if not isinstance(value, str) or not value:
        raise malformed(field)
    return value


def maybe_text(item: Fields, field: str) -> str | None:
    value = item.get(field)
    if value is None or isinstance(value, str):
        return value
    raise malformed(field)


def instant(item: Fields, field: str) -> datetime:
    """Unix seconds that must be there, as an aware UTC time."""
    value = maybe_instant(item, field)
    if value is None:
        raise malformed(field)
    return value


def maybe_instant(item: Fields, field: str) -> datetime | None:
    value = item.get(field)
    if value is None:
        return None
    try:
        if isinstance(value, bool) or value != int(value):
            raise malformed(field)
        return from_unix(int(value))
    except (TypeError, ValueError, OverflowError, OSError, InvalidOperation):
        raise malformed(field) from None


def truth(item: Fields, field: str) -> bool:
    """A flag; absent and null mean no."""
    return item.get(field) is True


def decimal(value: object, field: str) -> Decimal:
    """An exact, finite number. Amounts were seen both as JSON numbers and as strings."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise malformed(field)
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise malformed(field) from None
    if not number.is_finite():
        raise malformed(field)
    return number


def inner(item: Fields, field: str) -> Fields:
    """An object inside; absent and null are an empty one."""
    value = item.get(field)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise malformed(field)
    return value


def items(item: Fields, field: str) -> Sequence[Fields]:
    """A list of objects that must be there."""
    value = item.get(field)
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise malformed(field)
    return value


def ids(body: bytes) -> list[str]:
    """The ids that the answer of a change names: of the thing itself, and of what came with it. Nothing readable names none."""
    try:
        answer = parse(body)
    except Unavailable:
        return []
    found = [each.get("id") for each in (answer, *(value for value in answer.values() if isinstance(value, dict)))]
    return [id_[:200] for id_ in found if isinstance(id_, str) and id_ and not contains_secret(id_)]
