"""What the forked processes do: a worker carries out what is owed, a web process answers requests."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import httpx
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from govern.bootstrap import Govern, build
from govern.core.crashpoints import VARIABLE, crashpoint
from govern.core.crypto import Secret
from govern.core.db import WRITING
from govern.core.outbox import Effect, EffectState
from govern.keys.models import Key
from govern.members.models import Invite
from govern.openai.pacing import Pace
from govern.settings import Audit, Mail, OpenAI, Removal, Sealing, Settings, Sync, Web
from govern.web.app import create_app
from govern.worker.runner import drain, run_job
from tests.drill.nursery import ROUNDS, Order


class Hurry:
    """A clock on which sleeping takes no time: it jumps ahead instead."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self._ahead

    def sleep(self, seconds: float) -> None:
        self._ahead += seconds


def settings_of(given: Order) -> Settings:
    return Settings(
        mode="test",
        database={"url": given["database"]},
        sealing=Sealing(keys=Secret(given["sealing"])),
        openai=OpenAI(admin_key=Secret(given["admin_key"]), base_url=given["openai"]),
        removal=Removal(second_look_seconds=0),
        sync=Sync(backfill_days=4),
        web=Web(url="http://govern.test", wait_seconds=0),
        mail=Mail(**given.get("mail", {})),
        audit=Audit(**given.get("audit", {})),
    )


def hurried(given: Order, transport: httpx.BaseTransport | None = None) -> Govern:
    """The service, with a client that never really waits."""
    clock = Hurry()
    return build(settings_of(given), outside=True, transport=transport, pace=Pace(clock=clock, sleep=clock.sleep))


class Prepared:
    """The service of this process's children: built, its statements compiled, and connected to nothing."""

    def __init__(self, given: Order) -> None:
        self.govern = hurried(given)
        self.app = create_app(replace(self.govern, outside=None))
        self._warm(given)
        self.govern.engine.dispose()

    def _warm(self, given: Order) -> None:
        from tests.drill.flows import FLOWS
        from tests.drill.stage import drill_organization
        from tests.given import World

        openai = drill_organization()
        other = hurried(given, httpx.WSGITransport(app=openai.app))
        world = World(replace(self.govern, outside=other.outside), openai)
        # The effects of `other` write through its own engine: those statements are compiled for this one.
        for handler in other.need_outside().effects.values():
            object.__setattr__(handler, "unit_of_work", self.govern.unit_of_work)
        for flow in ("leak.probe", "key.freeze", "offboarding"):
            FLOWS[flow](world)
            world.drain()
        client = self.app.test_client()
        for path in ("/me", "/keys"):
            client.get(f"/api/v1{path}", headers={"Authorization": f"Bearer {given['tokens']['system']}"})
        other.close()


def live(order: Order, prepared: Prepared | None) -> None:
    """Do what the order says, or die on the way."""
    if order.get("crash"):
        os.environ[VARIABLE] = order["crash"]
    if "settings" in order:
        govern = hurried(order["settings"])
    else:
        assert prepared is not None
        govern = prepared.govern
    _count_steps(govern.engine)
    if order.get("dead"):
        due_now(govern.engine, dead=True)
    if "commands" in order:
        assert prepared is not None
        WebProcess(prepared, order).serve()
    else:
        work(govern, order)
    govern.close()


def _count_steps(engine: sa.Engine) -> None:
    """Any statement and any commit is a place to die at, beside the named ones."""
    sa.event.listen(engine, "before_cursor_execute", lambda *_: crashpoint("sql"))
    sa.event.listen(engine, "commit", lambda *_: crashpoint("db.before_commit"))
    sa.event.listen(Session, "after_commit", lambda *_: crashpoint("db.committed"))


def work(govern: Govern, order: Order) -> None:
    """The job if one is named, then effects until nothing is owed."""
    if "job" in order:
        run_job(govern, order["job"])
    for _ in range(order.get("rounds", ROUNDS)):
        drain(govern)
        if not due_now(govern.engine, dead=False):
            break


def due_now(engine: sa.Engine, *, dead: bool) -> int:
    """Make time pass: what was put off is due at once; with `dead`, leases have run out as well. How much is still owed."""
    change = sa.update(Effect).where(Effect.state == EffectState.READY)
    values: dict[str, Any] = {"not_before": Effect.created_at} | ({"leased_until": None} if dead else {})
    with engine.connect().execution_options(**{WRITING: True}) as connection:
        owed = connection.execute(change.values(values)).rowcount
        connection.commit()
    return int(owed)


PATHS: Final = {
    "issue": "/keys", "rotate": "/keys/{key}/rotate", "revoke": "/keys/{key}/revoke", "freeze": "/keys/{key}/freeze",
    "thaw": "/keys/{key}/thaw", "invite": "/invites", "cancel": "/invites/{invite}/cancel", "remove": "/members/{email}/revoke",
}  # fmt: skip


class WebProcess:
    """A web process: answers the commands one by one and reports each answer once it is given, as a client would notice it."""

    def __init__(self, prepared: Prepared, order: Order) -> None:
        self.client: FlaskClient = prepared.app.test_client()
        self.engine, self.commands, self.tokens = prepared.govern.engine, order["commands"], order["tokens"]
        self.report = Path(order["report"])

    def serve(self) -> None:
        for command in self.commands:
            path = PATHS[command["do"]].format(**self._named(command))
            answer = self._post(path, command)
            found: Order = {"id": command["id"], "status": answer[0], "body": answer[1]}
            if command["do"] == "remove" and answer[0] in (200, 202):
                found["lets_in"] = self._get("/me", command["email"])
            self._say(found)

    def _named(self, command: Order) -> dict[str, str]:
        """Ids that the client learned from earlier answers; looked up by name, because an answer may have been lost."""
        with self.engine.connect() as connection:
            key = connection.scalar(sa.select(Key.id).where(Key.name == command.get("label")))
            wanted = sa.select(Invite.id).where(Invite.email == command.get("email")).order_by(Invite.id.desc()).limit(1)
            invite = connection.scalar(wanted)
        return {"key": key or "key_none", "invite": invite or "inv_none", "email": command.get("email", "nobody")}

    def _post(self, path: str, command: Order) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.tokens[command.get('as', 'system')]}", "Idempotency-Key": command["id"]}
        answer = self.client.post(f"/api/v1{path}", json=command.get("body", {}), headers=headers)
        return answer.status_code, answer.get_json(silent=True)

    def _get(self, path: str, who: str) -> bool:
        token = self.tokens.get(who)
        if token is None:
            return False
        return self.client.get(f"/api/v1{path}", headers={"Authorization": f"Bearer {token}"}).status_code == 200

    def _say(self, found: Order) -> None:
        with self.report.open("a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")
