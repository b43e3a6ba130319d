"""What is taken from an identity provider, and how it is compared. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from govern.core.crypto import contains_secret
from govern.core.errors import InvalidInput

LONGEST: Final = 320
DEACTIVATED: Final = "Deactivated by the identity provider."
DELETED: Final = "Deleted by the identity provider."


@dataclass(frozen=True)
class Account:
    """An account as the provider wants it. `addresses` in the order of preference: the first that is one says who it is.

    `active` None: it does not say. A new account is active then, and one that was deactivated stays so.
    """

    user_name: str
    external_id: str | None
    active: bool | None
    addresses: Sequence[str]
    name: str | None
    document: dict[str, Any]


def user_name_key(user_name: str) -> str:
    """The user name as it is compared. Raises InvalidInput."""
    key = user_name.strip().casefold()
    if not 1 <= len(key) <= LONGEST:
        raise InvalidInput(f"A userName has 1 to {LONGEST} characters.", {"userName": "Send a shorter one, or one at all."})
    return key


def check(account: Account) -> None:
    """Raise InvalidInput for what cannot be kept: a value too long, or one that looks like a key."""
    if account.external_id is not None and len(account.external_id) > LONGEST:
        raise InvalidInput(f"An externalId has at most {LONGEST} characters.", {"externalId": "Send a shorter one."})
    if contains_secret(json.dumps(account.document, ensure_ascii=False)):
        raise InvalidInput("An attribute looks like a key. Keys do not belong into a directory; revoke it.")


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The names of the attributes that differ; their values stay out of the audit log."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
