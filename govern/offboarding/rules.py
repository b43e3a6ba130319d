"""The order of a removal, which is its security property, and what may not be removed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any, Final

from govern.core.crypto import redact
from govern.core.errors import InvalidInput, PolicyViolation
from govern.inventory.queries import LogState
from govern.offboarding.models import Kind

STEPS: Final = (
    (Kind.KEYS, "Keys that we issued for them"),
    (Kind.SERVICE_ACCOUNTS, "Service accounts that carry their keys' names"),
    (Kind.ADMIN_KEYS, "Admin keys that they own"),
    (Kind.FEDERATION_RULES, "Federation rules that let them, or their service accounts, in"),
    (Kind.INVITES, "Invites to their address"),
    (Kind.PERSONAL_KEYS, "Keys that they made themselves"),
    (Kind.ROLES, "Roles given to them"),
    (Kind.GROUPS, "Places in groups"),
    (Kind.MEMBERSHIPS, "Places in projects"),
    (Kind.SEAT, "Seat in the organization"),
    ("verify", "Complete listings, read twice, show nothing of them"),
)
"""Name and sentence of each step. Keys go before memberships: once a membership is gone, its keys drop out of the default
listing while they still exist; the seat goes last: afterwards nothing can be looked up by the member any more."""

CREDENTIALS: Final = (
    Kind.KEYS, Kind.SERVICE_ACCOUNTS, Kind.ADMIN_KEYS, Kind.FEDERATION_RULES, Kind.INVITES, Kind.PERSONAL_KEYS,
)  # fmt: skip
"""What lets somebody in by itself. All of it is asked to end before anything is read, side by side."""
PLACES: Final = (Kind.ROLES, Kind.GROUPS, Kind.MEMBERSHIPS)
SHOWN_AS: Final = {
    Kind.KEYS: "a key that we issued", Kind.SERVICE_ACCOUNTS: "one of their service accounts",
    Kind.ADMIN_KEYS: "an admin key of theirs", Kind.FEDERATION_RULES: "a federation rule", Kind.INVITES: "an invite",
    Kind.PERSONAL_KEYS: "a key that they made", Kind.ROLES: "a role of theirs", Kind.GROUPS: "a place in a group",
    Kind.MEMBERSHIPS: "a place in a project", Kind.SEAT: "the seat",
}  # fmt: skip
LOG_SAID: Final = {
    LogState.READ: "read", LogState.STALE: "read, but not lately", LogState.OFF: "log off: it proves nothing",
    LogState.NEVER_READ: "never read: it proves nothing",
}  # fmt: skip
LOG_PATIENCE: Final = timedelta(days=3)
"""How long a seal waits for OpenAI's audit log to tell of the ends."""


def lets_in(matchers: Mapping[str, object], *, email: str, names: Collection[str]) -> bool:
    """Whether a federation rule is made for this person: one of its matchers is their address, or a name that they go by."""
    values = [value for value in matchers.values() if isinstance(value, str)]
    return any(value in names or value.casefold() == email for value in values)


def pause(age: timedelta) -> float:
    """Seconds until a removal that waits for OpenAI looks again: a quarter of its age, between one second and five minutes."""
    return min(300.0, max(1.0, age.total_seconds() / 4))


def check_own_branch(owns_ours: bool) -> None:
    """Raise PolicyViolation where the leaver owns the admin key with which this service works."""
    if owns_ours:
        raise PolicyViolation(
            "They own the admin key with which this service works. Let another owner make an admin key, put it into "
            "GOVERN_OPENAI_ADMIN_KEY_FILE, restart the worker, and remove them then.",
            "own_branch",
        )


SECOND_LOOK: Final = "Complete listings show nothing of them; they are read once more, because a listing may lag."
OWN_BRANCH: Final = (
    "They own the admin key with which this service works, so that key and their seat stay for now; everything else is ended. "
    "Let another owner make an admin key, put it into GOVERN_OPENAI_ADMIN_KEY_FILE and restart the worker: it goes on by itself."
)
"""Said instead of sawing off the branch: without that key nothing more could be ended or proven."""


def planned() -> list[dict[str, Any]]:
    """The steps as they are stored: nothing done yet."""
    return [{"name": str(name), "title": title, "state": "waiting", "found": 0, "ended": 0, "at": None} for name, title in STEPS]


def why(email: str, reason: str) -> str:
    """What stands at the keys that end or are rotated because of a removal."""
    return f"Removal of {email}: {reason}"[:500]


def are_too_many(due: int, everybody: int, *, least: int, percent: int) -> bool:
    """Whether so many removals at once look like a wrong file rather than a day's leavers."""
    return due > max(least, everybody * percent / 100)


def check_reason(reason: str) -> str:
    """The reason, trimmed and without anything shaped like a key. Raises InvalidInput: an auditor will ask for it."""
    reason = redact(reason.strip())
    if not 3 <= len(reason) <= 500:
        raise InvalidInput("A removal needs a reason of 3 to 500 characters.", {"reason": "Say why, in 3 to 500 characters."})
    return reason
