"""Calls side by side: all are made, each in the caller's context, and a refusal of one is an outcome and no end of the others."""

from __future__ import annotations

import threading
import time

import pytest

from govern.core.abreast import abreast, interleaved
from govern.core.errors import Rejected, Throttled
from govern.core.lanes import Lane, current_lane, in_lane


def test_they_run_side_by_side_in_the_lane_of_whoever_asked() -> None:
    meeting = threading.Barrier(4, timeout=10)  # broken unless four are under way at once

    def task() -> Lane:
        meeting.wait()
        return current_lane()

    with in_lane(Lane.BACKGROUND):
        found = abreast(dict.fromkeys(range(4), task))
    assert found.answers == dict.fromkeys(range(4), Lane.BACKGROUND)
    assert found.refusals == {}


def test_no_more_at_once_than_allowed() -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def task() -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.005)
        with lock:
            now[0] -= 1

    assert len(abreast(dict.fromkeys(range(12), task), threads=3).answers) == 12
    assert most[0] <= 3


def test_no_group_holds_all_the_threads() -> None:
    assert interleaved(["a1", "a2", "a3", "b1", "c1", "b2"], lambda word: word[0]) == ["a1", "b1", "c1", "a2", "b2", "a3"]
    assert interleaved([], lambda word: word) == []


def test_what_the_provider_refuses_is_told_by_name_and_a_bug_is_raised() -> None:
    def refuse() -> str:
        raise Rejected("No.")

    def wait() -> str:
        raise Throttled("Later.", retry_after=6)

    found = abreast({"a": lambda: "done", "b": refuse, "c": wait})
    assert found.answers == {"a": "done"}
    assert {name: error.sentence for name, error in found.refusals.items()} == {"b": "No.", "c": "Later."}
    assert abreast({}).answers == {}
    with pytest.raises(ZeroDivisionError):
        abreast({"a": lambda: 1 // 0, "b": lambda: 1})
