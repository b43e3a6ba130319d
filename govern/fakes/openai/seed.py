"""The first day: people, projects, keys and what else an organization has gathered by then.

Everything is drawn from one generator seeded by the specification; only the dates depend on when the world is made.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime

from govern.fakes.openai import names, seed_extras
from govern.fakes.openai.organization import Organization, digest_of
from govern.fakes.openai.roles import PREDEFINED
from govern.fakes.openai.tables import Key, Membership, Project, Role, ServiceAccount, User
from govern.fakes.openai.traffic import DAY

_HABITS = ("assistant",) * 6 + ("coder",) * 3 + ("studio",)


def populate(org: Organization) -> None:
    """Fill the empty tables."""
    dice = random.Random(f"{org.spec.seed}/{org.spec.people}/{org.spec.projects}")  # noqa: S311
    org.random = dice
    now = org.clock.seconds()
    org.tables.anchor = _month_start(now, org.spec.months) if org.spec.months else now
    founded = (org.tables.anchor - 500 * DAY) // DAY * DAY
    _roles(org, founded)
    default = Project(org.new_id("project", founded), "Default project", founded, is_default=True)
    org.tables.projects[default.id] = default
    people = _people(org, dice, founded, now)
    _projects(org, dice, founded, now)
    _places(org, dice, people, now)
    _accounts(org, dice, now)
    if org.spec.people >= 30:
        seed_extras.add(org, dice, people, founded, now)
    org.random = None
    org.reindex()
    seed_extras.history(org)


def _month_start(now: int, months: int) -> int:
    at = datetime.fromtimestamp(now, UTC)
    index = at.year * 12 + at.month - 1 - months
    return int(datetime(index // 12, index % 12 + 1, 1, tzinfo=UTC).timestamp())


def _roles(org: Organization, founded: int) -> None:
    for resource_type, name, description, permissions in PREDEFINED:
        role = Role(org.new_id("role", founded), name, list(permissions), resource_type, predefined=True, description=description)
        role.created_at = founded
        org.tables.roles[role.id] = role


def _people(org: Organization, dice: random.Random, founded: int, now: int) -> list[User]:
    people = []
    for index in range(org.spec.people):
        # Most came before the traffic begins, every seventh joined since.
        joined = founded + dice.randrange(1, 480) * DAY + dice.randrange(DAY)
        if index >= len(names.CAST) and dice.random() < 0.14 and now > org.tables.anchor:
            joined = dice.randrange(org.tables.anchor, now)
        if index < len(names.CAST):
            name, email, role = names.CAST[index]
            joined = founded + index * 3_607 + 60
        else:
            name, local = names.person(index)
            kind = dice.random()
            email = f"{local}@contractors.example" if kind < 0.07 else f"{local}@acme.example"
            role = "owner" if kind > 0.98 else "reader"
        user = User(
            org.new_id("user", joined), email, name, role, joined, is_scim_managed=org.spec.people >= 30 and index % 5 == 4
        )
        org.tables.users[user.id] = user
        people.append(user)
    return people


def _projects(org: Organization, dice: random.Random, founded: int, now: int) -> None:
    for index in range(org.spec.projects):
        created = founded + dice.randrange(10, 490) * DAY + dice.randrange(DAY)
        project = Project(org.new_id("project", created), names.project(index), created)
        if index >= 5 and index % 9 == 7:
            project.archived_at = dice.randrange(org.tables.anchor - 60 * DAY, max(now - DAY, org.tables.anchor - 59 * DAY))
        org.tables.projects[project.id] = project


def _places(org: Organization, dice: random.Random, people: list[User], now: int) -> None:
    """Memberships and personal keys. Some people lost their projects but not their keys; some keys were never used."""
    projects = [p for p in org.tables.projects.values() if not p.is_default]
    if not projects:
        return
    for index, user in enumerate(people):
        count = 1 + (dice.random() < 0.35) + (dice.random() < 0.1)
        chosen = [projects[0]] if index < len(names.CAST) else dice.sample(projects, min(count, len(projects)))
        left = index >= len(names.CAST) and dice.random() < 0.045 and user.role != "owner"
        for project in chosen:
            since = max(user.added_at, project.created_at) + dice.randrange(60, 3 * DAY)
            since = min(since, now - 60)
            role = "owner" if user.email == "max@acme.example" or dice.random() < 0.06 else "member"
            place = Membership(project.id, user.id, role, since)
            if left:
                place.removed_at = float(dice.randrange(since, now))
            org.tables.memberships.setdefault(project.id, {})[user.id] = place
            if index >= len(names.CAST) and dice.random() < 0.55:
                _key(org, dice, project, since, now, user=user)


def _accounts(org: Organization, dice: random.Random, now: int) -> None:
    for index, project in enumerate(list(org.tables.projects.values())):
        if project.is_default:
            continue
        for turn in range(1 + dice.randrange(3)):
            name, habit = names.ACCOUNTS[(index + turn * 3) % len(names.ACCOUNTS)]
            created = min(project.created_at + dice.randrange(60, 20 * DAY), now - 60)
            account = ServiceAccount(org.new_id("service_account", created), project.id, name, "member", created)
            org.tables.service_accounts[account.id] = account
            key = _key(org, dice, project, created, now, account=account)
            key.habit, key.quiet_from = (habit, None) if org.spec.months else ("", None)


def _key(
    org: Organization,
    dice: random.Random,
    project: Project,
    since: int,
    now: int,
    *,
    user: User | None = None,
    account: ServiceAccount | None = None,
) -> Key:
    created = since if account else min(since + dice.randrange(60, 90 * DAY), now - 30)
    # Nobody knows the value of a seeded key; only its digest matters, and that only has to be nobody's.
    digest, tail = digest_of(f"nobody/{dice.random()}"), dice.choice("abcdefghkmnpqrstuvwxyz23456789")
    redacted = f"{'sk-svcac' if account else 'sk-proj-'}{'*' * 12}{digest[:3]}{tail}"
    name = "Secret Key" if account else dice.choice(names.KEY_NAMES)
    key = Key(org.new_id("key", created), project.id, name, digest, redacted, created)
    key.owner_user_id, key.owner_account_id = user.id if user else None, account.id if account else None
    if org.spec.months and (account or dice.random() > 0.18):
        key.habit, key.volume = dice.choice(_HABITS), int(dice.paretovariate(1.3) * 12) % 900 + 4
        if not account and dice.random() < 0.1:
            key.quiet_from = dice.randrange(min(created, now - 1), now)
    org.tables.keys[key.id] = key
    return key
