"""Inventory sync: admin keys, groups, roles and federation, as OpenAI lists them now.

Each listing is read whole before the transaction that stores it, and noted in the ledger of readings there. Roles have one
listing for each member and place: of those, the ones not read for longest are read, so many a run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from govern.access_ports import AccessSource
from govern.core import readings
from govern.core.mirror import Mirror
from govern.core.uow import Actor, ActorKind, UnitOfWork, UnitsOfWork
from govern.inventory.models import (
    AdminKey,
    FederationProvider,
    FederationRule,
    Group,
    GroupMember,
    ProjectGroup,
    RoleAssignment,
)
from govern.members.models import Member
from govern.ports import Directory
from govern.projects.models import Project, ProjectMember

JOB: Final = Actor(ActorKind.JOB, "inventory.sync", "inventory.sync")
SWEEP: Final = "inventory"
ROLES: Final = "roles"
Progress = Callable[[str, int, int], None]


def _silent(_what: str, _done: int, _total: int) -> None:
    """Nobody watches."""


def run(
    unit_of_work: UnitsOfWork, directory: Directory, access: AccessSource, *, roles_per_run: int, progress: Progress = _silent
) -> dict[str, int]:
    """Mirror what is not yet read in this sweep; one that was interrupted goes on where it was. Returns counts."""
    sweep = _Sweep(unit_of_work, directory, access)
    with unit_of_work(JOB) as uow:
        sweep.number = readings.begin(uow, SWEEP)
    for gather in (sweep.tops, sweep.inner):  # groups and providers have to be known before what is in them
        listings = gather()
        with unit_of_work.reading() as session:
            order = readings.waiting(session, SWEEP, sweep.number, listings)
        for done, name in enumerate(order):
            progress("listings", done, len(order))
            listings[name](name)
    with unit_of_work(JOB) as uow:
        readings.finish(uow, SWEEP, sweep.number)
    sweep.roles(roles_per_run)
    return dict(sorted(sweep.report.items()))


@dataclass
class _Sweep:
    unit_of_work: UnitsOfWork
    directory: Directory
    access: AccessSource
    number: int = 0
    report: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("added", "vanished", "admin_keys", "groups", "rules", "roles"), 0)
    )

    def tops(self) -> dict[str, Callable[[str], None]]:
        return {"admin_keys": self.admin_keys, "groups": self.groups, "providers": self.providers}

    def inner(self) -> dict[str, Callable[[str], None]]:
        """One listing per group, provider and open project."""
        found: dict[str, Callable[[str], None]] = {}
        with self.unit_of_work.reading() as session:
            for group in session.scalars(sa.select(Group).where(Group.vanished_at.is_(None))):
                found[f"group:{group.remote_id}"] = self._members_of(group.id, group.remote_id)
            for provider in session.scalars(sa.select(FederationProvider).where(FederationProvider.vanished_at.is_(None))):
                found[f"provider:{provider.remote_id}"] = self._rules_of(provider.id, provider.remote_id)
            if any(name.startswith("group:") for name in found):  # without groups none stands in a project
                for project in session.scalars(
                    sa.select(Project).where(Project.vanished_at.is_(None), Project.archived_at.is_(None))
                ):
                    found[f"project:{project.remote_id}"] = self._groups_of(project.id, project.remote_id)
        return found

    def _stored(self, uow: UnitOfWork, mirror: Mirror, listing: str) -> None:
        mirror.finish()
        self.report["added"] += mirror.added
        self.report["vanished"] += mirror.vanished
        readings.note(uow, SWEEP, self.number, listing)

    def admin_keys(self, listing: str) -> None:
        listed = self.directory.admin_keys()
        with self.unit_of_work(JOB) as uow:
            mirror = Mirror(uow, AdminKey, "adk", AdminKey.remote_id)
            for remote in listed:
                mirror.see(
                    remote.id, name=(remote.name or "")[:300], redacted=remote.redacted[:120], owner_remote_id=remote.owner_id,
                    owner_name=(remote.owner_name or "")[:300] or None, is_ours=remote.is_ours, created_at=remote.created_at,
                    last_used_at=remote.last_used_at, expires_at=remote.expires_at,
                )  # fmt: skip
            self._stored(uow, mirror, listing)
        self.report["admin_keys"] += len(listed)

    def groups(self, listing: str) -> None:
        listed = self.access.groups()
        with self.unit_of_work(JOB) as uow:
            mirror = Mirror(uow, Group, "grp", Group.remote_id)
            for remote in listed:
                mirror.see(
                    remote.id, name=remote.name[:300], is_scim_managed=remote.is_scim_managed, created_at=remote.created_at
                )
            self._stored(uow, mirror, listing)
            gone = sa.select(Group.id).where(Group.vanished_at.is_not(None))
            remote_gone = sa.select(Group.remote_id).where(Group.vanished_at.is_not(None))
            _vanish(uow, GroupMember, GroupMember.group_id.in_(gone))
            _vanish(uow, ProjectGroup, ProjectGroup.group_remote_id.in_(remote_gone))
        self.report["groups"] += len(listed)

    def providers(self, listing: str) -> None:
        listed = self.access.providers()
        with self.unit_of_work(JOB) as uow:
            mirror = Mirror(uow, FederationProvider, "fpr", FederationProvider.remote_id)
            for remote in listed:
                mirror.see(
                    remote.id, name=remote.name[:300], issuer=remote.issuer[:500], audience=remote.audience[:500],
                    enabled=remote.enabled, created_at=remote.created_at,
                )  # fmt: skip
            self._stored(uow, mirror, listing)
            gone = sa.select(FederationProvider.id).where(FederationProvider.vanished_at.is_not(None))
            _vanish(uow, FederationRule, FederationRule.provider_id.in_(gone))

    def _members_of(self, group_id: str, remote_id: str) -> Callable[[str], None]:
        def read(listing: str) -> None:
            listed = self.access.group_members(remote_id)
            with self.unit_of_work(JOB) as uow:
                mirror = Mirror(uow, GroupMember, "gme", GroupMember.member_remote_id, group_id=group_id)
                for member_id in listed:
                    mirror.see(member_id)
                self._stored(uow, mirror, listing)

        return read

    def _groups_of(self, project_id: str, remote_id: str) -> Callable[[str], None]:
        def read(listing: str) -> None:
            listed = self.access.project_groups(remote_id)
            with self.unit_of_work(JOB) as uow:
                mirror = Mirror(uow, ProjectGroup, "pgr", ProjectGroup.group_remote_id, project_id=project_id)
                for group_id in listed:
                    mirror.see(group_id)
                self._stored(uow, mirror, listing)

        return read

    def _rules_of(self, provider_id: str, remote_id: str) -> Callable[[str], None]:
        def read(listing: str) -> None:
            listed = self.access.rules(remote_id)
            with self.unit_of_work(JOB) as uow:
                mirror = Mirror(uow, FederationRule, "frl", FederationRule.remote_id, provider_id=provider_id)
                for rule in listed:
                    mirror.see(
                        rule.id, project_remote_id=rule.project_id, service_account_remote_id=rule.service_account_id,
                        name=(rule.name or "")[:300] or None, enabled=rule.enabled, scopes=list(rule.scopes),
                        matchers=dict(rule.matchers), created_at=rule.created_at,
                    )  # fmt: skip
                self._stored(uow, mirror, listing)
            self.report["rules"] += len(listed)

        return read

    def roles(self, most: int) -> None:
        """Read so many principals' roles, those not read for longest first."""
        with self.unit_of_work.reading() as session:
            principals = _principals(session)
            order = readings.waiting(session, ROLES, -1, principals)[:most]
        with self.unit_of_work(JOB) as uow:  # whoever has no place any more holds nothing there
            held = uow.session.scalars(sa.select(RoleAssignment).where(RoleAssignment.vanished_at.is_(None)))
            for row in held:
                if _name(row.principal_kind, row.principal_remote_id, row.project_remote_id) not in principals:
                    row.vanished_at = uow.now
                    self.report["vanished"] += 1
        for name in order:
            kind, principal, project = name.split("|")
            found = self.access.roles(kind, principal, project or None)
            with self.unit_of_work(JOB) as uow:
                mirror = Mirror(
                    uow, RoleAssignment, "rol", RoleAssignment.role_remote_id, principal_kind=kind,
                    principal_remote_id=principal, project_remote_id=project,
                )  # fmt: skip
                for role in found:
                    mirror.see(
                        role.id, role=role.name[:300], permissions=list(role.permissions), is_predefined=role.is_predefined,
                        through=sorted(role.through),
                    )  # fmt: skip
                mirror.finish()
                self.report["added"] += mirror.added
                self.report["vanished"] += mirror.vanished
                readings.note(uow, ROLES, 0, name)
            self.report["roles"] += 1


def _vanish(uow: UnitOfWork, table: Any, where: sa.ColumnElement[bool]) -> None:
    uow.session.execute(sa.update(table).where(where, table.vanished_at.is_(None)).values(vanished_at=uow.now))


def _name(kind: str, principal: str, project: str) -> str:
    return f"{kind}|{principal}|{project}"


def _principals(session: sa.orm.Session) -> set[str]:
    """Everybody who may hold roles, with the place: groups and members in the organization and in projects."""
    open_projects = sa.and_(Project.vanished_at.is_(None), Project.archived_at.is_(None))
    found = {_name("group", group, "") for group in _live(session, Group.remote_id, Group.vanished_at)}
    seats = sa.select(Member.remote_id).where(Member.vanished_at.is_(None), Member.is_service_account.is_(False))
    found |= {_name("user", member, "") for member in session.scalars(seats)}
    for kind, table, who in (
        ("group", ProjectGroup, ProjectGroup.group_remote_id), ("user", ProjectMember, ProjectMember.member_remote_id),
    ):  # fmt: skip
        rows = session.execute(
            sa.select(who, Project.remote_id)
            .join(Project, Project.id == table.project_id)
            .where(table.vanished_at.is_(None), open_projects)
        )
        found |= {_name(kind, principal, project) for principal, project in rows}
    return found


def _live(session: sa.orm.Session, column: Any, vanished_at: Any) -> Iterable[str]:
    return session.scalars(sa.select(column).where(vanished_at.is_(None)))
