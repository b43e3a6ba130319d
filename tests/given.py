"""What a test needs, brought about by the service's own commands, never by writing rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from govern.bootstrap import Govern
from govern.core.uow import Actor, ActorKind
from govern.fakes.openai import FakeOpenAI
from govern.keys import service as keys
from govern.keys.models import Key
from govern.members import sync as directory
from govern.people import queries as people
from govern.people.models import Person
from govern.projects import queries as projects
from govern.projects.models import Project
from govern.worker.runner import drain

ADMIN = Actor(ActorKind.PERSON, "per_ada", "Ada Admin")

ADA, EVE, OLA, MAX, MAL = (f"{name}@acme.example" for name in ("ada", "eve", "ola", "max", "mal"))
"""The cast: Ada (admin and owner), Eve (employee), Ola (auditor), Max (manager), Mal (must see nothing)."""


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

    def project(self, name: str | None = None) -> Project:
        """A project that may hold keys; the first by name, or the one named."""
        with self.govern.unit_of_work.reading() as session:
            return next(p for p in projects.open_projects(session) if name is None or p.name == name)

    def drain(self) -> None:
        """Carry out every effect that is due."""
        drain(self.govern)

    def requested_key(self, email: str = EVE, *, name: str = "laptop", days: int = 30) -> Key:
        """A key that was asked for and not yet issued."""
        person, project = self.person(email), self.project()
        with self.govern.unit_of_work(ADMIN) as uow:
            return keys.request_key(uow, person.id, project.id, name=name, lifetime=timedelta(days=days), most_per_person=5)

    def key(self, email: str = EVE, *, name: str = "laptop") -> Key:
        """A live key."""
        key = self.requested_key(email, name=name)
        self.drain()
        return self.reload(key)

    def reload(self, row: Key) -> Key:
        with self.govern.unit_of_work.reading() as session:
            return session.get_one(type(row), row.id)
