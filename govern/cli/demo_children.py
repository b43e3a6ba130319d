"""The demo's processes: started, watched, and stopped together."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import httpx

from govern.core.errors import GovernError

_PR_SET_PDEATHSIG: Final = 1
PATIENCE: Final = 30.0
"""Seconds that a process has to end by itself. The worker finishes what is in hand."""


class ChildDied(GovernError):
    """One of the demo's processes ended by itself."""

    code = "child_died"


class Children:
    """`start` them in order; `stop` ends them in the opposite one."""

    def __init__(self) -> None:
        self._running: list[tuple[str, subprocess.Popen[bytes], Path]] = []

    def start(self, name: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        """Start `govern …` with exactly this environment, logging into a file."""
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", "govern", *arguments],
                env=dict(environment), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                # A session of its own: Ctrl-C on the terminal reaches the demo alone, which then stops all in order.
                start_new_session=True, preexec_fn=_end_with_parent(),  # noqa: PLW1509 - it only makes one system call
            )  # fmt: skip
        self._running.append((name, process, log))

    def pids(self) -> dict[str, int]:
        return {name: process.pid for name, process, _ in self._running}

    def check(self) -> None:
        """Raise ChildDied when one has ended."""
        for name, process, log in self._running:
            code = process.poll()
            if code is not None:
                raise ChildDied(f"The {name} process has ended ({_ending(code)}). Its log is {log}:\n{_last_words(log)}")

    def wait_for(self, url: str, what: str, *, seconds: float = 60.0, stopping: Callable[[], bool] = lambda: False) -> None:
        """Return when the address answers with success. Raises ChildDied; TimeoutError after so many seconds."""
        until = time.monotonic() + seconds
        while not stopping():
            self.check()
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(url, timeout=2.0, trust_env=False).is_success:
                    return
            if time.monotonic() > until:
                raise TimeoutError(f"{what} did not answer at {url} within {seconds:.0f} seconds.")
            time.sleep(0.05)

    def stop(self) -> None:
        """End them all: asked first, killed after a while."""
        for _, process, _ in reversed(self._running):
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        until = time.monotonic() + PATIENCE
        for _, process, _ in reversed(self._running):
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self._running.clear()


def _end_with_parent() -> Callable[[], None] | None:
    """On Linux: have the child terminated should this process vanish without a goodbye, so that no server is left behind."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


def _last_words(log: Path) -> str:
    with contextlib.suppress(OSError):
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:]
        return "\n".join(f"  {line[:300]}" for line in lines) or "  (it said nothing)"
    return "  (it said nothing)"
