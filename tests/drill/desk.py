"""Acts that clients ask of web processes. Where one dies or stops before it answered, its client does what clients do: it asks
the next one the same again, under the same Idempotency-Key. What was asked for must come about, once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.clock import utcnow
from govern.core.db import WRITING
from govern.identity.models import Request
from govern.keys import freezing
from govern.keys.models import Freeze, FreezeState, Key, KeyState, KeyVersion
from govern.members.models import Invite, InviteState
from govern.offboarding.models import Offboarding, OffboardingState
from tests.drill.flows import GUESTS, PROJECT
from tests.drill.nursery import Order
from tests.drill.oracle import Ledger
from tests.drill.stage import Stage
from tests.given import ADMIN, EVE, MAX, World

PEOPLE: Final = (EVE, MAX)
GIVEN: Final = (200, 201, 202)


def _label(email: str) -> str:
    return f"key of {email}"


def _keys(world: World) -> list[Key]:
    return [world.key(email, name=_label(email), project=PROJECT) for email in PEOPLE]


def _issue(world: World) -> list[Order]:
    project = world.project(PROJECT).id
    return [
        {
            "do": "issue", "label": _label(email),
            "body": {"person": email, "project": project, "name": _label(email), "expires_in_days": 30},
        }
        for email in PEOPLE
    ]  # fmt: skip


def _about_keys(word: str) -> Callable[[World], list[Order]]:
    def asked(world: World) -> list[Order]:
        for key in _keys(world):
            if word == "thaw":
                with world.govern.unit_of_work(ADMIN) as uow:
                    freezing.freeze_key(uow, key.id, reason="a scare", generation="auto")
        world.drain()
        return [{"do": word, "label": _label(email)} for email in PEOPLE]

    return asked


def _invite(_: World) -> list[Order]:
    return [{"do": "invite", "email": guest, "body": {"email": guest, "role": "reader", "projects": []}} for guest in GUESTS]


def _cancel(world: World) -> list[Order]:
    for guest in GUESTS:
        world.invite(guest)
    world.drain()
    return [{"do": "cancel", "email": guest} for guest in GUESTS]


def _remove(world: World) -> list[Order]:
    _keys(world)
    world.openai.make_personal_key(EVE, PROJECT)
    return [{"do": "remove", "email": email, "body": {"reason": "left on Friday"}} for email in PEOPLE]


ASKS: Final[dict[str, tuple[str, Callable[[World], list[Order]]]]] = {
    "issue": ("key.issue", _issue), "rotate": ("key.issue", _about_keys("rotate")),
    "revoke": ("key.revoke", _about_keys("revoke")), "freeze": ("key.freeze", _about_keys("freeze")),
    "thaw": ("key.thaw", _about_keys("thaw")), "invite": ("invite.send", _invite), "cancel": ("invite.cancel", _cancel),
    "remove": ("offboarding", _remove),
}  # fmt: skip
"""What is asked for: the flow that it sets off, and how it comes to be asked."""


@dataclass
class Desk:
    """The clients of one run."""

    stage: Stage
    world: World
    ask: str
    commands: list[Order]

    @classmethod
    def opened(cls, stage: Stage, world: World, ask: str, ledger: Ledger) -> Desk:
        """Bring about what must be there; nothing is asked yet."""
        commands = [{"id": f"{ask}-{number}", **command} for number, command in enumerate(ASKS[ask][1](world))]
        desk = cls(stage, world, ask, commands)
        desk._report.unlink(missing_ok=True)
        labels = {_label(email) for email in PEOPLE}
        if ask == "issue":
            ledger.asked, ledger.acknowledged = labels, set(labels)
        if ask == "remove":
            ledger.removed |= set(PEOPLE)
            ledger.leavers |= {member.id for member in world.openai.oracle().members() if member.email in PEOPLE}
        return desk

    @property
    def order(self) -> Order:
        """For the web process that is asked."""
        return {"commands": self.commands, "tokens": self.stage.tokens, "report": str(self._report)}

    def wait(self) -> None:
        """Clients wait until nobody can be answering them any more."""
        aged = sa.update(Request).where(Request.status.is_(None)).values(created_at=utcnow() - timedelta(hours=1))
        with self.stage.govern.engine.connect().execution_options(**{WRITING: True}) as connection:
            connection.execute(aged)
            connection.commit()

    def answered(self) -> list[str]:
        """What is wrong with the answers so far: each command needs one, and who was removed must not get in."""
        lines = self._report.read_text(encoding="utf-8").splitlines() if self._report.exists() else []
        answers = [json.loads(line) for line in lines]
        bad = []
        for command in self.commands:
            mine = [answer for answer in answers if answer["id"] == command["id"]]
            refused = [answer for answer in mine if answer["status"] not in GIVEN]
            bad += [f"I4 {command['id']} was answered {answer['status']}: {answer['body']}" for answer in refused]
            if not mine:
                bad.append(f"I4 {command['id']} was never answered")
            bad += ["I5 who was removed got in" for answer in mine if answer.get("lets_in")]
        return bad

    def kept(self) -> list[str]:
        """What does not hold of that which was asked for, once everything has come to rest."""
        with self.world.govern.unit_of_work.reading() as session:
            return [
                f"I3 or I4 {command['id']}: {found}"
                for command in self.commands
                if (found := _found(session, self.ask, command)) != EXPECTED[self.ask]
            ]

    @property
    def _report(self) -> Path:
        return self.stage.folder / "answers.jsonl"


EXPECTED: Final[dict[str, list[str]]] = {
    "issue": [KeyState.LIVE], "rotate": [KeyState.LIVE, KeyState.LIVE], "revoke": [KeyState.REVOKED],
    "freeze": [FreezeState.FROZEN], "thaw": [FreezeState.THAWED], "invite": [InviteState.PENDING],
    "cancel": [InviteState.CANCELLED], "remove": [OffboardingState.DONE],
}  # fmt: skip


def _found(session: Session, ask: str, command: Order) -> list[str]:
    """The states of all rows that the command may have led to."""
    versions = sa.select(KeyVersion.id).join(Key, Key.id == KeyVersion.key_id).where(Key.name == command.get("label"))
    states = {
        "issue": sa.select(Key.state).where(Key.name == command.get("label")),
        "rotate": sa.select(KeyVersion.state).where(KeyVersion.id.in_(versions)),
        "revoke": sa.select(Key.state).where(Key.name == command.get("label")),
        "freeze": sa.select(Freeze.state).where(Freeze.version_id.in_(versions)),
        "thaw": sa.select(Freeze.state).where(Freeze.version_id.in_(versions)),
        "invite": sa.select(Invite.state).where(Invite.email == command.get("email")),
        "cancel": sa.select(Invite.state).where(Invite.email == command.get("email")),
        "remove": sa.select(Offboarding.state).where(Offboarding.email == command.get("email")),
    }  # fmt: skip
    return list(session.scalars(states[ask]))
