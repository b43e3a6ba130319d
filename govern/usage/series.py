"""From a row's dimensions to the number of its series. A row repeats eight texts; its fact holds one number instead."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from sys import intern
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.uow import Actor, UnitsOfWork
from govern.usage.attribution import Registry
from govern.usage.bulk import batched, insert_new_rows, next_ids
from govern.usage.models import CostSeries, UsageSeries

Dims = tuple[str, ...]
Describe = Callable[[Dims, Registry], dict[str, Any]]
_dumps: Final = json.JSONEncoder().encode
_AT_ONCE: Final = 10_000


class Numbers:
    """The series of one endpoint. Remembers those that it has seen, so that a run looks each up once.

    A new series is written at once, in a transaction of its own: a series without facts says nothing.
    """

    def __init__(
        self, table: type[UsageSeries] | type[CostSeries], stream: Dims, describe: Describe, known: Registry, actor: Actor
    ) -> None:
        self._table, self._stream, self._describe, self._known, self._actor = table, stream, describe, known, actor
        self.ids: dict[Dims, int] = {}
        self.new = 0

    def learn(self, unit_of_work: UnitsOfWork, dims: Iterable[Dims]) -> None:
        """Give every combination a number in `ids`."""
        unseen = {each for each in dims if each not in self.ids}
        if not unseen:
            return
        # The texts live as long as the run, and most of them stand in many combinations.
        wanted = {self._digest(each): tuple(map(intern, each)) for each in unseen}
        with unit_of_work.reading() as session:
            missing = self._look_up(session, wanted)
        if missing:
            new = {digest: wanted[digest] for digest in missing}
            with unit_of_work(self._actor) as uow:
                ids = next_ids(uow.session, self._table, len(new))
                if self._insert(uow.session, ids, new) == len(new):
                    self.ids.update(zip(new.values(), ids, strict=True))
                else:  # somebody else was quicker with some of them
                    self._look_up(uow.session, new)
            self.new += len(missing)

    def recall(self, session: Session, dims: Sequence[Any], used: sa.Select[int]) -> None:
        """Take over the numbers of the series in `used` at once: yesterday's are most of today's."""
        found = session.execute(sa.select(self._table.id, *dims).where(self._table.id.in_(used)))
        self.ids.update((tuple(map(intern, each)), number) for number, *each in found)

    def _insert(self, session: Session, ids: Sequence[int], rows: Mapping[str, Dims]) -> int:
        described = [self._describe(_clean(dims), self._known) for dims in rows.values()]
        names = ("id", "digest", *described[0])
        values = (
            (number, digest, *facts.values()) for number, digest, facts in zip(ids, rows, described, strict=True)
        )  # fmt: skip
        return insert_new_rows(session, self._table, names, values)

    def _look_up(self, session: Session, wanted: Mapping[str, Dims]) -> Collection[str]:
        """Take over the numbers of those that are there; the digests of those that are not."""
        missing = set(wanted)
        for part in batched(wanted, _AT_ONCE):
            found = session.execute(sa.select(self._table.digest, self._table.id).where(self._table.digest.in_(part)))
            for digest, number in found:
                self.ids[wanted[digest]] = number
                missing.discard(digest)
        return missing

    def _digest(self, dims: Dims) -> str:
        return hashlib.sha256(_dumps([*self._stream, *_clean(dims)]).encode()).hexdigest()


def _clean(dims: Dims) -> Dims:
    if "\x00" not in "".join(dims):
        return dims
    return tuple(text.replace("\x00", "") for text in dims)  # PostgreSQL's text cannot hold it
