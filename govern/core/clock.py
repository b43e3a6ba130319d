"""The one place that asks what time it is."""

from __future__ import annotations

from datetime import UTC, datetime


def utcnow() -> datetime:
    """The instant now, aware, in UTC. Read once per unit of work, so that one change has one time."""
    return datetime.now(UTC)


def from_unix(seconds: int) -> datetime:
    """The instant that OpenAI's integer Unix seconds name."""
    return datetime.fromtimestamp(seconds, UTC)
