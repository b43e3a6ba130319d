"""A pytest plugin that says which tests need to run on PostgreSQL too, and which repeat there what others have shown.

    scripts/test -p scripts.lib.statements --database postgresql -m 'not browser'

A test runs on both databases unless it is marked `one_database`. The mark is right where every statement that the test sends to
PostgreSQL, and every error that comes back, is sent and comes back in a test without the mark as well. This prints the tests
that have the mark and should not, and those that could have it, the costly ones first. Tests of processes, locks and crashes
stay on both whatever they send: what matters there is who waits for whom.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine, ExceptionContext

ALWAYS = ("tests/core/", "tests/worker/", "tests/stories/", "tests/drill/", "tests/peers/", "tests/cli/")
_PARAMETER = re.compile(r"%\(\w+\)s")
_SEVERAL = re.compile(r"(%s(?:::[A-Z ]+(?:\(\d+\))?)?)(?:, %s(?:::[A-Z ]+(?:\(\d+\))?)?)+")
_ROWS = re.compile(r"(\(%s[^()]*\))(?:, \(%s[^()]*\))+")


@dataclass
class Sent:
    """What one test function sent, over all of its variations."""

    seconds: float = 0.0
    marked: bool = False
    statements: set[int] = field(default_factory=set)


class Recorder:
    """Listens to all engines of a process."""

    def __init__(self) -> None:
        self.tests: dict[str, Sent] = {}
        self._now: set[int] = set()
        self._shapes: dict[str, int] = {}
        sa.event.listen(Engine, "before_cursor_execute", self._sent)
        sa.event.listen(Engine, "handle_error", self._failed)

    def _shape(self, statement: str) -> int:
        """The same number for statements that differ only in how many values they list."""
        if statement not in self._shapes:
            one = _SEVERAL.sub(r"\1…", _PARAMETER.sub("%s", statement))
            self._shapes[statement] = _number(_ROWS.sub(r"\1…", one))
        return self._shapes[statement]

    def _sent(self, connection: sa.Connection, _cursor: Any, statement: str, *_more: Any) -> None:
        if connection.dialect.name == "postgresql":
            self._now.add(self._shape(statement))

    def _failed(self, context: ExceptionContext) -> None:
        if context.statement and context.dialect.name == "postgresql":
            self._now.add(_number(f"{self._shape(context.statement)} {type(context.original_exception).__name__}"))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._now, began = set(), time.process_time()
        yield
        if self._now:
            sent = self.tests.setdefault(item.nodeid.partition("[")[0], Sent())
            sent.seconds += time.process_time() - began
            sent.statements |= self._now
            sent.marked = item.get_closest_marker("one_database") is not None

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output["sent"] = [(name, s.seconds, s.marked, sorted(s.statements)) for name, s in self.tests.items()]

    def pytest_testnodedown(self, node: Any) -> None:
        for name, seconds, marked, statements in getattr(node, "workeroutput", {}).get("sent", ()):
            sent = self.tests.setdefault(name, Sent())
            sent.seconds, sent.marked = sent.seconds + seconds, marked
            sent.statements.update(statements)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        needed = cover(self.tests)
        repeat = [name for name, sent in self.tests.items() if not sent.marked and name not in needed]
        alone = [name for name, sent in self.tests.items() if sent.marked and name in needed]
        lines = {"repeat on PostgreSQL what others show": repeat, "are marked and send what nobody else does": alone}
        for title, names in lines.items():
            terminalreporter.section(f"{len(names)} {title}")
            for name in sorted(names, key=lambda name: -self.tests[name].seconds):
                terminalreporter.line(f"{self.tests[name].seconds:6.2f} s  {name}")


def cover(tests: dict[str, Sent]) -> set[str]:
    """The tests that together send everything, cheap and unmarked ones first, and those that stay whatever they send."""
    chosen = {name for name, sent in tests.items() if not sent.marked and name.startswith(ALWAYS)}
    left = set().union(*(sent.statements for sent in tests.values()))
    for name in chosen:
        left -= tests[name].statements

    def worth(name: str) -> float:
        sent = tests[name]
        return len(sent.statements & left) / (sent.seconds + 0.05) * (0.5 if sent.marked else 1)

    while left:
        best = max(tests.keys() - chosen, key=worth)
        chosen.add(best)
        left -= tests[best].statements
    return chosen


def _number(text: str) -> int:
    """The same in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Recorder())
