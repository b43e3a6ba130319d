"""Ids of ours: a prefix that says what it is, and 26 characters that sort by time and cannot be guessed."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from govern.core.clock import utcnow

NewId = Callable[[str], str]

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford base 32: no i, l, o, u, so that nobody misreads one aloud


def new_id(prefix: str) -> str:
    """A fresh id such as `key_01jd…`: 48 bits of milliseconds, then 80 random bits, in Crockford base 32."""
    number = (int(utcnow().timestamp() * 1000) << 80) | secrets.randbits(80)
    return f"{prefix}_{''.join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))}"
