"""The organization's state and the few facts that many operations ask of it."""

from __future__ import annotations

import base64
import contextlib
import copy
import hashlib
import random
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from govern.fakes.openai.habits import Row
from govern.fakes.openai.problems import invalid, not_found
from govern.fakes.openai.spec import Behaviour, Clock, WorldSpec
from govern.fakes.openai.tables import (
    AdminKey,
    Assignment,
    Certificate,
    Event,
    FederatedToken,
    FederationRule,
    Group,
    IdentityProvider,
    Invite,
    Json,
    Key,
    Membership,
    Metered,
    Project,
    ProjectGroup,
    Restatement,
    Role,
    ServiceAccount,
    SpendAlert,
    User,
)

NEVER = 2**40

# The real ids come with several separators and lengths; a client that expects one shape should fail here first.
_ID_SHAPES = {
    "user": "user-{}",
    "invite": "invite-{}",
    "project": "proj_{}",
    "service_account": "svc_acct_{}",
    "legacy_service_account": "user-{}",
    "key": "key_{}",
    "admin_key": "key_{}",
    "group": "group_01{}",
    "role": "role_01{}",
    "alert": "alert_{}",
    "certificate": "cert_{}",
    "provider": "wip-{}",
    "rule": "wim_{}",
    "event": "audit_log-{}",
}


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def redact(secret: str) -> str:
    return f"{secret[:8]}{'*' * 12}{secret[-4:]}"


@dataclass
class Tables:
    """Everything that changes. Whatever is derived from it lives in `Organization`."""

    anchor: int = 0
    users: dict[str, User] = field(default_factory=dict)
    invites: dict[str, Invite] = field(default_factory=dict)
    projects: dict[str, Project] = field(default_factory=dict)
    memberships: dict[str, dict[str, Membership]] = field(default_factory=dict)
    service_accounts: dict[str, ServiceAccount] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    admin_keys: dict[str, AdminKey] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    project_groups: list[ProjectGroup] = field(default_factory=list)
    roles: dict[str, Role] = field(default_factory=dict)
    assignments: list[Assignment] = field(default_factory=list)
    spend_limit: Json | None = None
    retention: str = "modified_abuse_monitoring"
    alerts: dict[str, SpendAlert] = field(default_factory=dict)
    certificates: dict[str, Certificate] = field(default_factory=dict)
    providers: dict[str, IdentityProvider] = field(default_factory=dict)
    rules: dict[str, FederationRule] = field(default_factory=dict)
    tokens: dict[str, FederatedToken] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    metered: list[Metered] = field(default_factory=list)
    restatements: list[Restatement] = field(default_factory=list)
    alert_mails: list[Json] = field(default_factory=list)
    born: dict[str, int] = field(default_factory=dict)


class Organization:
    """One lock guards all of it; operations run inside. `changed` is called after each change (persistence hangs there)."""

    def __init__(self, spec: WorldSpec, behaviour: Behaviour, clock: Clock) -> None:
        self.spec = spec
        self.behaviour = behaviour
        self.clock = clock
        self.tables = Tables()
        self.lock = threading.RLock()
        self.changed: Callable[[], None] = lambda: None
        self.random: random.Random | None = None  # set while seeding, so that ids repeat; afterwards ids must never repeat
        self.reindex()

    def reindex(self) -> None:
        """Rebuild what is looked up often. Called after seeding and after loading."""
        tables = self.tables
        self.keys_by_digest = {key.digest: key for key in tables.keys.values()}
        self.admin_by_digest = {key.digest: key for key in tables.admin_keys.values()}
        self.keys_by_project: dict[str, dict[str, Key]] = {}
        for key in tables.keys.values():
            self.keys_by_project.setdefault(key.project_id, {})[key.id] = key
        self.default_project = next((p for p in tables.projects.values() if p.is_default), None)
        self.habit_keys = [key for key in tables.keys.values() if key.habit]
        self.spend_cache: dict[tuple[object, ...], Decimal] = {}
        self.day_cache: OrderedDict[int, dict[str, list[tuple[Key, Row]]]] = OrderedDict()

    def snapshot(self) -> Tables:
        """A copy of everything, for `pretending`."""
        return copy.deepcopy(self.tables)

    @contextlib.contextmanager
    def pretending(self, tables: Tables | None) -> Iterator[None]:
        """Work on other tables for a while: on the given ones, or on a copy of the present ones that is thrown away."""
        real = self.tables
        self.tables = self.snapshot() if tables is None else tables
        self.reindex()
        try:
            yield
        finally:
            self.tables = real
            self.reindex()

    # -- ids and secrets ----------------------------------------------------------------------------------------------

    def new_id(self, kind: str, created_at: int | None = None) -> str:
        """An opaque id, remembered for cursors even after its object is gone."""
        raw = self.random.randbytes(15) if self.random else secrets.token_bytes(15)
        tail = base64.b32encode(raw).decode().lower() if kind in {"group", "role"} else _base62(raw)
        id = _ID_SHAPES[kind].format(tail)
        self.tables.born[id] = self.clock.seconds() if created_at is None else created_at
        return id

    def new_secret(self, prefix: str) -> str:
        raw = self.random.randbytes(36) if self.random else secrets.token_bytes(36)
        return prefix + base64.urlsafe_b64encode(raw).decode().rstrip("=")

    # -- look-ups that refuse -----------------------------------------------------------------------------------------

    def user(self, id: str) -> User:
        if found := self.tables.users.get(id):
            return found
        raise not_found("user", id)

    def project(self, id: str) -> Project:
        if found := self.tables.projects.get(id):
            return found
        raise not_found("project", id)

    def active_project(self, id: str) -> Project:
        """A project that is not archived; an archived one is refused with 400, as documented."""
        found = self.project(id)
        if found.archived_at is not None:
            raise invalid(f"Project {id} is archived", code="project_archived")
        return found

    def user_by_email(self, email: str) -> User | None:
        wanted = email.casefold()
        return next((u for u in self.tables.users.values() if u.email and u.email.casefold() == wanted), None)

    # -- access -------------------------------------------------------------------------------------------------------

    def membership(self, project_id: str, user_id: str) -> Membership | None:
        found = self.tables.memberships.get(project_id, {}).get(user_id)
        return found if found and found.removed_at is None else None

    def members_of(self, project_id: str) -> Iterator[Membership]:
        return (m for m in self.tables.memberships.get(project_id, {}).values() if m.removed_at is None)

    def has_access(self, user_id: str, project_id: str, *, at: float | None = None) -> bool:
        """Whether the person can use the project now: own place, organization owner, or through a group.

        With `at`, a place that was taken away after that instant still counts.
        """
        user = self.tables.users.get(user_id)
        if user is None:
            return False
        if user.role == "owner":
            return True
        place = self.tables.memberships.get(project_id, {}).get(user_id)
        if place and (place.removed_at is None or (at is not None and place.removed_at > at)):
            return True
        return any(
            user_id in self.tables.groups[link.group_id].members
            for link in self.tables.project_groups
            if link.project_id == project_id and link.group_id in self.tables.groups
        )

    # -- keys ---------------------------------------------------------------------------------------------------------

    def add_key(self, key: Key) -> None:
        self.tables.keys[key.id] = key
        self.keys_by_digest[key.digest] = key
        self.keys_by_project.setdefault(key.project_id, {})[key.id] = key

    def add_admin_key(self, key: AdminKey) -> None:
        self.tables.admin_keys[key.id] = key
        self.admin_by_digest[key.digest] = key

    def enabled_keys(self, project_id: str) -> list[Key]:
        """Keys of the project that were not deleted, whether or not their owner still has access."""
        return [key for key in self.keys_by_project.get(project_id, {}).values() if key.deleted_at is None]

    def kill_keys(self, condition: Callable[[Key], bool]) -> list[Key]:
        at = self.clock.instant()
        dead = [key for key in self.tables.keys.values() if key.deleted_at is None and condition(key)]
        for key in dead:
            key.deleted_at = at
        return dead

    def end_of(self, key: Key) -> int:
        """When the key stopped working, or a time far away: deletion, expiry, an archived project, a place that was lost."""
        ends = [NEVER if at is None else int(at) for at in (key.deleted_at, key.expires_at, key.quiet_from)]
        project = self.tables.projects[key.project_id]
        if project.archived_at is not None:
            ends.append(project.archived_at)
        if key.owner_user_id and (place := self.tables.memberships.get(key.project_id, {}).get(key.owner_user_id)):
            ends.append(NEVER if place.removed_at is None else int(place.removed_at))
        return min(ends)

    def restated(self, day: int, project_id: str) -> tuple[int, int]:
        """By what factor the day (days since 1970) was corrected for the project, as a fraction."""
        numerator = denominator = 1
        for row in self.tables.restatements:
            if row.day == day and row.project_id in {None, project_id}:
                numerator, denominator = numerator * row.numerator, denominator * row.denominator
        return numerator, denominator


_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _base62(raw: bytes) -> str:
    number, out = int.from_bytes(raw, "big"), []
    while number:
        number, rest = divmod(number, 62)
        out.append(_DIGITS[rest])
    return "".join(out) or "0"
