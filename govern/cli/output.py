"""Tables for people, JSON for programs: money as text with all its digits, times in UTC."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from rich.console import Console
from rich.table import Table

Row = Mapping[str, object]


def console(*, err: bool = False) -> Console:
    """A console for standard output. A narrow pipe must not cut ids in two, so it is wide where there is no terminal."""
    stream = sys.stderr if err else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else 200, highlight=False, soft_wrap=not stream.isatty())


def show(rows: Sequence[Row], columns: Mapping[str, str], *, as_json: bool, empty: str) -> None:
    """Print rows. `columns` maps a field to its heading; JSON has every field. `empty` is said to people where none are."""
    if as_json:
        print(json.dumps({"items": [_plain(row) for row in rows]}, indent=2, ensure_ascii=False))
        return
    if not rows:
        print(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in columns.values():
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(cell(row.get(name)) for name in columns))
    console().print(table)


def show_one(row: Row, *, as_json: bool, sentence: str) -> None:
    """Print one thing: a sentence for people, or the row."""
    print(json.dumps(_plain(row), indent=2, ensure_ascii=False) if as_json else sentence)


def cell(value: object) -> str:
    """A value as people read it: times to the second in UTC, money with two places, nothing as a dash."""
    if value is None or value == "":
        return "–"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, Decimal):
        return f"{value:,.2f}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {count}" for name, count in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(cell(item) for item in value)
    return printable(str(value)).replace("[", r"\[")


def printable(text: str) -> str:
    """The text for a terminal. Names come from outside; it must not obey what stands in them."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _plain(value: object) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        whole, _, rest = format(value, "f").partition(".")
        return f"{whole}.{rest.rstrip('0').ljust(2, '0')}"
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
