"""Processes to be killed: one clean process imports and compiles everything once, then forks a worker or a web process for
each order.

Started as a program of its own (`python -m tests.drill.nursery`), because forking a process that has threads or open
connections hangs now and then. It reads one JSON order a line and answers each with one line; see `Nursery` for the orders.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROUNDS: Final = 40
"""How often a worker looks again at once for what was put off; more than any removal needs."""
HUNG: Final = 60.0
"""Seconds after which a process that neither ends nor stops is taken for hung."""

Order = dict[str, Any]


@dataclass
class Nursery:
    """The clean process, seen from the drill."""

    process: subprocess.Popen[str]

    def prepare(self, settings: Order) -> None:
        """Build the service for these settings once and pass through all of it, so that children start warm. Changes the
        database, which must know the drill's organization."""
        self._ask({"prepare": settings})

    def start(self, **order: Any) -> int:
        """Fork a process; its id. `settings` builds the service anew, else it is the prepared one. `crash` orders a death
        (`core.crashpoints`), `dead` lets the leases of dead workers run out first. A web process has `commands` and reports
        to the file `report`; a worker may have a `job` and carries out effects, at most `rounds` times in a row."""
        return int(self._ask({"start": order})["pid"])

    def wait(self, pid: int, seconds: float = HUNG) -> str:
        """`done`, `stopped`, the name of the signal that ended it, `exit N`, or `running` when the time is over."""
        return str(self._ask({"wait": pid, "seconds": seconds})["ended"])

    def run(self, crash: str = "", **order: Any) -> tuple[int, str]:
        """Start a process and wait; its id and how it ended."""
        pid = self.start(crash=crash, **order)
        return pid, self.wait(pid)

    def wake(self, pid: int) -> None:
        """Let a stopped process go on."""
        self._ask({"signal": pid, "number": int(signal.SIGCONT)})

    def kill(self, pid: int) -> None:
        """End a process that hangs."""
        self._ask({"signal": pid, "number": int(signal.SIGKILL)})

    def _ask(self, order: Order) -> Order:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the nursery died")
        return dict(json.loads(line))


@contextmanager
def nursery(log: Path) -> Iterator[Nursery]:
    """Start the clean process; it and its children write to `log`."""
    root = Path(__file__).resolve().parents[2]
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.drill.nursery"],
            cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, text=True,
        )  # fmt: skip
        try:
            yield Nursery(process)
        finally:
            process.communicate(timeout=30)


# -- in the clean process ----------------------------------------------------------------------------------------------


def _serve() -> None:
    import logging

    import structlog

    import govern.worker.runner  # noqa: F401  everything is imported before the first fork; nothing is connected

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    orders, answers = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    prepared = None
    for line in orders:
        order, answer = json.loads(line), {}
        if "prepare" in order:
            from tests.drill.children import Prepared

            prepared = Prepared(order["prepare"])
        elif "start" in order:
            pid = os.fork()
            if pid == 0:
                _child(order["start"], prepared)
            answer = {"pid": pid}
        elif "wait" in order:
            answer = {"ended": _ended(int(order["wait"]), float(order["seconds"]))}
        else:
            os.kill(int(order["signal"]), int(order["number"]))
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _ended(pid: int, seconds: float) -> str:
    until = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(pid, os.WUNTRACED | os.WNOHANG)
        if found:
            break
        if time.monotonic() >= until:
            return "running"
        time.sleep(0.001)
    if os.WIFSTOPPED(status):
        return "stopped"
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return "done" if os.WEXITSTATUS(status) == 0 else f"exit {os.WEXITSTATUS(status)}"


def _child(order: Order, prepared: Any) -> None:
    from tests.drill import children

    try:
        children.live(order, prepared)
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    from tests.drill.mutants import plant_ordered

    plant_ordered()
    _serve()
