"""What a change of policy would mean for the keys that exist: which would be beyond it, which no longer. Reads only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.keys.models import OPEN_STATES, Key, KeyKind, KeyVersion
from govern.keys.rules import scopes_of
from govern.people import queries as people
from govern.policies import queries, rules
from govern.policies.models import Policy
from govern.policies.rules import Limits


@dataclass(frozen=True)
class Affected:
    """One key that the change puts beyond the policy, and why."""

    key_id: str
    name: str
    person: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Preview:
    """Of `keys` that are held now, how many are beyond the policy before and after the change, and which become so.

    `affected` names at most 20 of them. Keys that exist stay as they are in any case.
    """

    keys: int
    before: int
    after: int
    affected: tuple[Affected, ...]


def of_setting(session: Session, scope_id: str, limits: Limits, *, usual_most_keys: int) -> Preview:
    """What it would mean to let these limits hold in place of what holds for their subject now."""
    now = queries.with_limits(session)
    kept = [(row, said) for row, said in now if (row.scope, row.scope_id) != (limits.scope, scope_id)]
    changed = Policy(id="new", scope=limits.scope, scope_id=scope_id)
    return _compare(session, now, [*kept, (changed, limits)], usual_most_keys)


def of_removal(session: Session, policy_id: str, *, usual_most_keys: int) -> Preview:
    """What it would mean to let this policy hold no longer."""
    now = queries.with_limits(session)
    return _compare(session, now, [(row, said) for row, said in now if row.id != policy_id], usual_most_keys)


def _compare(
    session: Session, before: Sequence[tuple[Policy, Limits]], after: Sequence[tuple[Policy, Limits]], usual_most_keys: int
) -> Preview:
    held = _held(session)
    was, will = _beyond(session, held, before, usual_most_keys), _beyond(session, held, after, usual_most_keys)
    fresh = [(key, will[key.id]) for key, _ in held if will[key.id] and not was[key.id]]
    names = people.names(session, [key.person_id for key, _ in fresh])
    affected = tuple(Affected(key.id, key.name, names.get(key.person_id, ""), why) for key, why in fresh[:20])
    return Preview(len(held), sum(map(bool, was.values())), sum(map(bool, will.values())), affected)


def _held(session: Session) -> list[tuple[Key, KeyVersion]]:
    newest = sa.select(KeyVersion.key_id, sa.func.max(KeyVersion.number).label("number")).group_by(KeyVersion.key_id).subquery()
    query = (
        sa.select(Key, KeyVersion)
        .join(newest, newest.c.key_id == Key.id)
        .join(KeyVersion, sa.and_(KeyVersion.key_id == Key.id, KeyVersion.number == newest.c.number))
        .where(Key.state.in_(OPEN_STATES))
        .order_by(Key.requested_at, Key.id)
    )
    return [(row[0], row[1]) for row in session.execute(query)]


def _beyond(
    session: Session, held: Sequence[tuple[Key, KeyVersion]], policies: Sequence[tuple[Policy, Limits]], usual_most_keys: int
) -> dict[str, tuple[str, ...]]:
    """Key id → why it is beyond these policies. Of too many keys of one person, the newest are those that are too many."""
    groups = queries.groups_by_person(session)
    everywhere, here = Counter[str](), Counter[tuple[str, str]]()
    found = {}
    for key, version in held:
        limits = queries.applying(policies, key.project_id, groups.get(key.person_id, frozenset()))
        policy = rules.effective(limits, usual_most_keys=usual_most_keys)
        place = (key.person_id, key.project_id)
        wanted = rules.Wanted(
            timedelta(seconds=version.lifetime_seconds) // timedelta(days=1), scopes_of(version),
            counts=key.kind is KeyKind.PERSONAL, held=everywhere[key.person_id], held_here=here[place], is_self_service=False,
        )  # fmt: skip
        found[key.id] = tuple(each.sentence for each in rules.beyond(policy, wanted))
        if key.kind is KeyKind.PERSONAL:
            everywhere[key.person_id] += 1
            here[place] += 1
    return found
