"""What the doctor finds: a name, how bad it is, and a sentence that says what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    """OK; WARN: it works, but somebody should look; FAIL: something does not work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One probe's answer."""

    name: str
    health: Health
    sentence: str


def ok(name: str, sentence: str) -> Finding:
    return Finding(name, Health.OK, sentence)


def warn(name: str, sentence: str) -> Finding:
    return Finding(name, Health.WARN, sentence)


def fail(name: str, sentence: str) -> Finding:
    return Finding(name, Health.FAIL, sentence)
