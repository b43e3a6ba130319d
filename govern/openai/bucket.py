"""The arithmetic of one token bucket that learns. Pure: seconds come in from outside, nothing waits and nothing locks.

OpenAI publishes no limits for its admin API; about 7–10 requests a minute per endpoint were measured, without any header, full
again after a minute. So a bucket starts without a limit (or with a configured one) and learns:

- the first refusal turns the count of the last minute into a guess;
- every later one takes a fifth off the rate or more, once for all the calls that were in flight together;
- accepted calls that had to share the bucket raise it: quickly up to four fifths of the rate last refused, then slowly.

Interactive calls take a token at once, going into debt if need be, and wait until the debt is paid: first come, first
served. Background calls take one only if a reserve remains, so never while an interactive call waits or will be back in a moment.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from govern.core.lanes import Lane

SLOWEST: Final = 1.0
"""Requests a minute that we never go below: slower, and the rate would take hours to recover from an outage."""
FIRST_GUESS: Final = 4.0
"""Requests a minute after a first refusal that came before we had sent enough to count."""
LONGEST_PAUSE: Final = 300.0
"""Seconds for which a `Retry-After` is believed; absurd values would stop everything."""
BACK_WITHIN: Final = 5.0
"""Seconds after which an interactive caller that was told when to come back has come back."""
WINDOW: Final = 60.0
DECREASE: Final = 0.8
QUICK: Final = 1.05
SLOW: Final = 0.005
"""Share of the refused rate that one accepted call adds: a refusal every forty calls or so keeps the rate honest."""
_DUST: Final = 1e-9
"""Tokens are floats: without tolerance a caller who waited exactly long enough would wait again."""


@dataclass(frozen=True)
class Permit:
    """The right to send one request now, for which its holder waited `waited` seconds.

    `contended`: the bucket was in use, so that being accepted says something about the rate.
    """

    family: str
    at: float
    waited: float
    contended: bool


@dataclass
class Bucket:
    """Requests of one family. Times are seconds of a monotonic clock; `per_minute` None means that no limit is known."""

    family: str
    per_minute: float | None
    burst: int
    as_of: float
    tokens: float = 0.0
    refused_per_minute: float | None = None
    blocked_until: float = float("-inf")
    wanted_until: float = float("-inf")
    refusals: int = 0
    in_a_row: int = 0
    _row_began: float = 0.0
    _refused_at: float = float("-inf")
    _accepted: deque[float] = field(default_factory=lambda: deque(maxlen=6000))

    def __post_init__(self) -> None:
        self.born = self.as_of

    @property
    def capacity(self) -> float:
        """The most tokens that pile up. A learned rate of a few a minute gets a burst of half of it, or a burst and a
        minute's rate together would overrun a quota per minute; a high rate gets a second's worth, to make up for pauses."""
        if self.per_minute is None:
            return float(self.burst)
        burst = float(self.burst) if self.refusals == 0 else min(float(self.burst), max(2.0, self.per_minute / 2))
        return max(burst, self.per_minute / 60)

    @property
    def reserve(self) -> float:
        """Tokens that background calls leave for a person; a bucket of one has none to leave."""
        return max(0.0, min(self.capacity - 1, max(1.0, self.capacity / 4)))

    def fill(self, now: float) -> None:
        """Add what time has brought."""
        if self.per_minute is not None:
            self.tokens = min(self.capacity, self.tokens + max(0.0, now - self.as_of) * self.per_minute / 60)
        self.as_of = max(self.as_of, now)

    def take(self, lane: Lane, now: float) -> float:
        """Take a token and return the seconds to wait before it may be used.

        For a background call a positive answer means that nothing was taken: ask again after that time.
        """
        self.fill(now)
        blocked = max(0.0, self.blocked_until - now)
        if self.per_minute is None:
            return blocked
        if lane is Lane.INTERACTIVE:
            self.tokens -= 1
            return max(blocked, self._seconds_for(-self.tokens))
        wait = max(blocked, self.wanted_until - now, self._seconds_for(1 + self.reserve - self.tokens))
        if wait == 0:
            self.tokens -= 1
        return wait

    def turn_away(self, now: float, wait: float) -> None:
        """Undo an interactive `take` whose caller would not wait so long. It comes back after that time, and background calls
        leave it what flows in until then."""
        if self.per_minute is not None:
            self.tokens = min(self.capacity, self.tokens + 1)
        self.wanted_until = max(self.wanted_until, now + min(LONGEST_PAUSE, wait) + BACK_WITHIN)

    def permit(self, now: float, waited: float) -> Permit:
        """The permit for a token that was taken."""
        return Permit(self.family, now, waited, contended=waited > 0 or self.tokens < self.capacity / 2)

    def accept(self, permit: Permit, now: float) -> None:
        """The request was let in."""
        self.fill(now)
        self._accepted.append(now)
        if permit.at <= self._refused_at:
            return  # sent before the refusal was known: says nothing about the time since
        self.in_a_row = 0
        if self.per_minute is None or not permit.contended:
            return
        if self.refused_per_minute is None or self.per_minute < DECREASE * self.refused_per_minute:
            self.per_minute = max(self.per_minute, min(self.per_minute * QUICK, 2 * self._pace(now)))
        else:
            self.per_minute += SLOW * self.refused_per_minute

    def refuse(self, permit: Permit, now: float, retry_after: float | None) -> None:
        """The request was refused with 429; `retry_after` in seconds, if the answer said so."""
        self.fill(now)
        self.refusals += 1
        self.tokens = min(self.tokens, 0.0)
        if permit.at <= self._refused_at:  # one of a volley: the first refusal of it has been counted
            if retry_after is not None:
                self.blocked_until = max(self.blocked_until, now + min(LONGEST_PAUSE, retry_after))
            return
        if self.in_a_row == 0:
            self._row_began = now
        self.in_a_row += 1
        if self.in_a_row == 1 or retry_after is not None:
            self._decrease(now, retry_after)
        elif self.in_a_row > 3 and self.per_minute is not None:
            # Refused again after a whole minute without a request: the true rate is far below what we believe.
            self.per_minute = max(SLOWEST, self.per_minute / 2)
        self._refused_at = now
        pause = self._pause(now, retry_after)
        self.blocked_until = max(self.blocked_until, now + pause)
        if self.per_minute is not None:  # when the pause is over one call may go, however slow the rate now is
            self.tokens += max(0.0, 1 - pause * self.per_minute / 60)

    def _decrease(self, now: float, retry_after: float | None) -> None:
        self._forget(now)
        count = len(self._accepted)
        if self.per_minute is not None:
            self.refused_per_minute = self.per_minute
            # Since the last refusal OpenAI gave out fewer tokens than the accepted calls and this one: the rate is below that.
            # From few calls only down to half at once, since after a quiet time the same figures mean little.
            since = max(self._refused_at, self.born, now - WINDOW)
            accepted, elapsed = sum(at > since for at in self._accepted), max(0.01, now - since)
            lowest = SLOWEST if accepted >= 20 and elapsed >= WINDOW / 2 else self.per_minute / 2
            self.per_minute = max(lowest, min(self.per_minute, 60 * (accepted + 1) / elapsed) * DECREASE, SLOWEST)
        elif retry_after is not None and retry_after <= 2 and count:
            # A wait of a second or two means a limit per second, not per minute: the pace of the last calls is the guess.
            self.per_minute = max(FIRST_GUESS, DECREASE * count * 60 / max(0.5, now - self._accepted[0]))
        else:
            self.per_minute = max(FIRST_GUESS, DECREASE * count)

    def _pause(self, now: float, retry_after: float | None) -> float:
        if retry_after is not None:
            return min(LONGEST_PAUSE, max(0.05, retry_after))
        assert self.per_minute is not None  # a refusal sets it
        if self.in_a_row == 1:
            return min(WINDOW, 60 / self.per_minute)
        # Refused again after the pause: not a trickle but a quota that comes back a minute after it was spent.
        oldest = self._accepted[0] if self._accepted else self._row_began
        return max(60 / self.per_minute, oldest + WINDOW - now) if self.in_a_row == 2 else WINDOW

    def _pace(self, now: float) -> float:
        """Requests a minute of the last twenty that were accepted: a rate is not believed that nobody has tried."""
        count = min(20, len(self._accepted))
        return 60 * count / max(0.01, now - self._accepted[-count])

    def _forget(self, now: float) -> None:
        while self._accepted and self._accepted[0] <= now - WINDOW:
            self._accepted.popleft()

    def _seconds_for(self, tokens: float) -> float:
        assert self.per_minute is not None  # asked only where a limit is known
        return tokens * 60 / self.per_minute if tokens > _DUST else 0.0
