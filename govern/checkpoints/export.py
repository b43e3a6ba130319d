"""Hand checkpoints out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from govern.checkpoints import queries
from govern.core.uow import UnitsOfWork

STEP: Final = 500


def chunks(units: UnitsOfWork, *, after: int = 0, until: int | None = None) -> Iterator[bytes]:
    """All checkpoints of events behind the one numbered `after`, up to `until`, oldest first, a line each."""
    while True:
        with units.reading() as session:
            rows = [row for row in queries.following(session, after, STEP) if until is None or row.seq <= until]
        if not rows:
            return
        yield "".join(row.line for row in rows).encode("utf-8")
        after = rows[-1].seq
