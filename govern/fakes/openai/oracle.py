"""What is really so, for tests: plain Python, no paging, no faults, no lag."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import NamedTuple, TypeVar

from govern.fakes.openai import access, costs, invites, project_users
from govern.fakes.openai.application import Served
from govern.fakes.openai.organization import Organization
from govern.fakes.openai.project_keys import access as owner_access
from govern.fakes.openai.tables import Json, Key

T = TypeVar("T")


class CostLine(NamedTuple):
    """What was spent in one UTC day by one key (None: without any), as it will be billed in the end."""

    project_id: str | None
    user_id: str | None
    api_key_id: str | None
    line_item: str
    usd: Decimal


class AccountRow(NamedTuple):
    project_id: str
    id: str
    name: str


class KeyRow(NamedTuple):
    """A key that is neither deleted nor expired. `access` is active or inactive, as `owner_project_access`."""

    project_id: str
    id: str
    name: str
    owner_kind: str
    owner_id: str
    access: str
    scopes: tuple[str, ...]
    expires_at: int | None


class LifeRow(NamedTuple):
    """A key that ever was: who held it, when it came and when it died (None: it lives). Times are Unix seconds."""

    id: str
    project_id: str
    owner_kind: str
    owner_id: str
    created_at: int
    died_at: float | None


class MemberRow(NamedTuple):
    id: str
    email: str | None
    name: str
    role: str


class InviteRow(NamedTuple):
    id: str
    email: str
    role: str
    status: str
    projects: tuple[tuple[str, str], ...]


class PlaceRow(NamedTuple):
    project_id: str
    user_id: str
    email: str | None
    role: str


class ProjectRow(NamedTuple):
    id: str
    name: str
    archived: bool
    is_default: bool


class Oracle:
    """A view on the organization, always current. `requests` is the append-only log of what was answered (status 0: cut)."""

    def __init__(self, org: Organization, requests: list[Served]) -> None:
        self._org = org
        self.requests = requests

    def authenticates(self, value: str) -> bool:
        """Whether the data plane would accept this key or token now; during the propagation delay a dead key still passes."""
        with self._org.lock:
            return access.authenticates(self._org, value)

    def service_accounts(self, project_id: str | None = None) -> list[AccountRow]:
        rows = self._org.tables.service_accounts.values()
        return self._read(lambda: [AccountRow(a.project_id, a.id, a.name) for a in rows if project_id in {None, a.project_id}])

    def keys(self, project_id: str | None = None) -> list[KeyRow]:
        """Live keys."""
        org = self._org

        def read() -> list[KeyRow]:
            now, rows = org.clock.seconds(), []
            for key in org.tables.keys.values():
                expired = key.expires_at is not None and key.expires_at <= now
                if key.deleted_at is not None or expired or project_id not in {None, key.project_id}:
                    continue
                kind = "service_account" if key.owner_account_id else "user"
                owner = key.owner_account_id or key.owner_user_id or ""
                row = (key.project_id, key.id, key.name, kind, owner, owner_access(org, key), tuple(key.scopes), key.expires_at)
                rows.append(KeyRow(*row))
            return rows

        return self._read(read)

    def key_lives(self) -> list[LifeRow]:
        """Every key that was ever made, in that order. Death is a deletion, an expiry or an archived project."""
        org = self._org

        def life(key: Key) -> LifeRow:
            ends = [end for end in (key.deleted_at, key.expires_at, org.tables.projects[key.project_id].archived_at) if end]
            died = min(ends, default=None)
            kind = "service_account" if key.owner_account_id else "user"
            owner = key.owner_account_id or key.owner_user_id or ""
            alive = died is None or died > org.clock.instant()
            return LifeRow(key.id, key.project_id, kind, owner, key.created_at, None if alive else died)

        return self._read(lambda: [life(key) for key in org.tables.keys.values()])

    def members(self) -> list[MemberRow]:
        """People only."""
        rows = self._org.tables.users.values()
        return self._read(lambda: [MemberRow(u.id, u.email, u.name, u.role) for u in rows if not u.is_service_account])

    def invites(self) -> list[InviteRow]:
        org = self._org
        return self._read(
            lambda: [
                InviteRow(i.id, i.email, i.role, invites.status_of(org, i), tuple((p["id"], p["role"]) for p in i.projects))
                for i in org.tables.invites.values()
            ]
        )

    def projects(self) -> list[ProjectRow]:
        rows = self._org.tables.projects.values()
        return self._read(lambda: [ProjectRow(p.id, p.name, p.archived_at is not None, p.is_default) for p in rows])

    def project_users(self, project_id: str | None = None) -> list[PlaceRow]:
        """Who is in which project that is not archived, organization owners among them."""
        org = self._org

        def read() -> list[PlaceRow]:
            wanted = [p for p in org.tables.projects.values() if p.archived_at is None and project_id in {None, p.id}]
            places = [place for project in wanted for place in project_users.places(org, project).values()]
            return [PlaceRow(p.project_id, p.user_id, org.tables.users[p.user_id].email, p.role) for p in places]

        return self._read(read)

    def costs(self, day: date) -> list[CostLine]:
        """The organization's own ledger of one UTC day: all that happened so far, with corrections and without any lag."""
        low = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())

        def read() -> list[CostLine]:
            now, names = self._org.clock.seconds(), ["project_id", "user_id", "api_key_id"]
            money = costs.gather(self._org, low, low + 86_400, names, lambda _part: True, now=now, seen=now)
            rows = ((*group, item, usd) for group, item, usd, _, _ in money.lines())
            return [CostLine._make(row) for row in rows]

        return self._read(read)

    def alert_mails(self) -> list[Json]:
        """The mails that spend alerts would have sent, oldest first."""
        return self._read(lambda: list(self._org.tables.alert_mails))

    def _read(self, read: Callable[[], T]) -> T:
        with self._org.lock:
            return read()
