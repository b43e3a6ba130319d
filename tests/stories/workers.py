"""Worker processes to be killed: one clean process imports everything once, then forks a worker for each schedule.

Started as a program of its own (`python -m tests.stories.workers`), because forking a process that has threads or open
connections hangs now and then. It reads one JSON order a line, `{"run": {...}}` or `{"wake": pid}`, and answers with
`{"pid": …, "ended": how}` where `how` is `done`, `stopped`, or a signal's name.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROUNDS: Final = 40
"""How often a worker looks again at once for what was put off; more than any removal needs."""


@dataclass
class Nursery:
    """The clean process, seen from the test."""

    process: subprocess.Popen[str]

    def run(self, settings: dict[str, Any], crash: str = "") -> tuple[int, str]:
        """Let a new worker carry out everything that is owed; its process id and how it ended."""
        return self._ask({"run": {"settings": settings, "crash": crash}})

    def wake(self, pid: int) -> str:
        """Let a stopped worker go on; how it ended."""
        return self._ask({"wake": pid})[1]

    def _ask(self, order: dict[str, Any]) -> tuple[int, str]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the nursery died")
        answer = json.loads(line)
        return answer["pid"], answer["ended"]


@contextmanager
def nursery(log: Path) -> Iterator[Nursery]:
    """Start the clean process; workers write to `log`."""
    root = Path(__file__).resolve().parents[2]
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.stories.workers"],
            cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, text=True,
        )  # fmt: skip
        try:
            yield Nursery(process)
        finally:
            process.communicate(timeout=30)


def work(order: dict[str, Any]) -> None:
    """What a worker does: the job if one is named, then effects until nothing is owed. In the forked process only."""
    from govern.bootstrap import build
    from govern.core.crypto import Secret
    from govern.settings import Mail, OpenAI, Removal, Sealing, Settings
    from govern.worker.runner import drain, run_job

    given = order["settings"]
    if order["crash"]:
        os.environ["GOVERN_TEST_CRASH"] = order["crash"]
    settings = Settings(
        mode="test",
        database={"url": given["database"]},
        sealing=Sealing(keys=Secret(given["sealing"])),
        openai=OpenAI(admin_key=Secret(given["admin_key"]), base_url=given["openai"]),
        removal=Removal(second_look_seconds=0),
        mail=Mail(**given.get("mail", {})),
    )
    govern = build(settings, outside=True)
    if "job" in given:
        run_job(govern, given["job"])
    for _ in range(ROUNDS):
        drain(govern)
        if not due_now(govern.engine, dead=False):
            break
    govern.close()


def due_now(engine: Any, *, dead: bool) -> int:
    """Make time pass: what was put off is due at once; with `dead`, leases have run out as well. How much is still owed."""
    import sqlalchemy as sa

    from govern.core.db import WRITING
    from govern.core.outbox import Effect, EffectState

    change = sa.update(Effect).where(Effect.state == EffectState.READY)
    values = {"not_before": Effect.created_at} | ({"leased_until": None} if dead else {})
    with engine.connect().execution_options(**{WRITING: True}) as connection:
        owed = connection.execute(change.values(values)).rowcount
        connection.commit()
    return int(owed)


def _serve() -> None:
    # Everything is imported before the first fork; nothing is connected.
    import govern.worker.runner  # noqa: F401

    orders, answers = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in orders:
        order = json.loads(line)
        if "wake" in order:
            pid = int(order["wake"])
            os.kill(pid, signal.SIGCONT)
        else:
            pid = os.fork()
            if pid == 0:
                _child(order["run"])
        _, status = os.waitpid(pid, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            ended = "stopped"
        elif os.WIFSIGNALED(status):
            ended = signal.Signals(os.WTERMSIG(status)).name
        else:
            ended = "done" if os.WEXITSTATUS(status) == 0 else f"exit {os.WEXITSTATUS(status)}"
        answers.write(json.dumps({"pid": pid, "ended": ended}) + "\n")
        answers.flush()


def _child(order: dict[str, Any]) -> None:
    try:
        work(order)
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    _serve()
