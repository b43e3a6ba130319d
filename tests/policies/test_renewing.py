"""A key is renewed within the policy that holds for a new one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from govern.core.errors import PolicyViolation
from govern.keys.models import Key, KeyVersion
from govern.policies import renewing
from tests.given import ADA, EVE, World
from tests.policies.test_asking import DEFAULTS, WRITE, actor, let


def renew(world: World, key: Key, *, by: str = EVE, days: int | None = None) -> KeyVersion:
    with world.govern.unit_of_work(actor(world, by)) as uow:
        renewing.renew(uow, key.id, DEFAULTS, administers=by == ADA, overlap=timedelta(days=1), days=days)
    world.drain()
    return world.version(key)


def term(version: KeyVersion) -> float:
    return version.lifetime_seconds / 86_400


def test_a_renewal_keeps_to_the_longest_life_and_the_permissions_of_today(standing: World) -> None:
    key, wide = standing.key(EVE), standing.key(EVE, name="wide")  # 30 days, may do everything
    let(standing, longest_days=10)
    with pytest.raises(PolicyViolation, match=r"at most 10 days .* Ask for a new key instead"):
        renew(standing, key, days=11)
    assert term(renew(standing, key)) == 10
    let(standing, longest_days=10, scopes=(WRITE,))
    with pytest.raises(PolicyViolation, match="A key may do only"):
        renew(standing, wide)


@pytest.mark.one_database
def test_where_keys_need_approval_nobody_renews_their_own(standing: World) -> None:
    key = standing.key(EVE)
    let(standing, self_service=False, most_keys=1)
    with pytest.raises(PolicyViolation, match="without approval"):
        renew(standing, key)
    assert renew(standing, key, by=ADA, days=60).number == 2  # and it counts as no further key
