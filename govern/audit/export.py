"""Hand the log out: line by line, in constant memory, to be gone on with behind any event."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from govern.audit import chain, ocsf, queries
from govern.audit.chain import Link
from govern.core.uow import UnitsOfWork

FORMATS: Final[Mapping[str, Callable[[Link], bytes]]] = {"jsonl": chain.line, "ocsf": ocsf.line}
"""`jsonl`: every column, in the form that `verify` reads. `ocsf`: for a SIEM."""


def chunks(units: UnitsOfWork, form: str, *, after: int = 0, until: int | None = None) -> Iterator[bytes]:
    """Whole lines, oldest first: the events behind the one numbered `after`, up to the newest at the time of the call,
    or to the one numbered `until`.

    Each read has a transaction of its own, so that a slow reader holds nothing in the database.
    """
    line = FORMATS[form]
    with units.reading() as session:
        newest = queries.newest(session)
    until = newest if until is None else min(until, newest)
    while links := _read(units, after, until):
        yield b"".join(map(line, links))
        after = links[-1].seq


def _read(units: UnitsOfWork, after: int, until: int) -> list[Link]:
    with units.reading() as session:
        return queries.links(session, after=after, until=until)
