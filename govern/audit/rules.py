"""What an action's word says of its outcome."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


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
