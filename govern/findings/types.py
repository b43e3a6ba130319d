"""The types of finding on one page: what each means, how bad it is, and what ends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from govern.findings.models import Severity

NONE: Final = "none"
"""The fix of what only people can settle."""

FIXES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "delete_key": "Delete the key at OpenAI. Programs that use it stop working at once.",
        "delete_account": "Delete the service account at OpenAI with every key of it. Programs that use one stop at once.",
        "delete_admin_key": "Delete the admin key at OpenAI. Automation that uses it stops working at once.",
        "revoke_key": "Revoke the key here; it is called revoked when complete listings no longer show it.",
        "rotate_key": "Make a new version; the old one works on until the new one is seen in use, or the overlap is over.",
        "remove_person": "Begin the removal of the person: keys, places in projects, invites, seat, and the proof.",
        "cancel_invite": "Take the invite back.",
        NONE: "Nothing here can end it: somebody has to look, then accept it or change it at OpenAI.",
    }
)
"""What a fix does, in a sentence that stands above the button."""


@dataclass(frozen=True)
class Type:
    """A type of finding: its name for people, what it means, and how bad it is unless the finding itself is worse."""

    title: str
    meaning: str
    severity: Severity


TYPES: Final[Mapping[str, Type]] = MappingProxyType(
    {
        "unmanaged_key": Type(
            "Unmanaged key", "A key that this service did not issue and that nobody answers for.", Severity.MEDIUM
        ),
        "orphan": Type("Orphan", "A key whose owner is gone while it still exists.", Severity.HIGH),
        "leaver_alive": Type("Leaver alive", "Somebody who left, or whose contract ended, still has something.", Severity.HIGH),
        "dormant": Type("Dormant key", "A key that was used once and has not been for long.", Severity.LOW),
        "never_used": Type("Never used", "A key that nobody has ever been seen using.", Severity.LOW),
        "over_age": Type("Over age", "A key that is older than a key should become.", Severity.MEDIUM),
        "never_expires": Type("Never expires", "A key without an expiry at OpenAI.", Severity.LOW),
        "too_wide": Type(
            "Too wide",
            "A key that may do more than the policy allows, or whose service account owns its project.",
            Severity.MEDIUM,
        ),
        "shared_key_holder_left": Type(
            "Holder left", "Somebody who left has seen the value of a shared key that still works.", Severity.HIGH
        ),
        "ghost_member": Type("Ghost member", "A seat whose address stands in no directory.", Severity.HIGH),
        "stale_invite": Type("Stale invite", "An invite that nobody has answered for long.", Severity.LOW),
        "admin_key_unowned_or_old": Type(
            "Admin key", "A key to the whole organization whose owner is gone, or that is too old.", Severity.HIGH
        ),
        "role_drift": Type("Role drift", "Somebody holds more than their seat or their invite says.", Severity.MEDIUM),
        "changed_around_us": Type(
            "Changed around us", "A change at OpenAI that was not made through this service.", Severity.LOW
        ),
        "stray_account": Type(
            "Stray account", "A service account with this service's prefix that belongs to no key of ours.", Severity.HIGH
        ),
    }
)
