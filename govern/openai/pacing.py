"""Who may call OpenAI now, and who waits: a bucket per family of calls, two lanes, and a memory that survives a restart.

Only the elected worker calls OpenAI (it alone holds the admin key), so the buckets of this process are all that there are.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from govern.core.clock import utcnow
from govern.core.errors import Throttled, Unavailable
from govern.core.lanes import Lane
from govern.openai.bucket import LONGEST_PAUSE, Bucket, Permit
from govern.openai.rates import LearnedRate, LearnedRates

SAVE_EVERY: Final = 5.0
"""Seconds between two writes of a family's state when nothing was refused."""
_NAP: Final = 5.0
"""A background caller looks again at least this often: an interactive one may have come and gone."""

log = structlog.get_logger("govern.openai")


@dataclass(frozen=True)
class Pace:
    """The clock by which calls are spaced, and how to wait on it; without `sleep` a wait ends when the process stops."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] | None = None


class Pacing:
    """Hands out permits. Thread-safe; waiting and writing happen outside the lock."""

    def __init__(
        self,
        *,
        requests_per_minute: int | None = None,
        burst: int = 4,
        rates: LearnedRates | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = utcnow,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        """`requests_per_minute` None starts without a limit. `rates` keeps what was learned; without it nothing is kept."""
        self._closing = threading.Event()
        self._start, self._burst, self._rates = requests_per_minute, burst, rates
        self._clock, self._wall, self._sleep = clock, wall, sleep or self._closing.wait
        self._lock = threading.Lock()
        self._buckets: dict[str, Bucket] = {}
        self._remembered: dict[str, LearnedRate] | None = None
        self._saved_at: dict[str, float] = {}

    def acquire(self, family: str, lane: Lane, patience: float) -> Permit:
        """Wait for the right to send one request, at most `patience` seconds.

        Raises Throttled, with the seconds that are still missing, if it would take longer, and Unavailable when the process
        is stopping.
        """
        self._remember()
        waited, due = 0.0, None  # `due`: when the token that an interactive caller holds may be used
        while True:
            with self._lock:
                now, bucket = self._clock(), self._bucket(family)
                if due is not None:
                    wait = max(0.0, due - now, bucket.blocked_until - now)  # a new refusal holds up everybody
                else:
                    wait = bucket.take(lane, now)
                    due = now + wait if lane is Lane.INTERACTIVE else None
                if wait == 0:
                    return bucket.permit(now, waited)
                if waited + wait > patience or self._closing.is_set():
                    if due is not None:
                        bucket.turn_away(now, wait)
                    break
            # Counted from what was asked for, not from the clock: under a frozen clock the patience must end all the same.
            nap = max(0.001, min(wait, _NAP) if lane is Lane.BACKGROUND else wait)
            self._sleep(nap)
            waited += nap
        if self._closing.is_set():
            raise Unavailable("The worker is stopping; the call was not sent.")
        raise Throttled(
            f"OpenAI takes no more calls of this kind for now; the next one fits in about {wait:.0f} s.", retry_after=wait
        )

    def accepted(self, permit: Permit) -> None:
        """OpenAI let the request in, whatever the answer was."""
        with self._lock:
            now, bucket = self._clock(), self._buckets[permit.family]
            bucket.accept(permit, now)
            limited = bucket.per_minute is not None
        if limited and now - self._saved_at.get(permit.family, float("-inf")) >= SAVE_EVERY:
            self._save(permit.family, now)

    def refused(self, permit: Permit, retry_after: float | None) -> None:
        """OpenAI answered 429. `retry_after` in seconds, None if it did not say."""
        with self._lock:
            now, bucket = self._clock(), self._buckets[permit.family]
            bucket.refuse(permit, now, retry_after)
            rate, pause = bucket.per_minute, bucket.blocked_until - now
        log.info("openai.throttled", family=permit.family, per_minute=rate and round(rate, 1), pause=round(pause, 1))
        self._save(permit.family, now, refused=True)

    def rate(self, family: str) -> float | None:
        """The learned or configured requests a minute of a family; None while no limit is known."""
        self._remember()
        with self._lock:
            return self._bucket(family).per_minute

    def wait_for(self, seconds: float) -> None:
        """Wait as everything here waits; ends early when the process stops."""
        self._sleep(seconds)

    def close(self) -> None:
        """Let everybody who waits give up."""
        self._closing.set()

    def _bucket(self, family: str) -> Bucket:
        bucket = self._buckets.get(family)
        if bucket is None:
            known = (self._remembered or {}).get(family)
            bucket = self._revived(known) if known else self._fresh(family)
            self._buckets[family] = bucket
        return bucket

    def _fresh(self, family: str) -> Bucket:
        return Bucket(family, self._start, self._burst, as_of=self._clock(), tokens=float(self._burst))

    def _revived(self, known: LearnedRate) -> Bucket:
        """A bucket as the last process left it, but without a burst: its last seconds may not have been written down."""
        now, wall = self._clock(), self._wall()
        bucket = Bucket(
            known.family, known.per_minute, self._burst, as_of=now, tokens=known.tokens,
            refused_per_minute=known.refused_per_minute, refusals=known.refusals,
        )  # fmt: skip
        away = max(0.0, (wall - known.updated_at).total_seconds())
        if known.per_minute is not None:
            bucket.tokens = min(1 + bucket.reserve, known.tokens + away * known.per_minute / 60)
        if known.blocked_until is not None:  # a clock that was set back must not block for hours
            bucket.blocked_until = now + min(LONGEST_PAUSE, (known.blocked_until - wall).total_seconds())
        return bucket

    def _remember(self) -> None:
        if self._rates is not None and self._remembered is None:
            remembered = self._rates.load()
            with self._lock:
                if self._remembered is None:
                    self._remembered = remembered

    def _save(self, family: str, now: float, *, refused: bool = False) -> None:
        if self._rates is None:
            return
        with self._lock:
            self._saved_at[family] = now
            bucket, wall = self._buckets[family], self._wall()
            blocked = bucket.blocked_until - now
            rate = LearnedRate(
                family, bucket.per_minute, bucket.refused_per_minute, bucket.tokens,
                wall + timedelta(seconds=blocked) if blocked > 0 else None, bucket.refusals, wall if refused else None, wall,
            )  # fmt: skip
        self._rates.save(rate)
