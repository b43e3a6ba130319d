"""A directory as a CSV file: bytes → rows with line numbers, and a sentence for each line that cannot be used. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from govern.core.crypto import contains_secret
from govern.core.csv_text import as_meant
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
_DELIMITERS: Final = (",", ";", "\t", "|")


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
    if len(data) > MOST_BYTES:
        raise InvalidInput("The file is too large.", {"file": f"At most {MOST_BYTES // 1_000_000} MB; import it in parts."})
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise InvalidInput("This is a workbook, not a CSV file.", {"file": "In the spreadsheet, save it as CSV (UTF-8)."})
    remark = None
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        try:
            text = data.decode("cp1252")
        except UnicodeDecodeError:
            raise InvalidInput("The file is not text that we can read.", {"file": "Save it as CSV (UTF-8)."}) from None
        remark = "The file is not UTF-8; it was read as Windows-1252. Check the names with accents."
    return text, remark


def read(text: str) -> Sheet:
    """The rows of the file. Raises InvalidInput where no heading says which column holds the addresses."""
    if "\x00" in text:
        raise InvalidInput("The file is not text that we can read.", {"file": "Save it as CSV (UTF-8)."})
    text, skipped = text.removeprefix("\ufeff"), 0
    if named := re.match(r"sep=(.)\r?\n", text):  # what a spreadsheet writes to itself
        text, skipped = text[named.end() :], 1
    delimiter = named[1] if named else _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=False)
    rows = _numbered(reader, skipped)
    header = next((row for row in rows if any(cell.strip() for cell in row[1])), (0, []))[1]
    places = _places(header)
    if "email" not in places:
        raise InvalidInput(
            "The first line has to name the columns, and none of them is the address.",
            {"file": "Call the columns email, name, team, cost_centre, manager, starts_on, ends_on."},
        )
    columns = frozenset(places)
    ignored = [cell.strip()[:60] for at, cell in enumerate(header) if cell.strip() and at not in places.values()]
    entries: list[Entry] = []
    problems: list[Problem] = []
    for line, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        if len(entries) + len(problems) >= MOST_ROWS:
            raise InvalidInput("The file has too many rows.", {"file": f"At most {MOST_ROWS}; import it in parts."})
        found = _entry(line, cells, places, len(header))
        if isinstance(found, Entry):
            entries.append(found)
        else:
            problems.append(found)
    if not entries and not problems:
        raise InvalidInput("The file names nobody.", {"file": "Below the headings there is no row."})
    return Sheet(entries, problems, columns, ignored)


def _numbered(reader: Iterator[list[str]], skipped: int) -> Iterator[tuple[int, list[str]]]:
    """Each row with the line on which it begins: a cell in quotes may go over several."""
    begins = 1
    try:
        for cells in reader:
            yield begins + skipped, cells
            begins = reader.line_num + 1  # type: ignore[attr-defined]
    except csv.Error as error:
        sentence = f"Line {begins + skipped} is broken: {error}. Look for a quotation mark that is not closed."
        raise InvalidInput(sentence, {"file": sentence}) from None


def _delimiter(text: str) -> str:
    """The one that makes the most known columns of the first line with text."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return max(_DELIMITERS, key=lambda each: len(_places(next(csv.reader([first], delimiter=each), []))))


def _places(header: Sequence[str]) -> dict[str, int]:
    """Column → where it stands. Of two headings that mean the same, the first counts."""
    places: dict[str, int] = {}
    for at, cell in enumerate(header):
        plain = re.sub(r"[\W_]", "", cell.casefold())
        for column, spellings in COLUMNS.items():
            if plain in spellings and column not in places:
                places[column] = at
    return places


def _entry(line: int, cells: Sequence[str], places: Mapping[str, int], width: int) -> Entry | Problem:
    said = {name: as_meant(cells[at].strip()) if at < len(cells) else "" for name, at in places.items()}
    address = said["email"]
    try:
        email = clean_email(address)
    except InvalidInput:
        shown = f"“{_short(address)}” is not an address." if address else "There is no address."
        return Problem(line, None, f"{shown} Write it like name@example.com.")
    if len(cells) > width and any(cell.strip() for cell in cells[width:]):
        return Problem(line, email, "It has more cells than there are headings. Put text with the delimiter into quotes.")
    if (
        strange := next((name for name, text in said.items() if len(text) > _LONGEST or not text.isprintable()), None)
    ) is not None:
        return Problem(line, email, f"Its {strange} is longer than {_LONGEST} characters or has line breaks in it.")
    if contains_secret(" ".join(said.values())):
        return Problem(line, email, "Something in it looks like a key or a token. Take it out, and revoke it if it is one.")
    if "name" not in places and {"first", "last"} & set(places):
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
            return Problem(
                line, email, f"Its manager “{_short(said['manager'])}” is not an address. Write the manager's address."
            )
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
                raise ValueError(f"“{_short(text)}” is not a day of the calendar.") from None
    if re.fullmatch(r"\d{1,2}/\d{1,2}/\d{2,4}", plain):
        raise ValueError(f"“{_short(text)}” may be read in two ways. Write it like 2026-03-12.")
    raise ValueError(f"“{_short(text)}” is not a day. Write it like 2026-03-12.")


def _short(text: str) -> str:
    shown = "".join(char if char.isprintable() else " " for char in text)
    return shown if len(shown) <= 60 else shown[:57] + "…"
