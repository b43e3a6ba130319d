"""What a file would change: moves split on their day, corrections, who is missing, what cannot be used."""

from __future__ import annotations

from datetime import date

import pytest

from govern.people import timeline
from govern.people.directory_file import read
from govern.people.models import PersonState
from govern.people.plan import Known, Plan, end_after, plan
from govern.people.timeline import Place, Span

A, B = Place("Search", "100"), Place("Infra", "200")
MAR, TENTH, TWELFTH, TWENTIETH, APR = (
    date(2026, 3, 1),
    date(2026, 3, 10),
    date(2026, 3, 12),
    date(2026, 3, 20),
    date(2026, 4, 1),
)

MOVES = {
    "the first place": ((), A, MAR, (Span(A, MAR),)),
    "a move splits on its day": ((Span(A, MAR),), B, TWELFTH, (Span(A, MAR, TWELFTH), Span(B, TWELFTH))),
    "the same again changes nothing": ((Span(A, MAR),), A, TWELFTH, (Span(A, MAR),)),
    "a correction of the same day": (
        (Span(A, MAR, TWELFTH), Span(A, TWELFTH)), B, TWELFTH, (Span(A, MAR, TWELFTH), Span(B, TWELFTH)),
    ),
    "a move into the past ends where the next one begins": (
        (Span(A, MAR, TWENTIETH), Span(B, TWENTIETH)), Place("Ads"), TWELFTH,
        (Span(A, MAR, TWELFTH), Span(Place("Ads"), TWELFTH, TWENTIETH), Span(B, TWENTIETH)),
    ),
    "a move taken back joins what it split": ((Span(A, MAR, TWELFTH), Span(B, TWELFTH)), A, TWELFTH, (Span(A, MAR),)),
    "before the beginning": ((Span(A, TWELFTH),), B, MAR, (Span(B, MAR, TWELFTH), Span(A, TWELFTH))),
    "into a gap": (
        (Span(A, MAR, TENTH), Span(A, TWENTIETH)), B, TWELFTH,
        (Span(A, MAR, TENTH), Span(B, TWELFTH, TWENTIETH), Span(A, TWENTIETH)),
    ),
    "to nowhere": ((Span(A, MAR),), timeline.NOWHERE, TWELFTH, (Span(A, MAR, TWELFTH), Span(timeline.NOWHERE, TWELFTH))),
}  # fmt: skip


@pytest.mark.parametrize("name", MOVES)
def test_moves(name: str) -> None:
    spans, place, on, after = MOVES[name]
    assert timeline.moved(spans, place, on) == after
    assert timeline.moved(after, place, on) == after
    assert timeline.standing(after, on) == place


@pytest.mark.parametrize(
    ("ends_on", "by_hand", "said", "after"),
    [
        (None, False, APR, (APR, False)),
        (APR, False, None, (None, False)),
        (APR, True, None, (APR, True)),
        (APR, True, APR, (APR, True)),
        (APR, True, TWENTIETH, (TWENTIETH, False)),
        (TWENTIETH, True, APR, (TWENTIETH, True)),
    ],
)
def test_a_date_set_by_hand_stands_unless_the_directory_names_an_earlier_day(ends_on, by_hand, said, after) -> None:
    assert end_after(ends_on, by_hand, said) == after


def planned(text: str, known: list[Known], *, complete: bool = False) -> Plan:
    return plan(read(text), {each.email: each for each in known}, on=TENTH, complete=complete)


EVE = Known("eve@a.example", "Eve", in_directory=True, spans=(Span(Place("Search", "100", "max@a.example"), MAR),))
MAX = Known("max@a.example", "Max", in_directory=True)


def test_columns_that_the_file_does_not_have_are_left_alone_and_empty_cells_clear() -> None:
    [change] = planned("email,team\neve@a.example,Infra\n", [EVE, MAX]).changes
    assert change.after.spans[-1] == Span(Place("Infra", "100", "max@a.example"), TENTH)
    assert list(change.facts) == [("team from 2026-03-10", "Search", "Infra")]
    [change] = planned("email,manager\neve@a.example,\n", [EVE, MAX]).changes
    assert list(change.facts) == [("manager from 2026-03-10", "max@a.example", None)]


def test_several_rows_tell_several_moves_in_whatever_order() -> None:
    text = "email,team,effective_on\neve@a.example,Ads,2026-03-20\neve@a.example,Infra,2026-03-12\neve@a.example,X,2026-03-12\n"
    found = planned(text, [EVE, MAX])
    [change] = found.changes
    assert [(span.place.team, span.from_on, span.until_on) for span in change.after.spans] == [
        ("Search", MAR, TWELFTH), ("Infra", TWELFTH, TWENTIETH), ("Ads", TWENTIETH, None),
    ]  # fmt: skip
    assert [(problem.line, "stands on line 3" in problem.sentence) for problem in found.problems] == [(4, True)]


def test_who_is_missing_and_who_left() -> None:
    left = Known("lea@a.example", "Lea", PersonState.LEFT, True)
    stranger = Known("new@a.example", "New")
    known = [EVE, MAX, left, stranger]
    found = planned("email\neve@a.example\nlea@a.example\n", known)
    assert (list(found.missing), found.does_nothing) == (["max@a.example"], True)
    assert "invite them" in found.left[0].sentence
    found = planned("email\neve@a.example\n", known, complete=True)
    assert (list(found.missing), found.does_nothing) == (["max@a.example", "new@a.example"], False)
    found = planned("email\neve@a.example\nmax at a.example\n", known, complete=True)
    assert list(found.missing) == []
    assert "nobody is called missing" in found.notes[0]


def test_a_manager_whom_nobody_knows_is_a_problem_and_one_of_the_file_is_none() -> None:
    found = planned("email,manager\nnew@a.example,boss@a.example\neve@a.example,ghost@a.example\nboss@a.example,\n", [EVE, MAX])
    assert [change.after.email for change in found.changes] == ["new@a.example", "boss@a.example"]
    assert [(problem.line, problem.email) for problem in found.problems] == [(3, "eve@a.example")]
    assert found.digest() != planned("email\nnew@a.example\n", [EVE, MAX]).digest()
