"""Hand checkpoints out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from govern.checkpoints import queries
from govern.core.uow import UnitsOfWork

STEP: Final = 500


def chunks(units: UnitsOfWork, *, after: int = 0) -> Iterator[bytes]:
    """All checkpoints of events behind the one numbered `after`, oldest first, a line each."""
    while True:
        with units.reading() as session:
            rows = queries.following(session, after, STEP)
        if not rows:
            return
        yield "".join(row.line for row in rows).encode("utf-8")
        after = rows[-1].seq
