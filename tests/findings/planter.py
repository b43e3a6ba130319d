"""Plants drift of every type into an organization, as somebody at OpenAI's dashboard would, and says what is to be found."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import timedelta

from freezegun.api import FrozenDateTimeFactory

from govern.bootstrap import Govern
from govern.fakes.openai import FakeOpenAI
from govern.fakes.openai.admin_keys import make
from govern.fakes.openai.organization import digest_of
from govern.fakes.openai.tables import Assignment, Invite, Key, Membership, ServiceAccount, User
from govern.keys import queries as key_queries
from govern.keys import service as keys
from govern.keys.models import KeyKind, Reveal
from govern.people import service as people
from govern.worker.runner import run_job
from tests.given import ADMIN, EVE, MAX, OLA, World

DAY = 86_400


@dataclass(frozen=True)
class Drift:
    """`expected`: type of finding → a part of the label of what was planted. `leavers`: exactly who has something left."""

    plant: Planter
    expected: dict[str, str]
    leavers: set[str]


class Planter:
    """Puts things into the organization as somebody at OpenAI's dashboard would, with dates of choice."""

    def __init__(self, openai: FakeOpenAI) -> None:
        self.org = openai.org
        self.now = self.org.clock.seconds()
        self.count = itertools.count(1)
        self.projects = [p.id for p in self.org.tables.projects.values() if not p.is_default and p.archived_at is None]

    def user(self, email: str, **more: object) -> str:
        id_ = f"user-planted{next(self.count)}"
        self.org.tables.users[id_] = User(id_, email, email.partition("@")[0], "reader", self.now - 5 * DAY, **more)
        self.org.tables.born[id_] = self.now - 5 * DAY
        return id_

    def account(self, name: str, *, role: str = "member", project: int = 0) -> str:
        id_ = f"svc_planted{next(self.count)}"
        row = ServiceAccount(id_, self.projects[project % len(self.projects)], name, role, self.now - 5 * DAY)
        self.org.tables.service_accounts[id_] = row
        self.org.tables.born[id_] = row.created_at
        return id_

    def key(self, *, account: str | None = None, user: str | None = None, days: int = 5, used: int | None = 1,
            expires: int | None = 30, project: int = 0) -> str:  # fmt: skip
        id_ = f"key_planted{next(self.count)}"
        place = self.org.tables.service_accounts[account].project_id if account else self.projects[project % len(self.projects)]
        key = Key(
            id_, place, "planted", digest_of(id_), f"sk-…{id_[-4:]}", self.now - days * DAY, owner_user_id=user,
            owner_account_id=account, expires_at=None if expires is None else self.now + expires * DAY,
            last_used_at=None if used is None else self.now - used * DAY,
        )  # fmt: skip
        self.org.tables.born[id_] = key.created_at
        self.org.add_key(key)
        return id_


def many_keys(plant: Planter, count: int, accounts: int = 100) -> list[str]:
    """So many keys of programs, over all projects; gives the accounts."""
    bulk = [plant.account(f"app {number}", project=number) for number in range(accounts)]
    for number in range(count):
        plant.key(account=bulk[number % accounts])
    return bulk


def drift(govern: Govern, openai: FakeOpenAI, world: World, clock: FrozenDateTimeFactory, many: int) -> Drift:
    """A world of `many` keys, known here already, and then drift of every type in it."""
    plant, tables = Planter(openai), openai.org.tables
    bulk = many_keys(plant, many)
    world.synced()
    run_job(govern, "inventory.sync")
    run_job(govern, "events.pull")

    # A shared key whose value Ola saw; Ola and Mal leave; Max is contained, their removal under way.
    with govern.unit_of_work(ADMIN) as uow:
        shared = keys.request_key(
            uow, world.person(EVE).id, world.project("Search").id, name="app", lifetime=timedelta(days=60), most_per_person=5,
            kind=KeyKind.SHARED,
        )  # fmt: skip
    world.drain()
    readers = [user.email for user in tables.users.values() if user.role == "reader" and user.email and "acme" in user.email]
    back_again, lost_email = [email for email in readers if email not in (EVE, MAX, OLA)][:2]
    for email in (OLA, back_again):
        world.remove(email)
    world.finish(clock)
    seen_by(govern, world, shared.id)
    world.remove(MAX)
    clock.tick(timedelta(minutes=2))
    with govern.unit_of_work(ADMIN) as uow:
        for user in list(tables.users.values()):
            if user.email and "ghost" not in user.email:
                people.ensure(uow, user.email, None).directory_at = uow.now

    plant.now = openai.org.clock.seconds()
    lost = next(user for user in tables.users.values() if user.email == lost_email)
    standing = {place.project_id for place in openai.oracle().project_users() if place.user_id == lost.id}
    elsewhere = next(at for at, project in enumerate(plant.projects) if project not in standing)
    expected_keys = {
        "unmanaged_key": plant.key(account=bulk[0]),
        "dormant": plant.key(account=bulk[1], days=100, used=90),
        "never_used": plant.key(account=bulk[2], days=20, used=None),
        "over_age": plant.key(account=bulk[3], days=200),
        "never_expires": plant.key(account=bulk[4], expires=None),
        "orphan": plant.key(user=lost.id, project=elsewhere),
    }
    expected_keys = {type_: key_id[-4:] for type_, key_id in expected_keys.items()}
    wide = plant.account("too wide", role="owner")
    plant.key(account=wide)
    plant.account("govern:kv_unknown")
    back = plant.user(back_again)  # somebody let Mal in again, around us
    tables.memberships.setdefault(plant.projects[0], {})[back] = Membership(plant.projects[0], back, "member", plant.now)
    plant.user("ghost@elsewhere.example")
    tables.invites["inv_old"] = Invite("inv_old", "late@acme.example", "reader", [], plant.now - 20 * DAY, plant.now + DAY)
    tables.born["inv_old"] = plant.now - 20 * DAY
    make(openai.org, "forgotten", [], "user-nobody")
    owner = next(role.id for role in tables.roles.values() if role.name == "owner" and role.resource_type == "api.organization")
    tables.assignments.append(Assignment("user", lost.id, None, owner, plant.now))
    foreign, _ = openai.make_personal_key(lost.id, min(standing))

    expected = expected_keys | {
        "too_wide": "too wide", "stray_account": "govern:kv_unknown", "shared_key_holder_left": "app",
        "ghost_member": "ghost@elsewhere.example", "stale_invite": "late@acme.example",
        "admin_key_unowned_or_old": "forgotten", "role_drift": lost_email, "changed_around_us": foreign,
        "leaver_alive": back_again,
    }  # fmt: skip
    return Drift(plant, expected, {back_again})


def seen_by(govern: Govern, world: World, key_id: str) -> None:
    """Ola, who has left, turns out to know the value of the newest version: a leak that no command of ours records."""
    with govern.unit_of_work(ADMIN) as uow:
        version = key_queries.newest_version(uow.session, key_id)
        uow.session.add(
            Reveal(
                id=uow.new_id("rev"), key_id=key_id, version_id=version.id, actor_id=world.person(OLA).id, actor_label="Ola",
                at=uow.now,
            )
        )  # fmt: skip
