"""Named places at which a drill kills the process. Without the variable `GOVERN_TEST_CRASH` every one of them does nothing.

`GOVERN_TEST_CRASH="key.issue.created:2"` kills at the second passing, `…:2:stop` freezes the process there instead.
Start-up refuses the variable outside test mode (`settings`), so that no production process carries it.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import Final

VARIABLE: Final = "GOVERN_TEST_CRASH"
_passed: Counter[str] = Counter()


def crashpoint(name: str) -> None:
    """Die here if a drill asked for it."""
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    target, _, rest = wanted.partition(":")
    nth, _, how = (rest or "1").partition(":")
    if target != name:
        return
    _passed[name] += 1
    if _passed[name] == int(nth):
        os.kill(os.getpid(), signal.SIGSTOP if how == "stop" else signal.SIGKILL)
