"""Forms: what was typed, what is wrong with it, and where a list goes on."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, Final, TypeVar

from flask import request

from govern.core.errors import Conflict, GovernError, InvalidInput, NotFound, PolicyViolation

PAGE: Final = 50
REFUSALS: Final = (InvalidInput, Conflict, PolicyViolation, NotFound)
"""Errors that a form shows above what was typed, so that the reader can change it."""

Item = TypeVar("Item")
State = TypeVar("State", bound=StrEnum)


@dataclass(frozen=True)
class Form:
    """The values that a form shows, the sentence about the whole, and a sentence per field."""

    values: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, Sequence[str]] = field(default_factory=dict)
    problem: str | None = None
    errors: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        return self.values.get(name, "")

    def chosen(self, name: str) -> Sequence[str]:
        """The ticked values of a group."""
        return self.lists.get(name, ())


def refused(error: GovernError) -> Form:
    """The form as it was sent, with what is wrong with it."""
    sent = request.form
    lists = {name: sent.getlist(name) for name in sent}
    errors = error.fields if isinstance(error, InvalidInput) else {}
    return Form(sent.to_dict(), lists, error.sentence, errors)


def once() -> str:
    """A mark for a form, so that sending it twice does it once."""
    return f"page-{secrets.token_urlsafe(18)}"


def text(name: str, *, most: int = 500) -> str:
    """A trimmed field of the form that was sent. Raises InvalidInput when it is longer than anybody would write."""
    value = request.form.get(name, "").strip()
    if len(value) > most:
        raise InvalidInput("That is too long.", {name: f"At most {most} characters."})
    return value


def whole(name: str, sentence: str) -> int:
    """A whole number of the form that was sent. Raises InvalidInput with the sentence."""
    value = text(name, most=9)
    if not value.isascii() or not value.isdigit():
        raise InvalidInput(sentence, {name: sentence})
    return int(value)


def day(name: str) -> date | None:
    """A day of the form that was sent, None where it is empty. Raises InvalidInput."""
    value = text(name, most=10)
    try:
        return date.fromisoformat(value) if value else None
    except ValueError:
        raise InvalidInput("That is not a day.", {name: "Write it like 2026-03-12."}) from None


def query_text(name: str, *, most: int = 200) -> str | None:
    """A trimmed part of the address's query, None when it is not there."""
    return request.args.get(name, "").strip()[:most].replace("\x00", "") or None


def query_state(name: str, kind: type[State]) -> State | None:
    """A state asked for in the address; a word that is none counts as not asked."""
    value = request.args.get(name, "")
    return kind(value) if value in {state.value for state in kind} else None


@dataclass(frozen=True)
class Page:
    """A stretch of a list. `next` is the cursor of the following one, None at the end."""

    items: Sequence[Any]
    next: str | None


def paged(found: Sequence[Any], *, by: str = "id", size: int = PAGE) -> Page:
    """Cut a list that was read one longer than it is shown."""
    items = found[:size]
    return Page(items, str(getattr(items[-1], by)) if len(found) > size else None)
