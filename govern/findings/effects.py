"""End what nobody manages: a key, a service account, an admin key. What is gone is success; a complete listing proves it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from govern.core import outbox
from govern.core.crashpoints import crashpoint
from govern.core.errors import Rejected
from govern.core.outbox import Claim, Later, wait_longer
from govern.core.uow import UnitsOfWork
from govern.findings import service
from govern.inventory.models import AdminKey
from govern.keys.models import ObservedKey
from govern.ports import Directory, KeyIssuer
from govern.projects.models import Project, ServiceAccount


@dataclass(frozen=True)
class _Ending:
    """The row, how it is ended, and whether a complete listing still shows it."""

    row: ObservedKey | ServiceAccount | AdminKey
    end: Callable[[], None]
    is_listed: Callable[[], bool]


def _carry_out(unit_of_work: UnitsOfWork, claim: Claim, ending: _Ending | None) -> Later | None:
    kind = claim.kind
    if ending is not None:
        crashpoint(f"{kind}.before_delete")
        ending.end()
        crashpoint(f"{kind}.deleted")
        if ending.is_listed():
            return wait_longer(claim, "OpenAI still lists it.")
        crashpoint(f"{kind}.absent")
    with unit_of_work(claim.actor) as uow:
        outbox.settle(uow, claim)
        if ending is not None:
            service.record_ended(uow, uow.session.merge(ending.row, load=True))
        crashpoint(f"{kind}.before_commit")
    crashpoint(f"{kind}.recorded")
    return None


@dataclass(frozen=True)
class DeleteKey:
    """`observed_key.delete`: a project key that this service did not issue."""

    unit_of_work: UnitsOfWork
    directory: Directory
    issuer: KeyIssuer

    def __call__(self, claim: Claim) -> Later | None:
        with self.unit_of_work.reading() as session:
            key = session.get_one(ObservedKey, claim.subject_id)
            project = session.scalars(sa.select(Project.remote_id).where(Project.id == key.project_id)).one()
            same = sa.select(ObservedKey.id).where(
                ObservedKey.owner_remote_id == key.owner_remote_id, ObservedKey.vanished_at.is_(None), ObservedKey.id != key.id
            )
            alone = key.owner_kind == "service_account" and session.scalars(same.limit(1)).first() is None

        def end() -> None:
            try:
                self.directory.delete_key(project, key.remote_id)
            except Rejected:
                # The older API refuses a service account's key; the account goes then, where it has no other key.
                if not alone or key.owner_remote_id is None:
                    raise
                self.issuer.delete(project, key.owner_remote_id)

        def is_listed() -> bool:
            return any(listed.id == key.remote_id for listed in self.directory.keys(project))

        return _carry_out(self.unit_of_work, claim, None if key.vanished_at else _Ending(key, end, is_listed))


@dataclass(frozen=True)
class DeleteAccount:
    """`service_account.delete`: an account with every key of it."""

    unit_of_work: UnitsOfWork
    directory: Directory
    issuer: KeyIssuer

    def __call__(self, claim: Claim) -> Later | None:
        with self.unit_of_work.reading() as session:
            account = session.get_one(ServiceAccount, claim.subject_id)
            project = session.scalars(sa.select(Project.remote_id).where(Project.id == account.project_id)).one()

        def is_listed() -> bool:
            keys = any(key.owner_id == account.remote_id for key in self.directory.keys(project))
            return keys or any(listed.id == account.remote_id for listed in self.directory.service_accounts(project))

        def end() -> None:
            self.issuer.delete(project, account.remote_id)

        return _carry_out(self.unit_of_work, claim, None if account.vanished_at else _Ending(account, end, is_listed))


@dataclass(frozen=True)
class DeleteAdminKey:
    """`admin_key.delete`: never the one with which this service calls, which the adapter refuses as well."""

    unit_of_work: UnitsOfWork
    directory: Directory

    def __call__(self, claim: Claim) -> Later | None:
        with self.unit_of_work.reading() as session:
            key = session.get_one(AdminKey, claim.subject_id)

        def is_listed() -> bool:
            return any(listed.id == key.remote_id for listed in self.directory.admin_keys())

        def end() -> None:
            self.directory.delete_admin_key(key.remote_id)

        return _carry_out(self.unit_of_work, claim, None if key.vanished_at else _Ending(key, end, is_listed))
