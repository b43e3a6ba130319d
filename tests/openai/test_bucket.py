"""The learning bucket against throttles of every kind, on a clock that only moves when it waits."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

from hypothesis import given, settings
from hypothesis import strategies as st

from govern.core.lanes import Lane
from govern.openai.bucket import LONGEST_PAUSE, SLOWEST, Bucket


class Server(Protocol):
    per_minute: float

    def asks_to_wait(self, now: float) -> float | None: ...


@dataclass
class TokenServer:
    """Lets `burst` through at once and `per_minute` in the long run."""

    per_minute: float
    burst: float
    at: float = 0.0
    tokens: float = field(init=False)

    def __post_init__(self) -> None:
        self.tokens = self.burst

    def asks_to_wait(self, now: float) -> float | None:
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.per_minute / 60)
        self.at = now
        if self.tokens >= 1:
            self.tokens -= 1
            return None
        return float(math.ceil((1 - self.tokens) * 60 / self.per_minute))


@dataclass
class WindowServer:
    """Lets `per_minute` through in any sixty seconds."""

    per_minute: float
    let_in: deque[float] = field(default_factory=deque)

    def asks_to_wait(self, now: float) -> float | None:
        while self.let_in and self.let_in[0] <= now - 60:
            self.let_in.popleft()
        if len(self.let_in) < self.per_minute:
            self.let_in.append(now)
            return None
        return float(math.ceil(self.let_in[0] + 60 - now))


@dataclass
class Run:
    accepted: int = 0
    refused: int = 0
    refused_until_below: int | None = None


def press(server: Server, *, minutes: float, says_when: bool, latency: float = 0.05) -> tuple[Run, Bucket]:
    """Call as fast as the bucket allows for that long."""
    bucket, run, now = Bucket("family", None, 4, as_of=0.0), Run(), 0.0
    while now < minutes * 60:
        waited = bucket.take(Lane.INTERACTIVE, now)
        now += waited
        permit = bucket.permit(now, waited)
        now += latency
        wait = server.asks_to_wait(now)
        if wait is None:
            run.accepted += 1
            bucket.accept(permit, now)
            continue
        run.refused += 1
        bucket.refuse(permit, now, wait if says_when else None)
        if run.refused_until_below is None and bucket.per_minute is not None and bucket.per_minute < server.per_minute:
            run.refused_until_below = run.refused
    return run, bucket


@settings(max_examples=60, deadline=None)
@given(per_minute=st.integers(3, 300), burst=st.floats(0.05, 2.0), says_when=st.booleans())
def test_the_rate_falls_below_a_throttle_within_a_dozen_refusals(per_minute: int, burst: float, says_when: bool) -> None:
    run, _ = press(TokenServer(per_minute, max(1.0, burst * per_minute)), minutes=10, says_when=says_when)
    assert run.refused_until_below is not None
    assert run.refused_until_below <= 12


@settings(max_examples=40, deadline=None)
@given(per_minute=st.integers(6, 120), burst=st.floats(0.2, 2.0), says_when=st.booleans())
def test_most_of_what_a_throttle_allows_is_used_and_few_calls_are_refused(per_minute: int, burst: float, says_when: bool) -> None:
    run, _ = press(TokenServer(per_minute, max(2.0, burst * per_minute)), minutes=30, says_when=says_when)
    assert run.accepted >= 0.8 * per_minute * 30
    assert run.refused <= 12 + 0.06 * run.accepted


@settings(max_examples=25, deadline=None)
@given(per_minute=st.integers(6, 60), says_when=st.booleans())
def test_a_quota_per_minute_is_used_as_well(per_minute: int, says_when: bool) -> None:
    run, _ = press(WindowServer(per_minute), minutes=30, says_when=says_when)
    assert run.accepted >= 0.75 * per_minute * 30
    assert run.refused <= 12 + 0.08 * run.accepted


def test_fifty_calls_a_second_are_reached_within_a_fifth() -> None:
    run, _ = press(TokenServer(3000, 50), minutes=0.5, says_when=True, latency=0.002)
    assert run.accepted * 1.2 >= 3000 * 0.5


calls = st.lists(
    st.tuples(st.sampled_from(list(Lane)), st.floats(0, 30), st.sampled_from(["accepted", "accepted", "refused", "says when"])),
    max_size=120,
)


@settings(max_examples=200, deadline=None)
@given(per_minute=st.sampled_from([None, 6.0, 60.0, 600.0]), burst=st.integers(1, 20), schedule=calls)
def test_background_never_takes_the_reserve_nor_passes_a_waiting_person(
    per_minute: float | None, burst: int, schedule: list[tuple[Lane, float, str]]
) -> None:
    bucket, now = Bucket("family", per_minute, burst, as_of=0.0, tokens=float(burst)), 0.0
    waiting: list[float] = []  # when each interactive caller may go
    for lane, gap, outcome in schedule:
        now += gap
        waiting = [due for due in waiting if due > now]
        wait = bucket.take(lane, now)
        if lane is Lane.BACKGROUND and wait > 0:
            continue  # nothing was taken; it asks again later
        if lane is Lane.BACKGROUND and bucket.per_minute is not None:
            assert not waiting
            assert bucket.tokens >= bucket.reserve - 1e-6
        if wait > 0:
            waiting.append(now + wait)
        permit = bucket.permit(now + wait, wait)
        if outcome == "accepted":
            bucket.accept(permit, now + wait)
        else:
            bucket.refuse(permit, now + wait, 3.0 if outcome == "says when" else None)
        assert bucket.per_minute is None or bucket.per_minute >= SLOWEST
        assert bucket.blocked_until <= max(now + wait, bucket.as_of) + LONGEST_PAUSE


def test_a_person_finds_a_token_however_hard_background_presses() -> None:
    bucket, now = Bucket("family", 60.0, 8, as_of=0.0, tokens=8.0), 0.0
    for _ in range(200):
        now += 0.1
        while bucket.take(Lane.BACKGROUND, now) == 0:
            pass
        if _ % 20 == 19:
            assert bucket.take(Lane.INTERACTIVE, now) == 0


def test_calls_refused_together_count_as_one_refusal() -> None:
    bucket = Bucket("family", 100.0, 8, as_of=0.0, tokens=8.0)
    permits = [bucket.permit(0.0, 0.0) for _ in range(8)]
    for permit in permits:
        bucket.refuse(permit, 0.2, None)
    assert bucket.per_minute == 80.0
    assert bucket.refusals == 8


def test_an_absurd_wait_is_cut_and_a_negative_one_is_none() -> None:
    bucket = Bucket("family", 60.0, 4, as_of=0.0)
    bucket.refuse(bucket.permit(0.0, 0.0), 0.0, 1e9)
    assert bucket.blocked_until == LONGEST_PAUSE
    other = Bucket("family", 60.0, 4, as_of=0.0)
    other.refuse(other.permit(0.0, 0.0), 0.0, -5.0)
    assert 0 < other.blocked_until <= 1


def test_the_first_refusal_makes_the_last_minutes_count_the_guess() -> None:
    bucket = Bucket("family", None, 4, as_of=0.0)
    for second in range(10):
        bucket.accept(bucket.permit(float(second), 0.0), float(second))
    bucket.refuse(bucket.permit(10.0, 0.0), 10.0, None)
    assert bucket.per_minute == 8.0
    assert bucket.capacity == 4.0


def test_calls_that_find_a_full_bucket_teach_nothing() -> None:
    bucket, now = Bucket("family", 6.0, 4, as_of=0.0, tokens=4.0, refused_per_minute=8.0), 0.0
    for _ in range(50):
        now += 60
        assert bucket.take(Lane.INTERACTIVE, now) == 0
        bucket.accept(bucket.permit(now, 0.0), now)
    assert bucket.per_minute == 6.0
