"""Spend as files: rows one after the other, so that an export of any size takes the memory of a page."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import IO, Final

from sqlalchemy.orm import Session

from govern.core.csv_text import defused
from govern.usage import queries
from govern.usage.chargeback import Chargeback
from govern.usage.names import By, Whose
from govern.usage.questions import STEPS, Line, Question

Cell = str | Decimal | int | date | None
Reading = Callable[[], AbstractContextManager[Session]]
AT_ONCE: Final = 10_000
_DIGITS: Final = 15
"""So many digits a spreadsheet keeps of a number; what has more is written as text, so that none is lost."""


@dataclass(frozen=True)
class Sheet:
    """A table: `rows` may be read once."""

    title: str
    headings: Sequence[str]
    rows: Iterable[Sequence[Cell]]


def spend(reading: Reading, question: Question) -> Sheet:
    """Every line of the answer, in the order of the groups, read page by page. Raises InvalidInput."""
    headings: list[str] = []
    for by in question.by:
        headings += [by.value, f"{by.value}_name"] if by in (By.PROJECT, By.PERSON, By.KEY) else [by.value]
    counts = ("requests", "input_tokens", "cached_tokens", "output_tokens", "unpriced_tokens")
    headings += ["amount_usd", "billed_usd", "estimated_usd", *counts]
    first = _page(reading, question, None)  # at once, so that a question without an answer fails before the file begins
    return Sheet("Spend", headings, _spend_rows(reading, question, first))


def _spend_rows(reading: Reading, question: Question, found: list[Line]) -> Iterator[Sequence[Cell]]:
    while found:
        for line in found:
            cells: list[Cell] = []
            for by in question.by:
                cells.append(line.ids[by] or None)
                if by in (By.PROJECT, By.PERSON, By.KEY):
                    cells.append(line.names[by] or None)
            yield [*cells, line.figure.amount, line.figure.billed, line.figure.estimated, *line.counts]
        if question.step is By.HOUR or len(found) < AT_ONCE:
            return
        found = _page(reading, question, found[-1].cursor)


def _page(reading: Reading, question: Question, after: Sequence[str] | None) -> list[Line]:
    with reading() as session:
        return queries.lines(
            session, question.start, question.end, by=question.by, view=question.view, only=question.only, after=after,
            limit=None if question.step is By.HOUR else AT_ONCE,  # hours are worked out as one, whatever is asked of them
        )  # fmt: skip


def chargeback(report: Chargeback) -> Sheet:
    """The month's lines, what they come to, and the bill beside them."""
    words = {Whose.PERSON: "people", Whose.PROJECT: "project's own", Whose.NOBODY: "unattributed"}
    month = report.month.isoformat()[:7]
    rows: list[Sequence[Cell]] = [
        (
            month, words[line.whose] + (", changed after closing" if line.adjustment else ""), line.cost_centre or None,
            line.team or None, line.project or None, line.people or None, line.amount,
        )
        for line in report.lines
    ]  # fmt: skip
    rows += [(month, "total", None, None, None, None, report.total), (month, "bill", None, None, None, None, report.bill)]
    headings = ["month", "kind", "cost_centre", "team", "project", "people", "amount_usd"]
    return Sheet(f"Chargeback {month}", headings, rows)


def csv_lines(sheet: Sheet) -> Iterator[str]:
    """The file in pieces, as RFC 4180 has it. Amounts have every digit; a text that a spreadsheet would calculate is marked."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(sheet.headings)
    for number, row in enumerate(sheet.rows, 1):
        writer.writerow([text(cell) for cell in row])
        if number % 500 == 0:
            yield out.getvalue()
            out.seek(0)
            out.truncate()
    yield out.getvalue()


def text(cell: Cell) -> str:
    """A cell as it stands in a file of text."""
    if cell is None:
        return ""
    if isinstance(cell, Decimal):
        return format(cell.normalize(), "f") if cell else "0"
    return defused(cell) if isinstance(cell, str) else str(cell)


def xlsx(sheet: Sheet) -> IO[bytes]:
    """The file, at its beginning. It goes through the disk, not through memory; close it when it was sent."""
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font

    book = Workbook(write_only=True)
    page = book.create_sheet(sheet.title[:31])
    page.freeze_panes = "A2"

    def cell(value: Cell, bold: bool = False) -> WriteOnlyCell:
        shown = value
        if isinstance(value, Decimal) and len(value.normalize().as_tuple().digits) > _DIGITS:
            shown = text(value)
        made = WriteOnlyCell(page, shown)
        if isinstance(shown, str):
            made.data_type = "s"  # never a formula, whatever it begins with
        if bold:
            made.font = Font(bold=True)
        return made

    page.append([cell(heading, bold=True) for heading in sheet.headings])
    for row in sheet.rows:
        page.append([cell(value) for value in row])
    file = tempfile.TemporaryFile()  # noqa: SIM115 - whoever sends it closes it
    book.save(file)
    file.seek(0)
    return file


def steps(by: Sequence[By]) -> list[By]:
    """The groups with their step of time first, as a file is best read."""
    return sorted(dict.fromkeys(by), key=lambda each: each not in STEPS)
