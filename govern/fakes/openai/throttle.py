"""The admin API's throttle: a token bucket for each endpoint family, silent about itself unless asked to send Retry-After."""

from __future__ import annotations

import math

from govern.fakes.openai.problems import throttled


class Throttle:
    """Buckets refill by the clock they are asked at: the organization's."""

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, family: str, per_minute: float, burst: int | None, retry_after: bool, now: float) -> None:
        """Take one request or refuse with 429."""
        size = float(burst if burst is not None else max(1.0, per_minute))
        level, at = self._buckets.get(family, (size, now))
        level = min(size, level + (now - at) * per_minute / 60)
        if level < 1:
            self._buckets[family] = (level, now)
            seconds = math.ceil((1 - level) * 60 / per_minute)
            raise throttled({"Retry-After": str(seconds)} if retry_after else None)
        self._buckets[family] = (level - 1, now)

    def forget(self) -> None:
        self._buckets.clear()
