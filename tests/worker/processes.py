"""Real processes of ours, on a test's database and beside a fake organization over real HTTP."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tests.conftest import SEALING_KEYS

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")


def environment(database_url: str, openai_url: str, admin_key: str | None, **settings: str) -> dict[str, str]:
    """The environment of a process: nothing of ours but these settings."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("GOVERN_", "OPENAI_", "COV_"))}
    mine |= {
        "GOVERN_MODE": "test", "GOVERN_DATABASE_URL": database_url, "GOVERN_SEALING_KEYS": SEALING_KEYS,
        "GOVERN_OPENAI_BASE_URL": f"{openai_url}/v1", "PYTHONPATH": str(ROOT),
        # Jobs of the timetable run here too; what they do with a year is tested in one process.
        "GOVERN_SYNC_BACKFILL_DAYS": "3", "GOVERN_SYNC_HISTORY_DAYS": "5",
    }  # fmt: skip
    if admin_key is not None:
        mine["GOVERN_OPENAI_ADMIN_KEY"] = admin_key
    return mine | settings


class Process:
    """`govern …` in a process of its own, its log in a file."""

    def __init__(self, arguments: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "govern", *arguments], env=dict(env), cwd=log.parent, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self.popen.pid

    def kill(self) -> None:
        """As if the power went."""
        self.popen.kill()
        self.popen.wait(10)

    def stop(self, seconds: float = 30) -> int:
        """Ask it to end; its exit code."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it did not end within {seconds} s:\n{self.words()}") from None

    def words(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]


@contextmanager
def running(arguments: Sequence[str], env: Mapping[str, str], log: Path) -> Iterator[Process]:
    """The process while the block runs; killed at the end if it still lives."""
    process = Process(arguments, env, log)
    try:
        yield process
    finally:
        if process.popen.poll() is None:
            process.kill()


def eventually(look: Callable[[], T | bool | None], what: str, seconds: float = 15, *processes: Process) -> T:
    """What `look` says as soon as it is true."""
    until = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        for process in processes:
            assert process.popen.poll() is None, f"it ended with {process.popen.returncode}:\n{process.words()}"
        assert time.monotonic() < until, f"{what} did not happen in {seconds} s\n" + "\n".join(each.words() for each in processes)
        time.sleep(0.05)
