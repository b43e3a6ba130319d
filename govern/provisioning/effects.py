"""What provisioning owes: the return of somebody who was activated again while their removal was under way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from govern.core import outbox
from govern.core.outbox import Claim, Later
from govern.core.uow import UnitsOfWork
from govern.provisioning import service
from govern.provisioning.models import ProvisionedUser

AGAIN_AFTER: Final = 60.0
"""Seconds until it is worth looking again whether a removal is proven."""


@dataclass(frozen=True)
class Return:
    """`provisioning.return`: subject is the account. The old generation ends first, proven; only then a new one begins."""

    unit_of_work: UnitsOfWork

    def __call__(self, claim: Claim) -> Later | None:
        with self.unit_of_work(claim.actor) as uow:
            row = uow.session.get(ProvisionedUser, claim.subject_id)
            if row is None or service.bring_back(uow, row):
                outbox.settle(uow, claim)
                return None
        return Later(AGAIN_AFTER, "Their removal is not proven yet; they return once it is.")
