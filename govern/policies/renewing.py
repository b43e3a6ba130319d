"""Renew a key within policy: what a new key may not have, an old one does not get anew."""

from __future__ import annotations

from datetime import timedelta

from govern.approvals import queries as approval_queries
from govern.core.errors import PolicyViolation
from govern.core.uow import UnitOfWork
from govern.keys import queries as key_queries
from govern.keys import renewal
from govern.keys import rules as key_rules
from govern.keys.models import Key
from govern.people import service as people
from govern.policies import queries, rules
from govern.policies.asking import Defaults
from govern.policies.rules import Wanted


def renew(
    uow: UnitOfWork, key_id: str, defaults: Defaults, *, administers: bool, overlap: timedelta, days: int | None = None
) -> Key:
    """Promise a new version for so many days, without them for as long as the old one lived or the policy allows.

    It counts as no further key. `administers`: whether whoever renews may issue keys to anybody. Raises NotFound,
    InvalidInput, Conflict (not live, or rotating already), PolicyViolation (beyond the policy, or no key may be held any more).
    """
    key = key_queries.get(uow.session, key_id)
    person = people.lock(uow.session, key.person_id)
    version = key_queries.newest_version(uow.session, key.id)
    policy = queries.effective_for(uow.session, person.id, key.project_id, usual_most_keys=defaults.most_keys)
    lifetime = timedelta(days=days) if days is not None else None
    if lifetime is None and timedelta(seconds=version.lifetime_seconds) > timedelta(days=policy.longest_days):
        lifetime = timedelta(days=policy.longest_days)
    own = person.id in approval_queries.people_behind(uow.session, uow.actor)
    wanted = Wanted(
        days if days is not None else 1, key_rules.scopes_of(version), counts=False, held=0, held_here=0,
        is_self_service=own or not administers,
    )  # fmt: skip
    beyond = rules.beyond(policy, wanted)
    if beyond:
        sentences = " ".join(each.sentence for each in beyond)
        raise PolicyViolation(f"{sentences} Ask for a new key instead: somebody else can approve it.", beyond[0].rule)
    return renewal.renew(uow, key.id, overlap=overlap, lifetime=lifetime)
