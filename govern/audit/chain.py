"""The form of an event: what its digest covers, and the line in which it is exported. Pure.

A line is one JSON object in canonical form: keys in order, no spaces, UTF-8, one line break at its end. The digest is keyed
(HMAC-SHA-256) and covers the digest before it and everything that the event says.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from govern.core.crypto import SecretBox

PURPOSE: Final = "audit"
_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode


class Link(NamedTuple):
    """One event as the chain sees it, in the order in which its digest covers it. `at` is text: ISO 8601, UTC, microseconds."""

    seq: int
    id: str
    at: str
    action: str
    actor_kind: str
    actor_id: str
    actor_label: str
    subject_kind: str
    subject_id: str
    facts: dict[str, Any]
    reason: str | None
    ip: str | None
    request_id: str | None
    digest: str


def instant(at: datetime) -> str:
    """The one way to write the time of an event."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def digest(box: SecretBox, previous: str, link: Link) -> str:
    """The digest that belongs to this event behind `previous` (the digest before it; empty for the first)."""
    return box.fingerprint(PURPOSE, previous + _encode(link[:-1]))


def line(link: Link) -> str:
    """The event as it is exported, with the line break."""
    return _encode(link._asdict()) + "\n"
