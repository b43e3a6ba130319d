"""Ask OpenAI whose a leaked key is, and delete one that is listed and not ours."""

from __future__ import annotations

from dataclasses import dataclass

from govern.core import outbox
from govern.core.crashpoints import crashpoint
from govern.core.errors import Missing, Rejected
from govern.core.outbox import Claim, Later, wait_longer
from govern.core.uow import UnitsOfWork
from govern.keys import leaks
from govern.keys.models import LeakReport, ObservedKey
from govern.ports import Directory, KeyProbe
from govern.projects.models import Project

SHOWN = 20
"""More characters than any shortened form shows at either end."""


@dataclass(frozen=True)
class Probe:
    """`leak.probe`: use the key once, to ask whose it is. Nothing changes by that, so it may be repeated."""

    unit_of_work: UnitsOfWork
    probe: KeyProbe

    def __call__(self, claim: Claim) -> Later | None:
        with self.unit_of_work(claim.actor) as uow:
            value = leaks.sealed_value(uow, claim.subject_id)
            if value is None:
                outbox.settle(uow, claim)
        if value is None:
            return None
        ends = value.reveal()[:SHOWN], value.reveal()[-SHOWN:]
        crashpoint("leak.probe.before_ask")
        try:
            holder = self.probe.whose(value)
        except (Missing, Rejected) as refusal:
            with self.unit_of_work(claim.actor) as uow:
                outbox.settle(uow, claim)
                leaks.record_refused(uow, claim.subject_id, refusal.sentence)
            return None
        crashpoint("leak.probe.asked")
        with self.unit_of_work(claim.actor) as uow:
            outbox.settle(uow, claim)
            leaks.record_answer(uow, claim.subject_id, holder, ends, str(claim.payload.get("generation", "auto")))
            crashpoint("leak.probe.before_commit")
        crashpoint("leak.probe.recorded")
        return None


@dataclass(frozen=True)
class RevokeListed:
    """`leak.revoke`: delete a listed key that we did not issue, and see in a complete listing that it is gone."""

    unit_of_work: UnitsOfWork
    directory: Directory

    def __call__(self, claim: Claim) -> Later | None:
        with self.unit_of_work.reading() as session:
            report = session.get_one(LeakReport, claim.subject_id)
            key = session.get_one(ObservedKey, report.observed_id)
            project_id = session.get_one(Project, key.project_id).remote_id
        crashpoint("leak.revoke.before_delete")
        try:
            self.directory.delete_key(project_id, key.remote_id)
            crashpoint("leak.revoke.deleted")
            listed = any(each.id == key.remote_id for each in self.directory.keys(project_id))
        except Rejected as refusal:
            with self.unit_of_work(claim.actor) as uow:
                outbox.settle(uow, claim)
                leaks.record_refused(uow, claim.subject_id, refusal.sentence)
            return None
        if listed:
            return wait_longer(claim, "OpenAI still lists the key.")
        crashpoint("leak.revoke.absent")
        with self.unit_of_work(claim.actor) as uow:
            outbox.settle(uow, claim)
            leaks.record_deleted(uow, claim.subject_id)
            crashpoint("leak.revoke.before_commit")
        crashpoint("leak.revoke.recorded")
        return None
