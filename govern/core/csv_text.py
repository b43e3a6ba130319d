"""CSV that a spreadsheet may open: a cell that it would take for a formula is written as text."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_MARK: Final = "'"


def defused(cell: str) -> str:
    """The cell with an apostrophe in front where a spreadsheet would calculate or call something."""
    return _MARK + cell if cell.startswith(_FORMULA) or cell.lstrip().startswith(_FORMULA) else cell


def as_meant(cell: str) -> str:
    """What `defused` was given, so that an export can be read in again."""
    rest = cell.removeprefix(_MARK)
    return rest if defused(rest) == cell else cell


def lines(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """The file line by line, each ending in CRLF as RFC 4180 has it; None is an empty cell."""
    for row in chain([header], rows):
        out = io.StringIO()
        csv.writer(out).writerow([defused("" if cell is None else str(cell)) for cell in row])
        yield out.getvalue()
