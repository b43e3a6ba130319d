"""A window on disk while it is read: pages go out of memory as they come, and a crash leaves nothing behind."""

from __future__ import annotations

import marshal
import tempfile
from types import TracebackType
from typing import Any, Final, NamedTuple

_FORMAT: Final = 2  # later ones depend on who else holds an object, so that equal rows would not be equal bytes

Rows = list[tuple[Any, ...]]
"""Plain numbers and texts, a series' number first."""


class _Place(NamedTuple):
    offset: int
    length: int


class Spool:
    """Rows by bucket, in a file without a name."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="govern-usage-")  # noqa: SIM115 - closed by `close`
        self._places: dict[int, _Place] = {}

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def __contains__(self, bucket: int) -> bool:
        return bucket in self._places

    def put(self, bucket: int, packed: bytes) -> None:
        """Keep what `pack` made of the bucket's rows."""
        self._file.seek(0, 2)
        self._places[bucket] = _Place(self._file.tell(), len(packed))
        self._file.write(packed)

    def get(self, bucket: int) -> Rows:
        """The rows again; none for a bucket that was not put."""
        place = self._places.get(bucket)
        if place is None:
            return []
        self._file.seek(place.offset)
        rows: Rows = marshal.loads(self._file.read(place.length))  # noqa: S302 - our own bytes, of this process
        return rows


def pack(rows: Rows) -> bytes:
    """The same bytes for the same rows in the same order, in every process."""
    return marshal.dumps(rows, _FORMAT)
