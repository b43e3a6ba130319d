"""The names of the jobs, and the arithmetic of slots."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

NAMES: Final = (
    "directory.sync",
    "inventory.sync",
    "events.pull",
    "usage.sync",
    "costs.sync",
    "usage.backfill",
    "usage.roll_up",
    "budgets.evaluate",
    "budgets.backtest",
    "findings.evaluate",
    "keys.expire",
    "keys.remind",
    "reveals.shred",
    "keys.rotate",
    "keys.reconcile",
    "offboarding.schedule",
    "offboarding.seal",
    "approvals.expire",
    "batches.follow",
    "audit.checkpoint",
    "audit.forget",
    "housekeeping",
)
"""What can be asked for by hand. `govern/worker/jobs.py` says what each does and how often."""

BEAT: Final = timedelta(seconds=5)
"""How often a worker says that it lives, and renews what it holds."""
SILENT: Final = timedelta(seconds=30)
"""A worker not heard of for so long does not count as alive."""
LEASE: Final = timedelta(seconds=60)
"""A run whose worker has not renewed it for so long is given to another worker."""
MOST_ATTEMPTS: Final = 3
"""A run that took three workers down with it is not tried a fourth time."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def slot_of(now: datetime, every: timedelta) -> str:
    """The time box that `now` is in, by its beginning. Boxes are cut from 1970 on in UTC, the same on every machine."""
    begin = now - (now - _EPOCH) % every
    return begin.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def time_left(progress: Mapping[str, Any] | None, *, running_for: timedelta) -> timedelta | None:
    """How long a run will take still, by how far it came so far; None while nothing tells."""
    done, total = (int((progress or {}).get(name) or 0) for name in ("done", "total"))
    return running_for * ((total - done) / done) if 0 < done <= total else None
