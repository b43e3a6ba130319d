"""The order of a removal, which is its security property, and what may not be removed."""

from __future__ import annotations

from typing import Any, Final

from govern.core.crypto import redact
from govern.core.errors import InvalidInput, PolicyViolation

STEPS: Final = (
    ("keys", "Keys that we issued for them"),
    ("service_accounts", "Service accounts that carry their keys' names"),
    ("admin_keys", "Admin keys that they own"),
    ("invites", "Invites to their address"),
    ("personal_keys", "Keys that they made themselves"),
    ("memberships", "Places in projects"),
    ("seat", "Seat in the organization"),
    ("verify", "Complete listings, read twice, show nothing of them"),
)
"""Name and sentence of each step. Keys go before memberships: once a membership is gone, its keys drop out of the default
listing while they still exist; the seat goes last: afterwards nothing can be looked up by the member any more."""


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
    return [{"name": name, "title": title, "state": "waiting", "found": 0, "ended": 0, "at": None} for name, title in STEPS]


def why(email: str, reason: str) -> str:
    """What stands at the keys that end or are rotated because of a removal."""
    return f"Removal of {email}: {reason}"[:500]


def check_reason(reason: str) -> str:
    """The reason, trimmed and without anything shaped like a key. Raises InvalidInput: an auditor will ask for it."""
    reason = redact(reason.strip())
    if not 3 <= len(reason) <= 500:
        raise InvalidInput("A removal needs a reason of 3 to 500 characters.", {"reason": "Say why, in 3 to 500 characters."})
    return reason
