"""A directory as a CSV file: bytes → rows with line numbers, and a sentence for each line that cannot be used. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from govern.core import csv_reading
from govern.core.crypto import contains_secret
from govern.core.csv_reading import Row, short
from govern.core.errors import InvalidInput
from govern.people.service import clean_email

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "email": ("email", "emailaddress", "mail", "mailaddress", "workemail", "primaryemail", "userprincipalname", "upn"),
    "name": ("name", "fullname", "displayname", "employeename", "preferredname"),
    "first": ("firstname", "givenname", "forename"),
    "last": ("lastname", "surname", "familyname"),
    "team": ("team", "teamname", "department", "dept", "division", "orgunit", "organizationalunit", "businessunit"),
    "cost_centre": ("costcentre", "costcenter", "costcentercode", "costcentrecode", "cc", "kostenstelle"),
    "manager": (
        "manager", "manageremail", "managermail", "manageraddress", "supervisor", "supervisoremail", "reportsto", "linemanager",
    ),
    "starts_on": ("startson", "startdate", "start", "hiredate", "hiredon", "joined", "joinedon", "entrydate"),
    "ends_on": ("endson", "enddate", "end", "contractend", "contractenddate", "terminationdate", "exitdate"),
    "last_day": ("lastday", "lastworkingday", "lastdayofwork"),
    "effective_on": ("effectiveon", "effective", "effectivedate", "effectivefrom", "validfrom", "changedon"),
}  # fmt: skip
"""What we call a column → how others write it, without case, spaces and punctuation."""

MOST_BYTES: Final = 10_000_000
MOST_ROWS: Final = 100_000
_LONGEST: Final = 200


@dataclass(frozen=True)
class Problem:
    """A line that was not used, and what to do about it."""

    line: int
    email: str | None
    sentence: str


@dataclass(frozen=True)
class Entry:
    """One usable line. `said` holds the columns that the file has, a cell without text as None."""

    line: int
    email: str
    said: Mapping[str, str | None]
    starts_on: date | None = None
    ends_on: date | None = None
    effective_on: date | None = None


@dataclass(frozen=True)
class Sheet:
    """A file that was read. `columns` are those understood, `ignored` the headings that mean nothing to us."""

    entries: Sequence[Entry]
    problems: Sequence[Problem]
    columns: frozenset[str]
    ignored: Sequence[str] = ()
    notes: Sequence[str] = field(default_factory=tuple)


def decode(data: bytes) -> tuple[str, str | None]:
    """The file's text, and a remark where its encoding had to be guessed. Raises InvalidInput for what is no text."""
    return csv_reading.decode(data, most_bytes=MOST_BYTES)


def read(text: str) -> Sheet:
    """The rows of the file. Raises InvalidInput where no heading says which column holds the addresses."""
    table = csv_reading.read(text, COLUMNS, needs="email")
    if table is None:
        raise InvalidInput(
            "The first line has to name the columns, and none of them is the address.",
            {"file": "Call the columns email, name, team, cost_centre, manager, starts_on, ends_on."},
        )
    entries: list[Entry] = []
    problems: list[Problem] = []
    for row in table.rows:
        if len(entries) + len(problems) >= MOST_ROWS:
            raise InvalidInput("The file has too many rows.", {"file": f"At most {MOST_ROWS}; import it in parts."})
        found = _entry(row, table.columns)
        if isinstance(found, Entry):
            entries.append(found)
        else:
            problems.append(found)
    if not entries and not problems:
        raise InvalidInput("The file names nobody.", {"file": "Below the headings there is no row."})
    return Sheet(entries, problems, table.columns, table.ignored)


def _entry(row: Row, columns: frozenset[str]) -> Entry | Problem:
    line, said = row.line, dict(row.said)
    address = said["email"]
    try:
        email = clean_email(address)
    except InvalidInput:
        shown = f"“{short(address)}” is not an address." if address else "There is no address."
        return Problem(line, None, f"{shown} Write it like name@example.com.")
    if row.too_wide:
        return Problem(line, email, "It has more cells than there are headings. Put text with the delimiter into quotes.")
    if (
        strange := next((name for name, text in said.items() if len(text) > _LONGEST or not text.isprintable()), None)
    ) is not None:
        return Problem(line, email, f"Its {strange} is longer than {_LONGEST} characters or has line breaks in it.")
    if contains_secret(" ".join(said.values())):
        return Problem(line, email, "Something in it looks like a key or a token. Take it out, and revoke it if it is one.")
    if "name" not in columns and {"first", "last"} & columns:
        said["name"] = " ".join(filter(None, (said.get("first"), said.get("last"))))
    days: dict[str, date | None] = {}
    for name in ("starts_on", "ends_on", "last_day", "effective_on"):
        try:
            days[name] = day_of(said.pop(name, ""))
        except ValueError as error:
            return Problem(line, email, f"Its {name} {error}")
    if days["last_day"] is not None and days["ends_on"] is None:
        days["ends_on"] = days["last_day"] + timedelta(days=1)
    if days["starts_on"] and days["ends_on"] and days["ends_on"] <= days["starts_on"]:
        return Problem(line, email, "It ends before it begins. Look at starts_on and ends_on.")
    if said.get("manager"):
        try:
            said["manager"] = clean_email(said["manager"])
        except InvalidInput:
            return Problem(line, email, f"Its manager “{short(said['manager'])}” is not an address. Write the manager's address.")
        if said["manager"] == email:
            return Problem(
                line, email, "They cannot be their own manager. Leave the cell empty for somebody who reports to nobody."
            )
    kept: dict[str, str | None] = {
        name: said[name] or None for name in ("name", "team", "cost_centre", "manager") if name in said
    }
    return Entry(line, email, kept, days["starts_on"], days["ends_on"], days["effective_on"])


def day_of(text: str) -> date | None:
    """The day, None for an empty text. Raises ValueError with the rest of a sentence where it is none, or might be two."""
    if not text:
        return None
    plain = re.sub(r"[T ]00:00(:00(\.0+)?)?Z?$", "", text)
    for pattern, order in ((r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})", (1, 2, 3)), (r"(\d{1,2})\.(\d{1,2})\.(\d{4})", (3, 2, 1))):
        if found := re.fullmatch(pattern, plain, flags=re.ASCII):
            try:
                return date(*(int(found[at]) for at in order))
            except ValueError:
                raise ValueError(f"“{short(text)}” is not a day of the calendar.") from None
    if re.fullmatch(r"\d{1,2}/\d{1,2}/\d{2,4}", plain):
        raise ValueError(f"“{short(text)}” may be read in two ways. Write it like 2026-03-12.")
    raise ValueError(f"“{short(text)}” is not a day. Write it like 2026-03-12.")
