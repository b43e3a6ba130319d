"""A list of people as it was sent, read into rows; and how many of them one admin may decide alone. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from govern.batches.models import BatchKind
from govern.core import csv_reading
from govern.core.crypto import contains_secret
from govern.core.csv_reading import short
from govern.core.errors import InvalidInput
from govern.people.service import clean_email

MOST_BYTES: Final = 200_000
MOST_ROWS: Final = 1000
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "who": ("email", "emailaddress", "mail", "mailaddress", "workemail", "primaryemail", "userprincipalname", "upn", "user",
            "member", "person", "id", "who"),
    "role": ("role", "organizationrole", "orgrole", "seat"),
    "projects": ("projects", "project", "places"),
}  # fmt: skip
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{2,119}")


@dataclass(frozen=True)
class Line:
    """One person as written. `who`: an address as we compare it, or an id. `problem`: why the line cannot be used."""

    number: int
    line: int
    who: str
    role: str = "reader"
    projects: tuple[tuple[str, str], ...] = ()
    problem: str | None = None
    repeats: int | None = None
    """The line that names the same person before."""


def of_people(kind: BatchKind, people: Sequence[Mapping[str, str]]) -> list[Line]:
    """People that a program named: `who` and, for an invite, `role` and `projects` as in a file. Raises InvalidInput."""
    return numbered(kind, ((number, said, False) for number, said in enumerate(people, 1)))


def read(kind: BatchKind, text: str) -> list[Line]:
    """The people of a CSV file with headings, or of a plain list of addresses. Raises InvalidInput."""
    table = csv_reading.read(text, COLUMNS, needs="who")
    if table is not None:
        return numbered(kind, ((row.line, row.said, row.too_wide) for row in table.rows))
    return numbered(kind, _plain(text))


def _plain(text: str) -> list[tuple[int, Mapping[str, str], bool]]:
    """A list without headings, of addresses as they are typed or as mail has them (`Eve <eve@…>`); the first has to be one."""
    found: list[tuple[int, Mapping[str, str], bool]] = [
        (number, {"who": word.strip("<>\"'")}, False)
        for number, line in enumerate(text.splitlines(), 1)
        for part in re.split(r"[,;|\t]+", line)
        for word in ([each for each in part.split() if "@" in each] or [part.strip()])
        if word.strip("<>\"'")
    ]
    if found and "@" not in found[0][1]["who"]:
        raise InvalidInput(
            "The first line neither names the columns nor is an address.",
            {"people": "Call the columns email, role, projects; or write one address on each line."},
        )
    return found


def numbered(kind: BatchKind, cells: Iterable[tuple[int, Mapping[str, str], bool]]) -> list[Line]:
    """Rows of (line, columns, too wide) as they count. Raises InvalidInput for none, or for too many."""
    lines: list[Line] = []
    first: dict[str, int] = {}
    for number, (line, said, too_wide) in enumerate(cells, 1):
        if number > MOST_ROWS:
            raise InvalidInput("That are too many people.", {"people": f"At most {MOST_ROWS} at once; send them in parts."})
        found = _line(kind, number, line, said, too_wide)
        if found.problem is None:
            if found.who in first:
                found = replace(found, repeats=first[found.who])
            first.setdefault(found.who, line)
        lines.append(found)
    if not lines:
        raise InvalidInput("That names nobody.", {"people": "Write one address on each line, or send a CSV file."})
    return lines


def _line(kind: BatchKind, number: int, line: int, said: Mapping[str, str], too_wide: bool) -> Line:
    written = said["who"].strip()
    if too_wide:
        return _bad(number, line, written, "It has more cells than there are headings. Put text with the delimiter into quotes.")
    if contains_secret(" ".join(said.values())):
        return _bad(number, line, "", "Something in it looks like a key or a token. Take it out, and revoke it if it is one.")
    if not written:
        return _bad(number, line, "", "There is no address.")
    is_id = kind is BatchKind.REMOVE and "@" not in written and _ID.fullmatch(written)
    if is_id:
        return Line(number, line, written)
    try:
        who = clean_email(written)
    except InvalidInput:
        return _bad(number, line, written, f"“{short(written)}” is not an address. Write it like name@example.com.")
    if kind is BatchKind.REMOVE:
        return Line(number, line, who)
    role = said.get("role", "").strip().casefold() or "reader"
    return Line(number, line, who, role, tuple(_places(said.get("projects", ""))))


def _bad(number: int, line: int, written: str, problem: str) -> Line:
    return Line(number, line, short(written), problem=problem)


def _places(cell: str) -> list[tuple[str, str]]:
    """`Search; Research:owner` → pairs of project and role in it."""
    places = []
    for part in filter(None, (part.strip() for part in re.split(r"[;|\n]", cell))):
        project, _, role = part.rpartition(":") if part.casefold().endswith((":member", ":owner")) else (part, "", "member")
        places.append((project.strip(), role.strip().casefold()))
    return places


def digest(kind: BatchKind, reason: str, lines: Sequence[Line]) -> str:
    """What makes two sendings the same one: what is asked for whom, in whatever order, and why."""
    asked: list[Any] = sorted([line.who, line.role, sorted(line.projects)] for line in lines if not line.problem)
    return hashlib.sha256(json.dumps([kind.value, reason, asked], ensure_ascii=True).encode()).hexdigest()


def needing_yes(wanted: int, *, recent: int, alone: int) -> int:
    """How many of `wanted` need a second admin, where `recent` were begun lately and one admin may begin `alone`."""
    return wanted - min(wanted, max(0, alone - recent))
