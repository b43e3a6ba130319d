"""Who is waiting: a person (or a revocation), or nobody.

OpenAI's admin API allows a handful of requests a minute. The lane says which calls may go first; it travels in a context
variable, because the one who knows it (the worker's runner) and the one who needs it (the client's pacing) are far apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum


class Lane(StrEnum):
    """INTERACTIVE: a person waits, or something must die. BACKGROUND: the timetable."""

    INTERACTIVE = "interactive"
    BACKGROUND = "background"


_current: ContextVar[Lane] = ContextVar("govern_lane", default=Lane.INTERACTIVE)


def current_lane() -> Lane:
    """The lane of the work now running in this thread."""
    return _current.get()


@contextmanager
def in_lane(lane: Lane) -> Iterator[None]:
    """Do the block's work in this lane."""
    token = _current.set(lane)
    try:
        yield
    finally:
        _current.reset(token)
