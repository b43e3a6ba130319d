"""The drill's own tool: it kills where it is told to, and nowhere otherwise."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

SCRIPT = """
from govern.core.crashpoints import crashpoint
for name in ("a", "b", "b", "c"):
    crashpoint(name)
    print(name, flush=True)
"""


def run(order: str | None) -> tuple[int, str]:
    environment = {name: value for name, value in os.environ.items() if name != "GOVERN_TEST_CRASH"}
    if order is not None:
        environment["GOVERN_TEST_CRASH"] = order
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout.replace("\n", "")


@pytest.mark.parametrize(("order", "passed"), [("a", ""), ("b", "a"), ("b:1", "a"), ("b:2", "ab"), ("c:1", "abb")])
def test_kills_at_the_named_passing(order: str, passed: str) -> None:
    assert run(order) == (-signal.SIGKILL, passed)


@pytest.mark.parametrize("order", [None, "", "B", "d", "b:3"])
def test_does_nothing_otherwise(order: str | None) -> None:
    assert run(order) == (0, "abbc")


def test_freezes_on_demand_and_goes_on_when_woken() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], env=os.environ | {"GOVERN_TEST_CRASH": "b:1:stop"}, stdout=subprocess.PIPE, text=True
    )
    with child:
        _, status = os.waitpid(child.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        child.send_signal(signal.SIGCONT)
        out, _ = child.communicate(timeout=30)
    assert (child.returncode, out.split()) == (0, ["a", "b", "b", "c"])


def test_takes_several_orders() -> None:
    assert run("d,c:1,b:2") == (-signal.SIGKILL, "ab")
    assert run("b:3,c") == (-signal.SIGKILL, "abb")
