"""Spend without a person: why, how much, and what to do about each reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple

from sqlalchemy.orm import Session

from govern.usage import queries
from govern.usage.models import Reason
from govern.usage.names import By, Whose
from govern.usage.questions import EVERYTHING, Counts, Figure, Only, Question, View


class Words(NamedTuple):
    """What a reason is called, and what to do about it."""

    title: str
    remedy: str


WORDS: Final[Mapping[Reason, Words]] = {
    Reason.NO_KEY: Words(
        "No key is named",
        "OpenAI names neither a key nor a member, as for vector stores and sessions, or for work in its own dashboard. Models "
        "and line items say what it was; what has a project stays that project's own.",
    ),
    Reason.UNKNOWN_KEY: Words(
        "A key that no listing shows",
        "It was deleted before it was first listed, or its project cannot be read. See under Jobs whether directory.sync is "
        "well; if the key is still used, find out by whom in its project, and issue one here instead.",
    ),
    Reason.FOREIGN_ACCOUNT: Words(
        "A service account that was not made here",
        "The key stands among the findings as unmanaged. Issue a key here to whoever uses it, then end the old one: from then on "
        "the spend is theirs.",
    ),
    Reason.UNKNOWN_MEMBER: Words(
        "A member whom nobody here knows",
        "Bring them into the directory with the address of their seat, or let them sign in once: what they spent before is put "
        "down to them as well. Who left before the first sync stays unknown.",
    ),
    Reason.NONE: Words("Not told yet", "The next sync of usage and costs tells why."),
}
"""Every reason; NONE only until a sync has told."""


@dataclass(frozen=True)
class Ownerless:
    """What has no person for one reason. `whose`: it has a project, which bears it, or nothing at all."""

    whose: Whose
    reason: Reason
    figure: Figure
    counts: Counts

    @property
    def words(self) -> Words:
        return WORDS[self.reason]


def ownerless(session: Session, start: date, end: date, *, view: View = View.BEST, only: Only = EVERYTHING) -> list[Ownerless]:
    """Spend of the UTC days `[start, end)` without a person, by reason: what is unattributed first, then projects' own, the
    largest first. They add up to `queries.totals`' parts, to the last digit."""
    found = [
        Ownerless(Whose(row.group[0]), Reason(row.group[1]), row.figure, row.counts)
        for row in queries.rows(session, Question(start, end, (By.WHOSE, By.REASON), view, only))
        if row.group[0] != Whose.PERSON and (row.figure.amount or row.counts.requests)
    ]
    return sorted(found, key=lambda each: (each.whose is Whose.PROJECT, -each.figure.amount, each.reason))
