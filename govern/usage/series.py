"""From a row's dimensions to the number of its series. A row repeats eight texts; its fact holds one number instead."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from sys import intern
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.uow import Actor, UnitsOfWork
from govern.usage.attribution import Registry
from govern.usage.bulk import batched, insert_new_rows
from govern.usage.models import CostSeries, UsageSeries

Dims = tuple[str, ...]
Describe = Callable[[Dims, Registry], dict[str, Any]]
_AT_ONCE: Final = 5_000


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
            with unit_of_work(self._actor) as uow:
                self._insert(uow.session, {digest: wanted[digest] for digest in missing})
                self._look_up(uow.session, {digest: wanted[digest] for digest in missing})
            self.new += len(missing)

    def _insert(self, session: Session, rows: Mapping[str, Dims]) -> None:
        described = [{"digest": digest, **self._describe(_clean(dims), self._known)} for digest, dims in rows.items()]
        names = list(described[0])
        insert_new_rows(session, self._table, names, [tuple(row[name] for name in names) for row in described])

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
        return hashlib.sha256(json.dumps([*self._stream, *_clean(dims)]).encode()).hexdigest()


def _clean(dims: Dims) -> Dims:
    return tuple(text.replace("\x00", "") for text in dims)  # PostgreSQL's text cannot hold it
