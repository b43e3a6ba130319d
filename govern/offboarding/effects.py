"""Carry out a removal: step by step, each one repeatable, the proof last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy.orm import Session

from govern.core import outbox
from govern.core.clock import utcnow
from govern.core.crashpoints import crashpoint
from govern.core.errors import Missing, Rejected
from govern.core.outbox import Claim, Later, wait_longer
from govern.core.uow import UnitsOfWork
from govern.keys import queries as keys
from govern.offboarding import queries, rules, service
from govern.offboarding.models import OffboardingState
from govern.ports import Directory, KeyIssuer, RemoteMember
from govern.projects import queries as projects


@dataclass
class _Removal:
    """What one run knows of the person. `open_keys` are versions whose own end is not proven yet."""

    id: str
    email: str
    member_ids: set[str]  # the seat known when it began, and one taken since (an invite accepted, a return under a new id)
    finished: set[str]
    open_keys: int
    names: dict[str, set[str]]  # project remote id → service account names that were ever made for them
    accounts: set[str]  # remote ids of those that we recorded
    looked_once: bool = False
    owns_ours: bool = False
    projects: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Run:
    """`offboarding.run`: subject is the removal. Never given up: a refusal is shown and tried again later."""

    unit_of_work: UnitsOfWork
    directory: Directory
    issuer: KeyIssuer
    second_look: timedelta

    def __call__(self, claim: Claim) -> Later | None:
        with self.unit_of_work.reading() as session:
            row = queries.get(session, claim.subject_id)
            early = row.first_look_at + self.second_look - utcnow() if row.first_look_at else timedelta(0)
            removal = None if row.state is OffboardingState.DONE else self._load(session, claim.subject_id)
        if removal is None:
            with self.unit_of_work(claim.actor) as uow:
                outbox.settle(uow, claim)
            return None
        if early > timedelta(0):
            return Later(early.total_seconds(), rules.SECOND_LOOK)
        try:
            return self._walk(claim, removal)
        except (Rejected, Missing) as refusal:
            return self._later(claim, removal, refusal.sentence)

    def _walk(self, claim: Claim, removal: _Removal) -> Later | None:
        if removal.open_keys:
            return self._later(claim, removal, f"{removal.open_keys} of their keys are still being ended.", least=1)
        removal.projects = [project.id for project in self.directory.projects() if project.archived_at is None]
        removal.member_ids |= self._seats(removal)
        steps: dict[str, Callable[[Claim, _Removal], tuple[int, int]]] = {
            "keys": lambda _claim, _removal: (len(removal.accounts), len(removal.accounts)),
            "service_accounts": self._service_accounts,
            "admin_keys": self._admin_keys,
            "invites": self._invites,
            "personal_keys": self._personal_keys,
            "memberships": self._memberships,
            "seat": self._seat,
        }
        for name, step in steps.items():
            if name in removal.finished:
                continue
            if name == "seat" and removal.owns_ours:
                return self._later(claim, removal, rules.OWN_BRANCH)
            crashpoint(f"offboarding.{name}.before")
            found, ended = step(claim, removal)
            crashpoint(f"offboarding.{name}.after")
            if name == "admin_keys" and removal.owns_ours:
                continue
            with self.unit_of_work(claim.actor) as uow:
                outbox.extend(uow, claim)
                service.record_step(uow, removal.id, name, found=found, ended=ended)
        left = self._what_is_left(claim, removal)
        if left is None and not removal.looked_once:
            with self.unit_of_work(claim.actor) as uow:
                outbox.extend(uow, claim)
                service.record_first_look(uow, removal.id)
            crashpoint("offboarding.looked")
            if self.second_look > timedelta(0):
                return Later(self.second_look.total_seconds(), rules.SECOND_LOOK)
            left = self._what_is_left(claim, removal)
        if left is not None:
            # Something is still there, or came while we worked: walk the whole way again, it does no harm.
            with self.unit_of_work(claim.actor) as uow:
                outbox.extend(uow, claim)
                service.reopen_steps(uow, removal.id)
            return self._later(claim, removal, left)
        crashpoint("offboarding.verify.after")
        with self.unit_of_work(claim.actor) as uow:
            outbox.settle(uow, claim)
            service.record_done(uow, removal.id)
            crashpoint("offboarding.before_commit")
        crashpoint("offboarding.recorded")
        return None

    @staticmethod
    def _load(session: Session, removal_id: str) -> _Removal:
        row = queries.get(session, removal_id)
        finished = {step["name"] for step in row.steps if step["state"] == "done"}
        seats = {row.member_remote_id} if row.member_remote_id else set()
        removal = _Removal(row.id, row.email, seats, finished, 0, {}, set(), looked_once=row.first_look_at is not None)
        if row.person_id is not None:
            removal.open_keys = len(keys.open_versions(session, row.person_id))
            for version in keys.all_versions(session, row.person_id):
                project = projects.get(session, keys.get(session, version.key_id).project_id)
                removal.names.setdefault(project.remote_id, set()).add(version.remote_name)
                removal.accounts |= {version.service_account_remote_id} if version.service_account_remote_id else set()
        return removal

    def _later(self, claim: Claim, removal: _Removal, sentence: str, *, least: float = 5) -> Later:
        with self.unit_of_work(claim.actor) as uow:
            service.record_waiting(uow, removal.id, sentence)
        return wait_longer(claim, sentence, least=least)

    def _seats(self, removal: _Removal) -> set[str]:
        """The seat that has the address now: it may be another than the one known when the removal began."""
        member: RemoteMember | None = self.directory.find_member(removal.email) if "@" in removal.email else None
        return {member.id} if member else set()

    def _renew(self, claim: Claim) -> None:
        with self.unit_of_work(claim.actor) as uow:
            outbox.extend(uow, claim)

    def _service_accounts(self, claim: Claim, removal: _Removal) -> tuple[int, int]:
        ended = 0
        for project_id in removal.projects:
            if project_id not in removal.names:
                continue
            self._renew(claim)
            for account in self.directory.service_accounts(project_id):
                if account.name in removal.names[project_id] or account.id in removal.accounts:
                    self.issuer.delete(project_id, account.id)
                    ended += 1
        return ended, ended

    def _admin_keys(self, claim: Claim, removal: _Removal) -> tuple[int, int]:
        found = ended = 0
        self._renew(claim)
        for key in self.directory.admin_keys() if removal.member_ids else []:
            if key.owner_id in removal.member_ids:
                found += 1
                if key.is_ours:
                    removal.owns_ours = True
                    continue
                self.directory.delete_admin_key(key.id)
                ended += 1
        return found, ended

    def _invites(self, claim: Claim, removal: _Removal) -> tuple[int, int]:
        self._renew(claim)
        found = ended = 0
        for invite in self.directory.invites():
            if invite.status == "pending" and invite.email.casefold() == removal.email:
                found += 1
                try:
                    self.directory.cancel_invite(invite.id)
                    ended += 1
                except Rejected:  # accepted a moment ago: now it is a seat, which the next steps empty and end
                    removal.member_ids |= self._seats(removal)
        return found, ended

    def _personal_keys(self, claim: Claim, removal: _Removal) -> tuple[int, int]:
        ended = 0
        for project_id in removal.projects if removal.member_ids else []:
            self._renew(claim)
            for key in self.directory.keys(project_id):
                if key.owner_kind == "user" and key.owner_id in removal.member_ids:
                    self.directory.delete_key(project_id, key.id)
                    ended += 1
        return ended, ended

    def _memberships(self, claim: Claim, removal: _Removal) -> tuple[int, int]:
        found = ended = 0
        for project_id in removal.projects if removal.member_ids else []:
            self._renew(claim)
            for place in self.directory.project_members(project_id):
                if place.user_id in removal.member_ids:
                    found += 1
                    try:
                        self.directory.remove_project_member(project_id, place.user_id)
                        ended += 1
                    except Rejected:  # an organization's owner stands in every project until the seat is gone
                        continue
        return found, ended

    def _seat(self, claim: Claim, removal: _Removal) -> tuple[int, int]:
        for member_id in sorted(removal.member_ids):
            self._renew(claim)
            self.directory.remove_member(member_id)
        return len(removal.member_ids), len(removal.member_ids)

    def _what_is_left(self, claim: Claim, removal: _Removal) -> str | None:
        """Read complete listings of everything again; a sentence about what they still show, or None."""
        if any(m.id in removal.member_ids or (m.email or "").casefold() == removal.email for m in self.directory.members()):
            return "OpenAI still lists the seat."
        if any(i.status == "pending" and i.email.casefold() == removal.email for i in self.directory.invites()):
            return "OpenAI still lists an invite."
        if any(key.owner_id in removal.member_ids for key in self.directory.admin_keys()):
            return "OpenAI still lists an admin key of theirs."
        for project_id in removal.projects:
            self._renew(claim)
            gone = removal.accounts | removal.member_ids
            if any(key.owner_id in gone for key in self.directory.keys(project_id)):
                return "OpenAI still lists one of their keys."
            names = removal.names.get(project_id)
            if names and any(account.name in names for account in self.directory.service_accounts(project_id)):
                return "OpenAI still lists one of their service accounts."
        return None
