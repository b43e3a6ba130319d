"""Directory sync: members, invites, projects, and who and what stands in each project, as OpenAI lists them now.

Each listing is read whole before the transaction that stores it; what a complete listing no longer shows is marked vanished.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from govern.core import outbox, readings
from govern.core.clock import utcnow
from govern.core.errors import InvalidInput
from govern.core.mirror import Mirror
from govern.core.uow import Actor, ActorKind, UnitOfWork, UnitsOfWork
from govern.keys.models import KeyVersion, ObservedKey
from govern.members import service
from govern.members.models import OPEN_INVITES, Invite, InviteState, Member
from govern.people import service as people
from govern.ports import (
    Directory,
    RemoteInvite,
    RemoteKey,
    RemoteMember,
    RemoteProject,
    RemoteProjectMember,
    RemoteServiceAccount,
)
from govern.projects.models import Project, ProjectMember, ServiceAccount

JOB: Final = Actor(ActorKind.JOB, "directory.sync", "directory.sync")
SWEEP: Final = "directory"
TOPS: Final = "directory.tops"
"""Where the ledger notes the listings that are not a project's."""
ARCHIVED: Final = "directory.archived"
ARCHIVED_EVERY: Final = timedelta(days=1)
ARCHIVED_AT_ONCE: Final = 20
"""Keys of archived projects are read once a day, so many projects a sweep: nothing there can be made or used any more."""
Progress = Callable[[str, int, int], None]
"""Called with what is being read, how many are done, how many there are."""


def _silent(_what: str, _done: int, _total: int) -> None:
    """Nobody watches."""


def run(unit_of_work: UnitsOfWork, directory: Directory, *, progress: Progress = _silent) -> dict[str, int]:
    """Mirror the organization. Returns counts; a second run over an unchanged organization changes only `last_seen_at`.

    A run that was interrupted is taken up where it was: projects that it has read are not read again.
    """
    sync = _Sync(unit_of_work, directory)
    progress("projects", 0, 1)
    projects = directory.projects()
    sync.projects(projects)
    progress("members", 0, 1)
    sync.members(directory.members())
    sync.invites()
    with unit_of_work(JOB) as uow:
        sync.number = readings.begin(uow, SWEEP)
    open_ones = [project.id for project in projects if project.archived_at is None]
    with unit_of_work.reading() as session:
        order = readings.waiting(session, SWEEP, sync.number, open_ones)
    for done, remote_id in enumerate(order, len(open_ones) - len(order)):
        progress("projects", done, len(open_ones))
        sync.project(remote_id)
    progress("projects", len(open_ones), len(open_ones))
    archived = [project.id for project in projects if project.archived_at is not None]
    with unit_of_work.reading() as session:
        due = readings.older_than(session, ARCHIVED, utcnow() - ARCHIVED_EVERY, archived)[:ARCHIVED_AT_ONCE]
    for remote_id in due:
        sync.archived_project(remote_id)
    with unit_of_work(JOB) as uow:
        readings.finish(uow, SWEEP, sync.number)
    return dict(sorted(sync.report.items()))


def run_projects(unit_of_work: UnitsOfWork, directory: Directory, remote_ids: Collection[str]) -> dict[str, int]:
    """Read only these projects (OpenAI's ids): something in them is known to have changed."""
    sync = _Sync(unit_of_work, directory)
    for remote_id in sorted(remote_ids):
        sync.project(remote_id)
    return dict(sorted(sync.report.items()))


@dataclass
class _Sync:
    unit_of_work: UnitsOfWork
    directory: Directory
    number: int = 0

    def __post_init__(self) -> None:
        self.report = {"added": 0, "vanished": 0, "members": 0, "invites": 0, "projects": 0, "service_accounts": 0, "keys": 0}

    def _count(self, what: str, mirror: Mirror | None, seen: int) -> None:
        self.report[what] += seen
        if mirror is not None:
            self.report["added"] += mirror.added
            self.report["vanished"] += mirror.vanished

    def projects(self, listed: Sequence[RemoteProject]) -> None:
        with self.unit_of_work(JOB) as uow:
            mirror = Mirror(uow, Project, "prj", Project.remote_id)
            for remote in listed:
                mirror.see(
                    remote.id, name=remote.name[:300], is_default=remote.is_default, created_at=remote.created_at,
                    archived_at=remote.archived_at,
                )  # fmt: skip
            mirror.finish()
            archived = sa.select(Project.id).where(Project.archived_at.is_not(None))
            # An archived project has no members and accounts any more; whether it lists keys still is read.
            for table in (ProjectMember, ServiceAccount):
                uow.session.execute(
                    sa.update(table)
                    .where(table.project_id.in_(archived), table.vanished_at.is_(None))
                    .values(vanished_at=uow.now)
                )
            self._count("projects", mirror, len(listed))

    def members(self, listed: Sequence[RemoteMember]) -> None:
        with self.unit_of_work(JOB) as uow:
            mirror = Mirror(uow, Member, "mem", Member.remote_id)
            for remote in listed:
                mirror.see(
                    remote.id, person_id=self._person_of(uow, remote), email=(remote.email or "").casefold() or None,
                    name=(remote.name or "")[:200] or None, role=remote.role, added_at=remote.added_at,
                    is_service_account=remote.is_service_account, is_scim_managed=remote.is_scim_managed,
                )  # fmt: skip
            mirror.finish()
            readings.note(uow, TOPS, 0, "members")
            self._count("members", mirror, len(listed))

    @staticmethod
    def _person_of(uow: UnitOfWork, remote: RemoteMember) -> str | None:
        """OpenAI verified the address when the member joined, so it may be joined to the person who has it."""
        if remote.is_service_account or not remote.email:
            return None
        try:
            return people.ensure(uow, remote.email, remote.name).id
        except InvalidInput:  # an address that we cannot compare with any other: keep the member, know no person
            return None

    def invites(self) -> None:
        """Mirror what became of our invites, and the invites that others made."""
        with self.unit_of_work.reading() as session:
            # Only what was out before the listing began can be missing from it: one sent meanwhile is simply not in it yet.
            out = set(session.scalars(sa.select(Invite.remote_id).where(Invite.state == InviteState.PENDING)))
        listed = self.directory.invites()
        with self.unit_of_work(JOB) as uow:
            ours = {row.remote_id: row for row in uow.session.scalars(sa.select(Invite).where(Invite.remote_id.is_not(None)))}
            taken = set(uow.session.scalars(sa.select(Invite.email).where(Invite.state.in_(OPEN_INVITES))))
            for remote in listed:
                row, state = ours.get(remote.id), _state(remote)
                if row is None:
                    email = remote.email.casefold()
                    if state is InviteState.PENDING and email in taken:
                        continue  # an offer of ours is on its way and will adopt this one or refuse
                    taken |= {email} if state is InviteState.PENDING else set()
                    uow.session.add(_foreign(uow, remote, state))
                    self.report["added"] += 1
                elif state is not row.state and row.state is InviteState.PENDING:
                    service.record_ended(uow, row.id, state)
            here = {remote.id for remote in listed}
            for row in ours.values():
                busy = outbox.open_effects(uow.session, [row.id]) if row.state is InviteState.PENDING else []
                if row.state is InviteState.PENDING and row.remote_id in out - here and not busy:
                    service.record_ended(uow, row.id, InviteState.CANCELLED)
                    self.report["vanished"] += 1
            readings.note(uow, TOPS, 0, "invites")
            self._count("invites", None, len(listed))

    def project(self, remote_id: str) -> None:
        """One project's members, service accounts and keys: three listings, one transaction."""
        before = utcnow()
        members, accounts, keys = (
            self.directory.project_members(remote_id), self.directory.service_accounts(remote_id), self.directory.keys(remote_id),
        )  # fmt: skip
        with self.unit_of_work(JOB) as uow:
            project = uow.session.scalars(sa.select(Project).where(Project.remote_id == remote_id)).one()
            here = {"project_id": project.id}
            self._project_members(uow, here, members)
            self._service_accounts(uow, here, accounts)
            self._keys(uow, here, keys)
            project.last_seen_at = max(project.last_seen_at, before)
            if self.number:
                readings.note(uow, SWEEP, self.number, remote_id)

    def archived_project(self, remote_id: str) -> None:
        """The keys that an archived project still lists: dead, but there to be seen."""
        keys = self.directory.keys(remote_id)
        with self.unit_of_work(JOB) as uow:
            project = uow.session.scalars(sa.select(Project).where(Project.remote_id == remote_id)).one()
            self._keys(uow, {"project_id": project.id}, keys)
            readings.note(uow, ARCHIVED, 0, remote_id)

    def _project_members(self, uow: UnitOfWork, here: dict[str, str], listed: Sequence[RemoteProjectMember]) -> None:
        mirror = Mirror(uow, ProjectMember, "pm", ProjectMember.member_remote_id, **here)
        for remote in listed:
            mirror.see(remote.user_id, role=remote.role)
        mirror.finish()
        self._count("projects", mirror, 0)

    def _service_accounts(self, uow: UnitOfWork, here: dict[str, str], listed: Sequence[RemoteServiceAccount]) -> None:
        mirror = Mirror(uow, ServiceAccount, "sac", ServiceAccount.remote_id, **here)
        for remote in listed:
            mirror.see(remote.id, name=remote.name[:300], role=remote.role, created_at=remote.created_at)
        mirror.finish()
        self._count("service_accounts", mirror, len(listed))

    def _keys(self, uow: UnitOfWork, here: dict[str, str], listed: Sequence[RemoteKey]) -> None:
        ids = [remote.id for remote in listed]
        rows = uow.session.execute(sa.select(KeyVersion.remote_id, KeyVersion.id).where(KeyVersion.remote_id.in_(ids)))
        ours = {row.remote_id: row.id for row in rows}
        mirror = Mirror(uow, ObservedKey, "obs", ObservedKey.remote_id, **here)
        for remote in listed:
            mirror.see(
                remote.id, version_id=ours.get(remote.id), name=remote.name[:300], redacted=remote.redacted,
                owner_kind=remote.owner_kind, owner_remote_id=remote.owner_id,
                owner_name=(remote.owner_name or "")[:300] or None, access=remote.access, created_at=remote.created_at,
                last_used_at=remote.last_used_at, expires_at=remote.expires_at,
            )  # fmt: skip
        mirror.finish()
        self._count("keys", mirror, len(listed))


def _state(remote: RemoteInvite) -> InviteState:
    """OpenAI's word; one that we do not know counts as open, so that it stays in sight."""
    known = {"pending": InviteState.PENDING, "accepted": InviteState.ACCEPTED, "expired": InviteState.EXPIRED}
    return known.get(remote.status, InviteState.PENDING)


def _foreign(uow: UnitOfWork, remote: RemoteInvite, state: InviteState) -> Invite:
    return Invite(
        id=uow.new_id("inv"), remote_id=remote.id, email=remote.email.casefold(), role=remote.role,
        projects=[{"id": grant.project_id, "role": grant.role} for grant in remote.projects], state=state, issued_by_us=False,
        created_at=remote.created_at, expires_at=remote.expires_at, settled_at=remote.accepted_at,
    )  # fmt: skip
