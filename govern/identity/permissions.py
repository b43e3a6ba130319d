"""Permissions are words, roles are sets of them, and each says over whom it reaches. Pure: no rows, no requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final


class Reach(IntEnum):
    """Over whom a permission holds. Each step includes the ones before it."""

    SELF = 1
    REPORTS = 2  # the people who report to one, at any depth
    ANYONE = 3


Grants = Mapping[str, Reach]
"""What somebody may do: permission → reach. A permission that is not in it is denied."""


class Role(StrEnum):
    """Ordered by `RANKING`. Where claims match several, the highest is taken."""

    ADMIN = "admin"
    MANAGER = "manager"
    AUDITOR = "auditor"
    EMPLOYEE = "employee"


RANKING: Final = (Role.ADMIN, Role.MANAGER, Role.AUDITOR, Role.EMPLOYEE)

PERMISSIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "self:read": "Sign in, and see what concerns oneself.",
        "people:write": "Keep the directory: people, teams, managers, end dates. An end date starts a removal on its day.",
        "people:provision": "Keep accounts by SCIM: an identity provider's token. Deactivating one starts a removal.",
        "members:read": "See people, members, invites and removals.",
        "members:invite": "Offer a seat, send it again, take it back.",
        "members:revoke": "Remove a person from the organization: keys, places in projects, seat.",
        "members:suspend": "Suspend a person, and let them resume.",
        "projects:read": "See projects and who stands in them.",
        "keys:read": "See keys, never their values.",
        "keys:issue": "Have a key issued.",
        "keys:reveal": "See the value of a key, once.",
        "keys:revoke": "End a key.",
        "approvals:read": "See what waits for an approval, and how it was decided.",
        "approvals:write": "Decide what one is asked for, and take back what one asked for.",
        "policies:read": "See the policies on keys.",
        "policies:write": "Change the policies on keys.",
        "usage:read": "See usage and costs.",
        "budgets:read": "See budgets.",
        "budgets:write": "Create, change and retire budgets.",
        "alerts:read": "See budget alerts and where they were sent.",
        "alerts:write": "Acknowledge, snooze and assign budget alerts.",
        "findings:read": "See findings and the whole inventory.",
        "findings:write": "Accept, assign and fix findings.",
        "audit:read": "Read the audit log.",
        "jobs:read": "See scheduled jobs and their runs.",
        "jobs:run": "Start a job by hand.",
        "tokens:read": "See API tokens, never their values.",
        "tokens:write": "Create and revoke API tokens.",
    }
)
"""Every permission and what it allows, in a sentence that interfaces show."""

DEVICE_PERMISSIONS: Final = ("self:read", "keys:read", "keys:issue", "keys:reveal", "keys:revoke")
"""What a device may ask for: its person's own keys, and nothing over anybody else or over the service."""

_ALL: Final = dict.fromkeys(PERMISSIONS, Reach.ANYONE)

_EMPLOYEE: Final = dict.fromkeys(
    (
        "self:read", "members:read", "projects:read", "keys:read", "keys:issue", "keys:reveal", "keys:revoke",
        "approvals:read", "approvals:write", "usage:read", "budgets:read", "alerts:read", "tokens:read", "tokens:write",
    ),
    Reach.SELF,
)  # fmt: skip

_MANAGER: Final = _EMPLOYEE | dict.fromkeys(
    (
        "members:read", "projects:read", "keys:read", "keys:issue", "keys:revoke", "approvals:read", "usage:read", "budgets:read",
        "alerts:read", "alerts:write",
    ),
    Reach.REPORTS,
)  # fmt: skip

_AUDITOR: Final = dict.fromkeys(
    (
        "members:read", "projects:read", "keys:read", "approvals:read", "policies:read", "usage:read", "budgets:read",
        "alerts:read", "findings:read", "audit:read", "jobs:read", "tokens:read",
    ),
    Reach.ANYONE,
) | {"self:read": Reach.SELF, "tokens:write": Reach.SELF}  # fmt: skip

ROLES: Final[Mapping[Role, Grants]] = MappingProxyType(
    {Role.ADMIN: _ALL, Role.MANAGER: _MANAGER, Role.AUDITOR: _AUDITOR, Role.EMPLOYEE: _EMPLOYEE}
)

_BY_WORD: Final[Mapping[str, Grants]] = {role.value: grants for role, grants in ROLES.items()}


def grants_of(roles: Iterable[str]) -> dict[str, Reach]:
    """What the roles allow together: the widest reach of each permission. Unknown words allow nothing."""
    together: dict[str, Reach] = {}
    for word in roles:
        for permission, reach in _BY_WORD.get(word, {}).items():
            together[permission] = max(reach, together.get(permission, reach))
    return together


def narrow(one: Grants, other: Grants) -> dict[str, Reach]:
    """What both allow: the narrower reach of each permission that is in both."""
    return {permission: min(reach, other[permission]) for permission, reach in one.items() if permission in other}


def on_device(permissions: Iterable[str]) -> dict[str, Reach]:
    """The grants of a device: the listed permissions that a device may hold at all, over its own person only."""
    return {permission: Reach.SELF for permission in permissions if permission in DEVICE_PERMISSIONS}


def listed(permissions: Iterable[str]) -> dict[str, Reach]:
    """The grants that a plain list of permissions stands for, over anyone. A word that is no permission (any more) is dropped."""
    return {permission: Reach.ANYONE for permission in permissions if permission in PERMISSIONS}
