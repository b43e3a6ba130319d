"""What an action's word says of its outcome, and what an event's facts say of a change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


class Outcome(StrEnum):
    """How it went: done, asked for (somebody else or a worker carries it out), or refused."""

    DONE = "done"
    ASKED = "asked"
    REFUSED = "refused"


ENDINGS: Final = {
    Outcome.ASKED: ("requested", "asked"),
    Outcome.REFUSED: ("refused", "failed", "not_approved", "guessing_stopped"),
}
"""How the actions end that were not simply done. Such a word stands whole: behind a dot or an underscore."""


def outcome(action: str) -> Outcome:
    """The outcome of `key.freeze_refused` is *refused*, of `key.requested` *asked*, of anything else *done*."""
    for found, endings in ENDINGS.items():
        if action.endswith(tuple(f"{sign}{ending}" for ending in endings for sign in "._")):
            return found
    return Outcome.DONE


@dataclass(frozen=True)
class Change:
    """One thing that changed. `name` is empty where the event is about one value alone; None: there was, or is, nothing."""

    name: str
    before: Any
    after: Any


def changes(facts: Mapping[str, Any]) -> list[Change]:
    """What changed, by the facts `before` and `after`: value by value where they are tables, and only those that differ."""
    if not {"before", "after"} & set(facts):
        return []
    before, after = facts.get("before"), facts.get("after")
    tables = [value for value in (before, after) if value is not None]
    if not tables or not all(isinstance(value, dict) for value in tables):
        return [Change("", before, after)]
    old, new = before or {}, after or {}
    return [Change(name, old.get(name), new.get(name)) for name in old | new if old.get(name) != new.get(name)]
