"""Budgets as a file declares them: `[budgets.SLUG]` tables, and `[defaults]` for all of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from govern.budgets.models import Scope
from govern.core.errors import InvalidInput

SLUG: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
WHOSE: Final = tuple(scope.value for scope in Scope if scope is not Scope.ORGANIZATION)
"""Names whose spend it is; without any of these it is the whole organization's."""


def read(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Slug → what `drafts.draft` takes. Numbers with a point must be `Decimal` or text already. Raises InvalidInput."""
    unknown = set(document) - {"budgets", "defaults"}
    if unknown:
        raise _wrong("", f"there is no {sorted(unknown)[0]!r}; write [defaults] and [budgets.SLUG].")
    common = _fields("defaults", _table("defaults", document.get("defaults", {})), {"name", "per_person", *WHOSE})
    found = {}
    for slug, table in _table("budgets", document.get("budgets", {})).items():
        at = f"budgets.{slug}"
        if not SLUG.fullmatch(slug):
            raise _wrong(at, "a slug has small letters, digits, - and _, at most 63.")
        fields = common | _fields(at, _table(at, table), set())
        whose = [word for word in WHOSE if word in fields]
        if len(whose) > 1:
            raise _wrong(at, f"it can be of {whose[0]} or of {whose[1]}, not of both.")
        if "amount_usd" not in fields:
            raise _wrong(at, "amount_usd is missing.")
        scope = Scope(whose[0]) if whose else Scope.ORGANIZATION
        named = fields.pop(whose[0]) if whose else None
        found[slug] = {"name": slug} | fields | {"scope": scope, "scope_id": named, "slug": slug}
    return found


def _fields(at: str, table: Mapping[str, Any], refused: set[str]) -> dict[str, Any]:
    found = {}
    for name, value in table.items():
        if name not in _READ or name in refused:
            raise _wrong(at, f"there is no {name!r} here.")
        try:
            found[name] = _READ[name](value)
        except (TypeError, ValueError, InvalidOperation):
            raise _wrong(at, f"{name} cannot be {str(value)[:60]!r}.") from None
    return found


def _table(at: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _wrong(at, "that is to be a table.")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError
    return value


def _yes(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _dollars(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise TypeError
    return Decimal(value)


def _day(value: object) -> date:
    return date.fromisoformat(value) if isinstance(value, str) else _real_day(value)


def _real_day(value: object) -> date:
    if type(value) is not date:
        raise TypeError
    return value


def _each(read: Callable[[object], Any]) -> Callable[[object], list[Any]]:
    def each(value: object) -> list[Any]:
        if not isinstance(value, list):
            raise TypeError
        return [read(item) for item in value]

    return each


_READ: Final[Mapping[str, Callable[[object], Any]]] = {
    "name": _text, "amount_usd": _dollars, "thresholds": _each(_whole), "thresholds_usd": _each(_dollars),
    "thresholds_forecast": _each(_whole),
    "notify": _each(_text), "zone": _text, "period": _text, "year_starts": _whole, "days": _whole, "anchor": _day,
    "per_person": _yes, **dict.fromkeys(WHOSE, _text),
}  # fmt: skip


def _wrong(at: str, sentence: str) -> InvalidInput:
    text = f"{at}: {sentence}" if at else f"{sentence[:1].upper()}{sentence[1:]}"
    return InvalidInput(text, {at or "file": sentence})
