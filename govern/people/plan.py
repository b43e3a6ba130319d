"""What a directory file would change, told before anything is done. Pure: known people and rows in, a plan out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Final

from govern.people import timeline
from govern.people.directory_file import Entry, Problem, Sheet
from govern.people.models import PersonState
from govern.people.timeline import NOWHERE, Place, Span

_PLACE: Final = ("team", "cost_centre", "manager")
_ENDING: Final = frozenset({"ends_on", "last_day"})


@dataclass(frozen=True)
class Known:
    """Somebody as they stand now. `in_directory`: an earlier import named them and no later complete one left them out."""

    email: str
    name: str = ""
    state: PersonState = PersonState.ACTIVE
    in_directory: bool = False
    gone_from_directory: bool = False
    ends_on: date | None = None
    ends_by_hand: bool = False
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True)
class Change:
    """One person's change. `facts` are triples (what, before, after) in words; `is_new`: nobody here has the address yet."""

    line: int
    after: Known
    is_new: bool
    facts: Sequence[tuple[str, str | None, str | None]]


@dataclass(frozen=True)
class Plan:
    """`changes`, `problems` and `left` have one row each; `unchanged` counts rows that say what is known. `missing`: people
    whom a directory that is complete should name and does not."""

    changes: Sequence[Change] = ()
    unchanged: Sequence[str] = ()
    problems: Sequence[Problem] = ()
    left: Sequence[Problem] = ()
    missing: Sequence[str] = ()
    complete: bool = False
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def counts(self) -> dict[str, int]:
        """How many of each."""
        new = sum(change.is_new for change in self.changes)
        return {
            "new": new, "changed": len(self.changes) - new, "unchanged": len(self.unchanged), "problems": len(self.problems),
            "left": len(self.left), "missing": len(self.missing),
        }  # fmt: skip

    @property
    def does_nothing(self) -> bool:
        return not self.changes and not (self.complete and self.missing)

    def digest(self) -> str:
        """The same for the same changes: what was confirmed is what is done."""
        said = [[change.after.email, list(change.facts)] for change in self.changes]
        body = json.dumps([said, sorted(self.missing) if self.complete else []], sort_keys=True)
        return hashlib.sha256(body.encode()).hexdigest()[:32]


def plan(sheet: Sheet, known: Mapping[str, Known], *, on: date, complete: bool) -> Plan:
    """Compare. Rows without a day of their own hold from `on`. Several rows may tell one person's moves, each with its day."""
    rows, problems = _by_person(sheet)
    addresses = set(known) | set(rows)
    left: list[Problem] = []
    changes: list[Change] = []
    unchanged: list[str] = []
    for email, entries in rows.items():
        who = known.get(email)
        if who is not None and who.state is not PersonState.ACTIVE:
            word = "is being removed" if who.state is PersonState.LEAVING else "was removed"
            left.append(Problem(entries[0].line, email, f"{who.name} {word}; to have them return, invite them."))
            continue
        stranger = next((each for each in entries if (each.said.get("manager") or email) not in addresses), None)
        if stranger is not None:
            sentence = f"Its manager {stranger.said['manager']} is nobody we know. Add a row for them, or correct the address."
            problems.append(Problem(stranger.line, email, sentence))
            continue
        before = after = who or Known(email)
        for entry in sorted(entries, key=lambda each: each.effective_on or on):
            after = _after(after, entry, sheet.columns, on)
        facts = _facts(before, after)
        if who is None or facts:
            changes.append(Change(entries[0].line, after, who is None, facts))
        else:
            unchanged.append(email)
    notes = list(sheet.notes)
    if sheet.ignored:
        notes.append(f"These columns mean nothing here and were not used: {', '.join(sheet.ignored)}.")
    missing: list[str] = []
    unreadable = sum(problem.email is None for problem in problems)
    if unreadable:
        notes.append(f"{unreadable} rows have no usable address, so nobody is called missing: it may be one of theirs.")
    else:
        named = set(rows) | {problem.email for problem in problems}
        missing = sorted(each.email for each in known.values() if each.email not in named and _is_expected(each, complete))
    return Plan(changes, unchanged, sorted(problems, key=lambda each: each.line), left, missing, complete, notes)


def _by_person(sheet: Sheet) -> tuple[dict[str, list[Entry]], list[Problem]]:
    """The rows of each address, and all problems: a second row for the same day is one."""
    rows: dict[str, list[Entry]] = {}
    problems = list(sheet.problems)
    for entry in sheet.entries:
        earlier = rows.setdefault(entry.email, [])
        twin = next((other for other in earlier if other.effective_on == entry.effective_on), None)
        if twin is None:
            earlier.append(entry)
        else:
            sentence = f"The address stands on line {twin.line} already. Give each its own effective_on, or take one out."
            problems.append(Problem(entry.line, entry.email, sentence))
    return rows, problems


def _is_expected(who: Known, complete: bool) -> bool:
    """Whether a directory should name them. A complete one names everybody; another one those whom one named before."""
    return who.state is PersonState.ACTIVE and not who.gone_from_directory and (complete or who.in_directory)


def _after(who: Known, entry: Entry, columns: frozenset[str], on: date) -> Known:
    said = entry.said
    day = max(entry.effective_on or on, entry.starts_on or date.min)  # nobody stands anywhere before they have begun
    spans = who.spans
    stood = timeline.standing(spans, day)
    place = Place(**{name: said[name] if name in said else getattr(stood, name) for name in _PLACE})
    if not spans:
        spans = (Span(place, entry.starts_on or day),) if place != NOWHERE else ()
    else:
        spans = timeline.moved(timeline.begun(spans, entry.starts_on) if entry.starts_on else spans, place, day)
    ends_on, by_hand = end_after(who.ends_on, who.ends_by_hand, entry.ends_on) if _ENDING & columns else (
        who.ends_on, who.ends_by_hand,
    )  # fmt: skip
    name = said.get("name") or who.name or entry.email.partition("@")[0]
    return replace(
        who, name=name, in_directory=True, gone_from_directory=False, ends_on=ends_on, ends_by_hand=by_hand, spans=spans
    )


def end_after(ends_on: date | None, by_hand: bool, said: date | None) -> tuple[date | None, bool]:
    """The end date once a directory said `said`. One set by hand stands, unless the directory names an earlier day: a nightly
    file that does not know of it must not keep somebody on."""
    if by_hand and ends_on is not None and (said is None or said >= ends_on):
        return ends_on, True
    return said, False


def _facts(before: Known, after: Known) -> list[tuple[str, str | None, str | None]]:
    facts: list[tuple[str, str | None, str | None]] = []

    def note(what: str, one: object, other: object) -> None:
        if one != other:
            facts.append((what, _word(one), _word(other)))

    note("name", before.name or None, after.name)
    note("ends_on", before.ends_on, after.ends_on)
    note("in the directory", before.in_directory, after.in_directory)
    if before.spans != after.spans:
        days = {span.from_on for span in (*before.spans, *after.spans)}
        for day in sorted(days):
            was, now = timeline.standing(before.spans, day), timeline.standing(after.spans, day)
            for name in _PLACE:
                label = f"{name} from {day}"
                note(label, getattr(was, name), getattr(now, name))
    return facts


def _word(value: object) -> str | None:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return None if value is None else str(value)


def rows_of(found: Plan) -> list[dict[str, Any]]:
    """The outcome per row that is not just as it was, for programs and for the record."""
    rows = [
        {
            "line": change.line, "email": change.after.email, "outcome": "new" if change.is_new else "changed", "sentence": None,
            "changes": [{"what": what, "before": before, "after": after} for what, before, after in change.facts],
        }
        for change in found.changes
    ]  # fmt: skip
    for word, group in (("problem", found.problems), ("left", found.left)):
        rows += [
            {"line": each.line, "email": each.email, "outcome": word, "sentence": each.sentence, "changes": []} for each in group
        ]
    return sorted(rows, key=lambda row: int(row["line"]))


def told(found: Plan) -> dict[str, Any]:
    """The plan as programs are told it, over REST and on the command line alike."""
    return {
        "counts": found.counts, "rows": rows_of(found), "missing": list(found.missing), "notes": list(found.notes),
    }  # fmt: skip
