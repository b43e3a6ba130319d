"""Keep the promises of `freezing`: narrow a native key, and give it back what it had.

What the key was allowed is written down before it is narrowed. Setting scopes may be repeated, so a dead attempt is simply
done again; an attempt that wakes up too late has perhaps said something outdated, and has it said anew.
"""

from __future__ import annotations

from dataclasses import dataclass

from govern.core import outbox
from govern.core.crashpoints import crashpoint
from govern.core.errors import Missing, Rejected
from govern.core.outbox import Claim, ClaimLost, Later, wait_longer
from govern.core.uow import UnitsOfWork
from govern.keys import freezing
from govern.keys.models import Freeze, FreezeState
from govern.ports import KeyScopes, Scopes, read_scopes
from govern.projects.models import Project

LOOKS = 3
"""How often the audit log is asked whether it shows the change. Some organizations keep none."""


@dataclass(frozen=True)
class _Wanted:
    freeze_id: str
    state: FreezeState
    project_id: str
    key_id: str
    is_ours: bool
    is_noted: bool
    restore: Scopes | None


def _wanted(unit_of_work: UnitsOfWork, freeze_id: str) -> _Wanted:
    with unit_of_work.reading() as session:
        row = session.get_one(Freeze, freeze_id)
        project = session.get_one(Project, row.project_id)
        noted = row.original_source is not None
        return _Wanted(
            row.id, row.state, project.remote_id, row.remote_id, row.version_id is not None, noted, read_scopes(row.restore)
        )


@dataclass(frozen=True)
class FreezeKey:
    """`key.freeze`: note what it may do, narrow it, see that OpenAI's own log shows so; subject is the freeze."""

    unit_of_work: UnitsOfWork
    scopes: KeyScopes

    def __call__(self, claim: Claim) -> Later | None:
        wanted = _wanted(self.unit_of_work, claim.subject_id)
        if wanted.state is not FreezeState.FREEZING:
            with self.unit_of_work(claim.actor) as uow:
                outbox.settle(uow, claim)
            return None
        try:
            if not wanted.is_noted:
                # The log's word on a creation is that of the first key of an account: everything. We narrow ours right after,
                # and the log may not show that yet, so for ours only a change counts, else our own record.
                found = self.scopes.recorded(wanted.key_id, changes_only=wanted.is_ours)
                with self.unit_of_work(claim.actor) as uow:
                    outbox.extend(uow, claim)
                    freezing.record_original(uow, wanted.freeze_id, found)
            crashpoint("key.freeze.before_update")
            self.scopes.put(wanted.project_id, wanted.key_id, freezing.FROZEN_SCOPES)
            crashpoint("key.freeze.updated")
            proven = self.scopes.recorded(wanted.key_id) == freezing.FROZEN_SCOPES
        except Missing:
            _gone(self.unit_of_work, claim)
            return None
        except Rejected as refusal:
            _refused(self.unit_of_work, claim, refusal)
            return None
        if not proven and claim.attempt < LOOKS:
            return wait_longer(claim, "OpenAI accepted it; its audit log does not show it yet.")
        try:
            with self.unit_of_work(claim.actor) as uow:
                outbox.settle(uow, claim)
                freezing.record_frozen(uow, wanted.freeze_id, proven=proven)
                crashpoint("key.freeze.before_commit")
        except ClaimLost:
            _say_again(self.unit_of_work, claim)
        return None


@dataclass(frozen=True)
class ThawKey:
    """`key.thaw`: give it back exactly what it had."""

    unit_of_work: UnitsOfWork
    scopes: KeyScopes

    def __call__(self, claim: Claim) -> Later | None:
        wanted = _wanted(self.unit_of_work, claim.subject_id)
        if wanted.state is not FreezeState.THAWING or wanted.restore is None:
            with self.unit_of_work(claim.actor) as uow:
                outbox.settle(uow, claim)
            return None
        crashpoint("key.thaw.before_update")
        try:
            self.scopes.put(wanted.project_id, wanted.key_id, wanted.restore)
        except Missing:
            _gone(self.unit_of_work, claim)
            return None
        except Rejected as refusal:
            _refused(self.unit_of_work, claim, refusal)
            return None
        crashpoint("key.thaw.updated")
        try:
            with self.unit_of_work(claim.actor) as uow:
                outbox.settle(uow, claim)
                freezing.record_thawed(uow, wanted.freeze_id)
                crashpoint("key.thaw.before_commit")
        except ClaimLost:
            _say_again(self.unit_of_work, claim)
        return None


def _gone(unit_of_work: UnitsOfWork, claim: Claim) -> None:
    with unit_of_work(claim.actor) as uow:
        outbox.settle(uow, claim)
        freezing.record_gone(uow, claim.subject_id)


def _refused(unit_of_work: UnitsOfWork, claim: Claim, refusal: Rejected) -> None:
    with unit_of_work(claim.actor) as uow:
        outbox.settle(uow, claim)
        sentence = freezing.CANNOT_FREEZE if refusal.facts.get("cannot_narrow") else refusal.sentence
        freezing.record_refused(uow, claim.subject_id, sentence)


def _say_again(unit_of_work: UnitsOfWork, claim: Claim) -> None:
    with unit_of_work(claim.actor) as uow:
        freezing.say_again(uow, claim.subject_id)
