"""One run's reading: endpoints beside one another, since OpenAI paces each for itself; storing one day after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import date
from threading import Lock
from typing import Final

import structlog

from govern.core.clock import utcnow
from govern.core.crashpoints import crashpoint
from govern.core.errors import ProviderError, Rejected
from govern.core.uow import Actor, UnitsOfWork
from govern.usage.bulk import serialize
from govern.usage.rules import ranges
from govern.usage.spool import Spool
from govern.usage.staging import Staged
from govern.usage.windows import open_windows, store, stored_digests
from govern.usage.writers import Writer

_COUNTS: Final = ("days", "rows", "written", "removed", "unchanged", "duplicates", "outside", "adjustments")

log = structlog.get_logger("govern.usage")


class Pull:
    """`counts` of everything so far. `errors`: an endpoint that failed is left alone for the rest of the run."""

    def __init__(self, unit_of_work: UnitsOfWork, actor: Actor, writers: Sequence[Writer]) -> None:
        self._unit_of_work, self._actor, self._writers = unit_of_work, actor, writers
        self._storing = Lock()
        self._failed: set[Writer] = set()
        self.counts: Counter[str] = Counter()
        self.errors: list[ProviderError] = []

    def report(self) -> dict[str, int]:
        """`days` read, `rows` in them, `written` and `removed` facts, `unchanged` days, new `series`, `duplicates` and rows
        `outside` the days that were asked for (both dropped), `adjustments` of closed months."""
        return {name: self.counts[name] for name in _COUNTS} | {"series": sum(writer.numbers.new for writer in self._writers)}

    def round(self, due: Mapping[Writer, Sequence[date]]) -> None:
        """Read and store these days. A failure that is not OpenAI's is raised."""
        work = [(writer, days) for writer, days in due.items() if days and writer not in self._failed]
        if len(work) < 2:
            for writer, days in work:
                self._read_all(writer, days)
            return
        with ThreadPoolExecutor(len(work), thread_name_prefix="usage") as threads:
            futures = [threads.submit(copy_context().run, self._read_all, writer, days) for writer, days in work]
        for future in futures:
            future.result()

    def _read_all(self, writer: Writer, days: Sequence[date]) -> None:
        try:
            for start, end in reversed(ranges(days, len(days))):
                self._read(writer, start, end)
        except ProviderError as error:
            log.warning("usage.endpoint_failed", endpoint=writer.endpoint, error=error.code)
            self._failed.add(writer)
            self.errors.append(error)

    def _read(self, writer: Writer, start: date, end: date) -> None:
        """Read the stretch whole. A 400 in the middle is a cursor that expired: begin again at the first page, once."""
        with self._unit_of_work.reading() as session:
            stored = stored_digests(session, writer, start, end)
        for last in (False, True):
            began = utcnow()
            with Spool() as spool:
                staged = Staged(start, end, spool, stored)
                try:
                    writer.read(self._unit_of_work, staged)
                except Rejected as error:
                    if last or error.status != 400:
                        raise
                    continue
                crashpoint("usage.sync.read")
                with self._storing:  # SQLite lets one write at a time and makes the others wait by turns of its own
                    self.counts.update(rows=staged.rows, duplicates=staged.duplicates, outside=staged.outside)
                    # A transaction per day with rows: a crash leaves whole days, and nobody waits long. Most endpoints of most
                    # organizations have none for months, and a transaction for each of those days would be most of the work.
                    for days in staged.portions():
                        with self._unit_of_work(self._actor) as uow:
                            serialize(uow.session)
                            for window in open_windows(uow, writer, days):
                                self.counts.update(store(uow, writer, staged, window, began))
                            crashpoint("usage.sync.before_commit")
                crashpoint("usage.sync.stored")
                return
