"""CSV as people send it: common encodings and delimiters, headings in many spellings, rows with the line they begin on. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from govern.core.csv_text import as_meant
from govern.core.errors import InvalidInput

_DELIMITERS: Final = (",", ";", "\t", "|")

Spellings = Mapping[str, Sequence[str]]
"""What we call a column → how others write it, without case, spaces and punctuation."""


@dataclass(frozen=True)
class Row:
    """One row below the headings. `said` has a text for each column that the file has; `too_wide`: more cells than headings."""

    line: int
    said: Mapping[str, str]
    too_wide: bool


@dataclass(frozen=True)
class Table:
    """A file that is being read. `columns` are those understood, `ignored` the headings that mean nothing to us.

    `rows` are read once; reading on raises InvalidInput where the file is broken.
    """

    rows: Iterator[Row]
    columns: frozenset[str]
    ignored: Sequence[str]


def decode(data: bytes, *, most_bytes: int) -> tuple[str, str | None]:
    """The file's text, and a remark where its encoding had to be guessed. Raises InvalidInput for what is no text."""
    if len(data) > most_bytes:
        raise InvalidInput("The file is too large.", {"file": f"At most {most_bytes // 1000:,} kB; send it in parts."})
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise InvalidInput("This is a workbook, not a CSV file.", {"file": "In the spreadsheet, save it as CSV (UTF-8)."})
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return data.decode(encoding), None
    except UnicodeDecodeError:
        try:
            return data.decode("cp1252"), "The file is not UTF-8; it was read as Windows-1252. Check the names with accents."
        except UnicodeDecodeError:
            raise InvalidInput("The file is not text that we can read.", {"file": "Save it as CSV (UTF-8)."}) from None


def read(text: str, spellings: Spellings, *, needs: str) -> Table | None:
    """The rows of the file; None where no heading of the first line with text means the column `needs`.

    Raises InvalidInput for what is no CSV.
    """
    if "\x00" in text:
        raise InvalidInput("The file is not text that we can read.", {"file": "Save it as CSV (UTF-8)."})
    text, skipped = text.removeprefix("\ufeff"), 0
    if named := re.match(r"sep=(.)\r?\n", text):  # what a spreadsheet writes to itself
        text, skipped = text[named.end() :], 1
    delimiter = named[1] if named else _delimiter(text, spellings)
    rows = _numbered(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=False), skipped)
    header = next((cells for _, cells in rows if any(cell.strip() for cell in cells)), [])
    places = _places(header, spellings)
    if needs not in places:
        return None
    ignored = [cell.strip()[:60] for at, cell in enumerate(header) if cell.strip() and at not in places.values()]
    found = (
        Row(
            line,
            {name: as_meant(cells[at].strip()) if at < len(cells) else "" for name, at in places.items()},
            any(cell.strip() for cell in cells[len(header) :]),
        )
        for line, cells in rows
        if any(cell.strip() for cell in cells)
    )
    return Table(found, frozenset(places), ignored)


def short(text: str) -> str:
    """A cell as a sentence may quote it."""
    shown = "".join(char if char.isprintable() else " " for char in text)
    return shown if len(shown) <= 60 else shown[:57] + "…"


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


def _delimiter(text: str, spellings: Spellings) -> str:
    """The one that makes the most known columns of the first line with text."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return max(_DELIMITERS, key=lambda each: len(_places(next(csv.reader([first], delimiter=each), []), spellings)))


def _places(header: Sequence[str], spellings: Spellings) -> dict[str, int]:
    """Column → where it stands. Of two headings that mean the same, the first counts."""
    places: dict[str, int] = {}
    for at, cell in enumerate(header):
        plain = re.sub(r"[\W_]", "", cell.casefold())
        for column, known in spellings.items():
            if plain in known and column not in places:
                places[column] = at
    return places
