"""The unit of work: one session, one actor, one instant. Nothing else commits.

    with govern.unit_of_work(actor) as uow:
        request_key(uow, person_id, project_id, …)

Leaving the block commits; raising rolls back. Nothing outside is called inside: what is owed to the outside is enqueued
(`core.outbox`) and carried out after the commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from govern.core.clock import utcnow
from govern.core.crypto import SecretBox
from govern.core.db import WRITING
from govern.core.ids import NewId, new_id


class ActorKind(StrEnum):
    PERSON = "person"
    TOKEN = "token"  # noqa: S105 - a kind, not a token
    DEVICE = "device"
    JOB = "job"
    CLI = "cli"
    EFFECT = "effect"


@dataclass(frozen=True)
class Actor:
    """Who did it. `label` is for people (a name, a job's name); `ip` and `request_id` say from where, `through` which token."""

    kind: ActorKind
    id: str
    label: str
    ip: str | None = None
    request_id: str | None = None
    through: str | None = None


@dataclass
class UnitOfWork:
    """What a command works with. `now` is the one instant of this change."""

    session: Session
    actor: Actor
    now: datetime
    new_id: NewId
    box: SecretBox
    _before_commit: dict[str, Callable[[UnitOfWork], None]] = field(default_factory=dict)

    def before_commit(self, name: str, hook: Callable[[UnitOfWork], None]) -> None:
        """Run `hook` once, last, inside the transaction; a second registration under the same name is the same one."""
        self._before_commit.setdefault(name, hook)


class UnitsOfWork:
    """Makes units of work: `unit_of_work(actor)` is a context manager."""

    def __init__(self, engine: sa.Engine, box: SecretBox, *, ids: NewId = new_id) -> None:
        self.engine = engine
        self.box = box
        self._ids = ids
        self._sessions = sessionmaker(engine.execution_options(**{WRITING: True}), expire_on_commit=False)
        self._reads = sessionmaker(engine)

    @contextmanager
    def __call__(self, actor: Actor) -> Iterator[UnitOfWork]:
        """Begin, hand over, commit; roll back if the block raises."""
        with self._sessions() as session:
            uow = UnitOfWork(session, actor, utcnow(), self._ids, self.box)
            yield uow
            session.flush()
            for hook in uow._before_commit.values():
                hook(uow)
            session.commit()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session for reads outside a request (worker, CLI); it never commits."""
        with self._reads() as session:
            yield session
