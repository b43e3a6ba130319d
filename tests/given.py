"""What a test needs, brought about by the service's own commands, never by writing rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import sqlalchemy as sa
from freezegun.api import FrozenDateTimeFactory
from sqlalchemy.orm import undefer

from govern.audit.models import AuditEvent
from govern.audit.service import verify
from govern.bootstrap import Govern
from govern.core import outbox
from govern.core.clock import utcnow
from govern.core.crypto import Place
from govern.core.db import Base
from govern.core.lanes import Lane
from govern.core.outbox import Claim, Effect, EffectState
from govern.core.uow import Actor, ActorKind
from govern.fakes.openai import FakeOpenAI
from govern.fakes.openai.oracle import KeyRow
from govern.keys import queries as key_queries
from govern.keys import reveals
from govern.keys import service as keys
from govern.keys.models import Key, KeyVersion
from govern.members import queries as members
from govern.members import service as member_service
from govern.members import sync as directory
from govern.members.models import Invite, Member
from govern.offboarding import service as offboarding
from govern.offboarding.models import Offboarding
from govern.people import queries as people
from govern.people.models import Person
from govern.ports import ALL_SCOPES, Scopes
from govern.projects import queries as projects
from govern.projects.models import Project
from govern.worker.runner import drain

Row = TypeVar("Row", bound=Base)

ADMIN = Actor(ActorKind.PERSON, "per_ada", "Ada Admin")

ADA, EVE, OLA, MAX, MAL = (f"{name}@acme.example" for name in ("ada", "eve", "ola", "max", "mal"))
"""The cast: Ada (admin and owner), Eve (employee), Ola (auditor), Max (manager), Mal (must see nothing)."""


PROJECT = "Search"
"""A project of the fake organization in which everybody of the cast has a place."""


@dataclass
class World:
    """`world.person(EVE)`, `world.project()`, `world.key(EVE)` …"""

    govern: Govern
    openai: FakeOpenAI

    def synced(self) -> World:
        """Pull the directory once, so that people, members and projects are known."""
        directory.run(self.govern.unit_of_work, self.govern.need_outside().directory)
        return self

    def person(self, email: str) -> Person:
        with self.govern.unit_of_work.reading() as session:
            return people.get_by_email(session, email)

    def member(self, email: str) -> Member:
        with self.govern.unit_of_work.reading() as session:
            return members.get_member(session, email)

    def project(self, name: str | None = None) -> Project:
        """A project that may hold keys; the first by name, or the one named."""
        with self.govern.unit_of_work.reading() as session:
            return next(p for p in projects.open_projects(session) if name is None or p.name == name)

    def drain(self) -> None:
        """Carry out every effect that is due."""
        drain(self.govern)

    def finish(self, clock: FrozenDateTimeFactory, *, within: timedelta = timedelta(hours=1)) -> None:
        """Carry out every effect, moving the clock to when the next one is due, until nothing is owed or the time is over."""
        until = utcnow() + within
        while True:
            self.drain()
            due = [max(effect.not_before, effect.leased_until or effect.not_before) for effect in self.owed()]
            if not due or min(due) > until:
                return
            clock.move_to(max(min(due), utcnow() + timedelta(milliseconds=1)))

    def owed(self) -> list[Effect]:
        """The effects that are still open."""
        with self.govern.unit_of_work.reading() as session:
            return list(session.scalars(sa.select(Effect).where(Effect.state == EffectState.READY).order_by(Effect.id)))

    def dead(self) -> list[Effect]:
        """The effects that were refused for good."""
        with self.govern.unit_of_work.reading() as session:
            return list(session.scalars(sa.select(Effect).where(Effect.state == EffectState.DEAD)))

    def requested_key(
        self, email: str = EVE, *, name: str = "laptop", days: int = 30, project: str | None = None, scopes: Scopes = ALL_SCOPES
    ) -> Key:
        """A key that was asked for and not yet issued."""
        person, place = self.person(email), self.project(project)
        with self.govern.unit_of_work(ADMIN) as uow:
            return keys.request_key(
                uow, person.id, place.id, name=name, lifetime=timedelta(days=days), most_per_person=5, scopes=scopes
            )

    def key(self, email: str = EVE, *, name: str = "laptop", project: str | None = None, scopes: Scopes = ALL_SCOPES) -> Key:
        """A live key."""
        key = self.requested_key(email, name=name, project=project, scopes=scopes)
        self.drain()
        return self.reload(key)

    def revoke(self, key: Key, reason: str = "no longer needed") -> Key:
        """Ask for the key's end."""
        with self.govern.unit_of_work(ADMIN) as uow:
            return keys.revoke_key(uow, key.id, reason=reason)

    def version(self, key: Key) -> KeyVersion:
        """The version that counts, with its sealed value loaded."""
        with self.govern.unit_of_work.reading() as session:
            newest = key_queries.newest_version(session, key.id)
            query = sa.select(KeyVersion).where(KeyVersion.id == newest.id).options(undefer(KeyVersion.sealed))
            return session.scalars(query.execution_options(populate_existing=True)).one()

    def value(self, key: Key, actor: Actor | None = None, *, repeat_key: str | None = None) -> str:
        """Reveal the key, as the person it is for unless another actor is named."""
        who = actor or Actor(ActorKind.PERSON, key.person_id, "holder")
        with self.govern.unit_of_work(who) as uow:
            return reveals.reveal(uow, key.id, repeat_key=repeat_key, window=timedelta(minutes=10)).reveal()

    def peek(self, key: Key) -> str:
        """The sealed value, opened without any command: to ask the fake whether it would accept it."""
        version = self.version(key)
        assert version.sealed is not None
        return self.govern.box.open(version.sealed, Place("key_versions", "sealed", version.id)).reveal()

    def invite(self, email: str, role: str = "reader", *places: tuple[str, str]) -> Invite:
        """An invite that was asked for; `places` are pairs (project name, role)."""
        grants = [(self.project(name).id, word) for name, word in places]
        with self.govern.unit_of_work(ADMIN) as uow:
            return member_service.invite(uow, email, role, grants)

    def remove(self, id_or_email: str, reason: str = "has left the company") -> Offboarding:
        """The removal of a member, begun."""
        with self.govern.unit_of_work(ADMIN) as uow:
            return offboarding.start(uow, id_or_email, reason=reason)

    def reload(self, row: Row) -> Row:
        """The row as it stands now."""
        with self.govern.unit_of_work.reading() as session:
            return session.get_one(type(row), row.id)  # type: ignore[attr-defined]

    def audited(self, prefix: str = "") -> list[str]:
        """What was recorded, oldest first, the actions that begin so."""
        with self.govern.unit_of_work.reading() as session:
            actions = session.scalars(sa.select(AuditEvent.action).order_by(AuditEvent.seq))
            return [action for action in actions if action.startswith(prefix)]

    def calls(self, method: str = "") -> list[str]:
        """What OpenAI was asked, as `DELETE /v1/…`, oldest first."""
        return [f"{call.method} {call.path}" for call in self.openai.oracle().requests if call.method.startswith(method)]

    def native_keys(self) -> list[KeyRow]:
        """The keys that live at OpenAI."""
        oracle = self.openai.oracle()
        return oracle.keys()

    def our_accounts(self) -> list[str]:
        """The ids of the service accounts at OpenAI that carry our prefix."""
        return [account.id for account in self.openai.oracle().service_accounts() if account.name.startswith("govern:")]

    def audit_holds(self) -> bool:
        """Whether the audit log's chain is sound."""
        with self.govern.unit_of_work.reading() as session:
            return verify(session, self.govern.box).problem is None


def claimed(world: World, kind: str) -> Claim:
    """A claim on the one effect of this kind that is due, as a worker has that stops right then."""
    with world.govern.unit_of_work(ADMIN) as uow:
        claim = outbox.claim_next(uow, (Lane.INTERACTIVE, Lane.BACKGROUND), (kind,))
    assert claim is not None
    return claim
