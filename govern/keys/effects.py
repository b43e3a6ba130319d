"""Keep the promises of `service`: make native credentials, and end them.

A creation cannot be repeated blindly: OpenAI knows no idempotency key and shows the secret once. So whoever carries out
`key.issue` a second time first sweeps what the dead attempt may have left (found by name), creates, and records only if its
claim is still the newest; otherwise it takes back what it made.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core import outbox
from govern.core.crashpoints import crashpoint
from govern.core.errors import Missing, Rejected
from govern.core.outbox import Claim, ClaimLost, Later, wait_longer
from govern.core.uow import UnitsOfWork
from govern.keys import rules, service
from govern.keys.models import ENDED_STATES, Key, KeyState, KeyVersion
from govern.ports import ALL_SCOPES, Directory, IssuedCredential, KeyIssuer, KeyScopes, Scopes
from govern.projects.models import Project

LOOKS = 3
"""How often a key is made anew that OpenAI does not know a moment later, before it counts as refused."""


@dataclass(frozen=True)
class _Native:
    """What the outside needs to know of a version."""

    version_id: str
    project_id: str
    name: str
    state: KeyState
    lifetime_seconds: int
    service_account_id: str | None
    key_id: str | None
    scopes: Scopes


def _native(session: Session, version_id: str) -> _Native:
    version, project = session.execute(
        sa.select(KeyVersion, Project)
        .join(Key, Key.id == KeyVersion.key_id)
        .join(Project, Project.id == Key.project_id)
        .where(KeyVersion.id == version_id)
    ).one()
    return _Native(
        version.id, project.remote_id, version.remote_name, version.state, version.lifetime_seconds,
        version.service_account_remote_id, version.remote_id, rules.scopes_of(version),
    )  # fmt: skip


@dataclass(frozen=True)
class Issue:
    """`key.issue`: sweep, create, narrow, record; subject is the version.

    A service account's first key may do everything. It is narrowed before it is recorded, so that its value is nowhere to be
    had while it can do more than was asked for; a worker that dies in between leaves an account that is swept by its name.
    """

    unit_of_work: UnitsOfWork
    issuer: KeyIssuer
    scopes: KeyScopes

    def __call__(self, claim: Claim) -> Later | None:
        with self.unit_of_work.reading() as session:
            native = _native(session, claim.subject_id)
        if native.state is not KeyState.REQUESTED:  # revoked before it was made; `key.revoke` sweeps
            with self.unit_of_work(claim.actor) as uow:
                outbox.settle(uow, claim)
            return None
        if claim.attempt > 1 and self._still_there(native):
            return wait_longer(claim, "OpenAI still lists what an earlier attempt made.")
        crashpoint("key.issue.before_create")
        try:
            credential = self.issuer.create(native.project_id, native.name, native.lifetime_seconds)
        except (Rejected, Missing) as refusal:  # Missing: the project itself is gone
            with self.unit_of_work(claim.actor) as uow:
                outbox.settle(uow, claim)
                service.record_refused(uow, native.version_id, refusal.sentence)
            return None
        crashpoint("key.issue.created")
        if native.scopes != ALL_SCOPES:
            try:
                self.scopes.put(native.project_id, credential.key_id, native.scopes)
            except (Rejected, Missing) as refusal:
                return self._take_back(claim, native, credential, refusal)
            crashpoint("key.issue.narrowed")
        try:
            with self.unit_of_work(claim.actor) as uow:
                outbox.settle(uow, claim)
                service.record_issued(uow, native.version_id, credential)
                crashpoint("key.issue.before_commit")
        except (ClaimLost, service.NoLongerWanted):
            crashpoint("key.issue.fenced")
            self.issuer.delete(native.project_id, credential.service_account_id)
            with self.unit_of_work(claim.actor) as uow:
                outbox.settle(uow, claim)  # raises again for a lost claim: the newer attempt settles its own
        crashpoint("key.issue.recorded")
        return None

    def _still_there(self, native: _Native) -> bool:
        """Delete what an earlier attempt made; true if OpenAI goes on listing any of it, whatever it answered."""
        left = self.issuer.find(native.project_id, native.name)
        for account in left:
            crashpoint("key.issue.sweep")
            self.issuer.delete(native.project_id, account.id)
        return bool(left) and bool(self.issuer.find(native.project_id, native.name))

    def _take_back(
        self, claim: Claim, native: _Native, credential: IssuedCredential, refusal: Rejected | Missing
    ) -> Later | None:
        """OpenAI will not narrow it: rather no key than one that may do more than was asked for."""
        self.issuer.delete(native.project_id, credential.service_account_id)
        if isinstance(refusal, Missing) and claim.attempt < LOOKS:
            return wait_longer(claim, "OpenAI does not know the new key yet.")
        with self.unit_of_work(claim.actor) as uow:
            outbox.settle(uow, claim)
            sentence = rules.CANNOT_NARROW if refusal.facts.get("cannot_narrow") else refusal.sentence
            service.record_refused(uow, native.version_id, sentence)
        return None


@dataclass(frozen=True)
class Revoke:
    """`key.revoke`: delete the service account, then see in complete listings that it and its keys are gone.

    Never given up: a refusal is shown and tried again later, because a key that nobody ends any more is the worst outcome.
    """

    unit_of_work: UnitsOfWork
    issuer: KeyIssuer
    directory: Directory

    def __call__(self, claim: Claim) -> Later | None:
        with self.unit_of_work.reading() as session:
            native = _native(session, claim.subject_id)
            making = outbox.open_effect(session, "key.issue", claim.subject_id)
        if native.state in ENDED_STATES:
            with self.unit_of_work(claim.actor) as uow:
                outbox.settle(uow, claim)
            return None
        if making is not None:  # an attempt may be between creation and record: what it made shows only once it has settled
            return Later(1, "An attempt to make this key is still under way.")
        crashpoint("key.revoke.before_delete")
        try:
            if native.service_account_id is not None:
                self.issuer.delete(native.project_id, native.service_account_id)
            crashpoint("key.revoke.deleted")
            if self._still_listed(native):
                return wait_longer(claim, "OpenAI still lists the credential.")
        except (Rejected, Missing) as refusal:
            return wait_longer(claim, refusal.sentence)
        crashpoint("key.revoke.absent")
        with self.unit_of_work(claim.actor) as uow:
            outbox.settle(uow, claim)
            service.record_ended(uow, native.version_id)
            crashpoint("key.revoke.before_commit")
        crashpoint("key.revoke.recorded")
        return None

    def _still_listed(self, native: _Native) -> bool:
        """Delete whatever carries the version's name; true if anything of it is still listed afterwards."""
        strays = self._accounts(native)
        for account_id in strays:
            crashpoint("key.revoke.sweep")
            self.issuer.delete(native.project_id, account_id)
        if strays and self._accounts(native):
            return True
        gone = strays | {native.service_account_id}
        keys = self.directory.keys(native.project_id)
        listed = any(key.id == native.key_id or (key.owner_id is not None and key.owner_id in gone) for key in keys)
        return listed and not self._is_archived(native.project_id)

    def _is_archived(self, project_id: str) -> bool:
        """An archived project may go on listing its keys, but they are dead, and it never comes back."""
        return any(project.id == project_id and project.archived_at is not None for project in self.directory.projects())

    def _accounts(self, native: _Native) -> set[str]:
        listed = self.directory.service_accounts(native.project_id)
        return {account.id for account in listed if account.name == native.name or account.id == native.service_account_id}
