"""What is owed when a worker starts: for each kind of effect a way to bring two of them about, so that a crash point has a
first and a second passing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from govern.batches import rules as batch_rules
from govern.batches import service as batches
from govern.batches.models import BatchKind
from govern.batches.plan import limits
from govern.core.crypto import Secret
from govern.fakes.openai.admin_keys import make
from govern.findings import service as findings
from govern.findings.models import Finding
from govern.inventory.models import AdminKey
from govern.keys import freezing, leaks
from govern.keys.models import Key, LeakRemedy, ObservedKey
from govern.members import service as members
from govern.projects.models import ServiceAccount
from govern.worker.runner import run_job
from tests.given import ADMIN, EVE, MAX, World

PROJECT: Final = "Search"
GUESTS: Final = ("nina@acme.example", "otto@acme.example")
OVERLAP: Final = timedelta(hours=24)


def issue(world: World) -> None:
    for email in (EVE, MAX):
        world.requested_key(email, project=PROJECT, scopes=("api.responses.write",))


def revoke(world: World) -> None:
    keys = [world.key(email, project=PROJECT) for email in (EVE, MAX)]
    for key in keys:
        # A late creation of the same name, which only a sweep finds.
        world.govern.need_outside().issuer.create(world.project(PROJECT).remote_id, world.version(key).remote_name, 3600)
        world.revoke(key)


def freeze(world: World) -> None:
    for key in [world.key(email, project=PROJECT) for email in (EVE, MAX)]:
        with world.govern.unit_of_work(ADMIN) as uow:
            freezing.freeze_key(uow, key.id, reason="a scare", generation="auto")


def thaw(world: World) -> None:
    freeze(world)
    world.drain()
    with world.govern.unit_of_work(ADMIN) as uow:
        for key_id in uow.session.scalars(sa.select(Key.id)).all():
            freezing.thaw_key(uow, key_id, reason="harmless")


def send(world: World) -> None:
    for guest in GUESTS:
        world.invite(guest, "reader", (PROJECT, "member"))


def cancel(world: World) -> None:
    invites = [world.invite(guest) for guest in GUESTS]
    world.drain()
    for invite in invites:
        with world.govern.unit_of_work(ADMIN) as uow:
            members.cancel_invite(uow, invite.id)


def remove(world: World) -> None:
    """Somebody with keys of both kinds, and somebody who is only invited."""
    world.key(EVE, project=PROJECT)
    world.openai.make_personal_key(EVE, PROJECT)
    world.invite(GUESTS[0], "reader", (PROJECT, "member"))
    world.drain()
    for email in (EVE, GUESTS[0]):
        world.remove(email)


def leak(world: World) -> None:
    """Keys that somebody made at the dashboard and lost: OpenAI is asked whose they are, then they are deleted."""
    values = [world.openai.make_personal_key(email, PROJECT)[1] for email in (EVE, MAX)]
    world.synced()
    for value in values:
        with world.govern.unit_of_work(ADMIN) as uow:
            leaks.report(uow, Secret(value), remedy=LeakRemedy.REVOKE, successor=False, overlap=OVERLAP, generation="auto")


def traced(world: World) -> None:
    """The same, the question already answered."""
    leak(world)
    world.openai.fault("projects.api_keys.delete", kind="status:500", times=0)
    world.drain()
    world.openai.clear_faults()


def _fix(world: World, fix: str, made: list[str]) -> None:
    """Have these things at OpenAI (two, by its ids) found, and their end asked for."""
    world.synced()
    for job in ("inventory.sync", "findings.evaluate"):
        run_job(world.govern, job)
    with world.govern.unit_of_work(ADMIN) as uow:
        tables = (ObservedKey, ServiceAccount, AdminKey)
        here = {row.id for table in tables for row in uow.session.scalars(sa.select(table).where(table.remote_id.in_(made)))}
        found = uow.session.scalars(sa.select(Finding).where(Finding.fix == fix, Finding.target_id.in_(here)))
        targets = {row.target_id: row.id for row in found}
        assert len(targets) == len(made), targets
        for finding_id in targets.values():
            findings.fix(uow, finding_id, reason="nobody needs it", overlap=OVERLAP)


def delete_keys(world: World) -> None:
    _fix(world, "delete_key", [world.openai.make_personal_key(email, PROJECT)[0] for email in (EVE, MAX)])


def delete_accounts(world: World) -> None:
    made = [
        world.govern.need_outside().issuer.create(world.project(PROJECT).remote_id, name, 3600).service_account_id
        for name in ("one", "two")
    ]
    for account in made:
        world.openai.org.tables.service_accounts[account].role = "owner"
    _fix(world, "delete_account", made)


def delete_admin_keys(world: World) -> None:
    made = [make(world.openai.org, name, [], "user-nobody")[0].id for name in ("forgotten", "forgotten too")]
    _fix(world, "delete_admin_key", made)


def lists(world: World) -> None:
    """Two lists of people: one to remove, one to invite."""
    for email in (EVE, MAX):
        world.openai.make_personal_key(email, PROJECT)
    for kind, people in ((BatchKind.REMOVE, (EVE, MAX)), (BatchKind.INVITE, GUESTS)):
        with world.govern.unit_of_work(ADMIN) as uow:
            lines = batch_rules.read(kind, "\n".join(people))
            batches.begin(uow, kind, lines, reason="all at once", limits=limits(world.govern.settings, kind))


FLOWS: Final[dict[str, Callable[[World], None]]] = {
    "key.issue": issue, "key.revoke": revoke, "key.freeze": freeze, "key.thaw": thaw, "invite.send": send,
    "invite.cancel": cancel, "offboarding": remove, "leak.probe": leak, "leak.revoke": traced,
    "observed_key.delete": delete_keys, "service_account.delete": delete_accounts, "admin_key.delete": delete_admin_keys,
    "batch.row": lists,
}  # fmt: skip
