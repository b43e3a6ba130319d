"""Where somebody stood from day to day: spans that touch and never overlap. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final


@dataclass(frozen=True)
class Place:
    """A team, a cost centre and whom one reports to (an address)."""

    team: str | None = None
    cost_centre: str | None = None
    manager: str | None = None


NOWHERE: Final = Place()


@dataclass(frozen=True)
class Span:
    """A place from a day on; `until_on` is the first day on which it is over, None: it lasts."""

    place: Place
    from_on: date
    until_on: date | None = None

    def holds(self, on: date) -> bool:
        return self.from_on <= on and (self.until_on is None or on < self.until_on)


def standing(spans: Sequence[Span], on: date) -> Place:
    """Where they stand on that day."""
    return next((span.place for span in spans if span.holds(on)), NOWHERE)


def moved(spans: Sequence[Span], place: Place, on: date) -> tuple[Span, ...]:
    """The spans once they stand in `place` from that day on, until the next change that is known already.

    Saying again what is so changes nothing. A change on the very day of an earlier one corrects it.
    """
    spans = tuple(sorted(spans, key=lambda span: span.from_on))
    if standing(spans, on) == place:
        return spans
    before = [replace(span, until_on=on) if span.holds(on) else span for span in spans if span.from_on < on]
    after = [span for span in spans if span.from_on > on]
    held = next((span for span in spans if span.holds(on)), None)
    until = held.until_on if held is not None else after[0].from_on if after else None
    return _joined([*before, Span(place, on, until), *after])


def begun(spans: Sequence[Span], on: date) -> tuple[Span, ...]:
    """The spans when they are known to have begun that early. A later beginning than is known changes nothing."""
    if not spans or on >= min(span.from_on for span in spans):
        return tuple(spans)
    first, *rest = sorted(spans, key=lambda span: span.from_on)
    return (replace(first, from_on=on), *rest)


def _joined(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Neighbours that say the same are one: a correction may have undone a move."""
    joined: list[Span] = []
    for span in spans:
        last = joined[-1] if joined else None
        if last is not None and last.place == span.place and last.until_on == span.from_on:
            joined[-1] = replace(last, until_on=span.until_on)
        else:
            joined.append(span)
    return tuple(joined)
