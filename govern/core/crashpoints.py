"""Named places at which a drill kills the process. Without the variable `GOVERN_TEST_CRASH` every one of them does nothing.

`GOVERN_TEST_CRASH="key.issue.created:2"` kills at the second passing, `…:2:stop` freezes the process there instead. Several
are separated by commas: frozen here, killed there.
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
    for order in wanted.split(","):
        target, _, rest = order.partition(":")
        if target != name:
            continue
        nth, _, how = (rest or "1").partition(":")
        _passed[order] += 1
        if _passed[order] == int(nth):
            os.kill(os.getpid(), signal.SIGSTOP if how == "stop" else signal.SIGKILL)
