"""Where drills take place: one database that is put back each time, one address at which workers reach the fake organization,
and the clean process that forks them."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx

from govern.core import migrations, sealing
from govern.core.clock import utcnow
from govern.core.db import make_engine
from govern.core.uow import Actor, ActorKind
from govern.fakes.openai import FakeOpenAI, WorldSpec
from govern.fakes.server import ConnectionCut, serve
from govern.identity import queries as identity_queries
from govern.identity import service as identity
from govern.identity import tokens
from govern.identity.permissions import Role, grants_of
from govern.identity.rules import ProvenIdentity, SignInPolicy
from tests.drill.children import due_now, hurried
from tests.drill.nursery import ROUNDS, Nursery, Order, nursery
from tests.given import EVE, MAX, OLA, World
from tests.peers import postgres
from tests.peers.reuse import ReusedDatabase

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from govern.bootstrap import Govern

DRILL_KEY: Final = "sk-admin-drill-0123456789abcdefghij"
SEALING_KEYS: Final = "drill:b25seSBmb3IgZHJpbGxzLCAzMiBieXRlcyBsb25nLi4="
HOLDERS: Final = (EVE, MAX, OLA)
"""People with a token of their own."""
_SETUP: Final = Actor(ActorKind.CLI, "setup", "setup")
_POLICY: Final = SignInPolicy("groups", {Role.MANAGER: ["*"]}, ["acme.example"])


def drill_organization() -> FakeOpenAI:
    """The same organization each time: a database that knows one of them knows them all."""
    return FakeOpenAI(WorldSpec(people=4, projects=1, months=0, seed=7), admin_key=DRILL_KEY)


@dataclass
class Strike:
    """Kill or freeze the process while it waits for the answer to its nth request. `done`: OpenAI has done it by then. `pid` 0
    until the process is there."""

    pid: int
    nth: int
    number: int = signal.SIGKILL
    done: bool = True
    seen: int = 0


@dataclass
class Gate:
    """Stands before the organization of the day, so that its address never changes."""

    openai: FakeOpenAI | None = None
    strike: Strike | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        assert self.openai is not None
        strike = self.strike
        if strike is None:
            return self.openai.app(environ, start_response)
        strike.seen += 1
        if strike.seen != strike.nth:
            return self.openai.app(environ, start_response)
        self.strike = None
        while not strike.pid:  # whoever forked it is about to say
            time.sleep(0.001)
        if not strike.done:
            os.kill(strike.pid, strike.number)
            if strike.number == signal.SIGKILL:
                raise ConnectionCut("nobody is there any more")
        answer = self.openai.app(environ, start_response)
        if strike.done:
            os.kill(strike.pid, strike.number)
        return answer


@dataclass
class Stage:
    """`stage.fresh()` gives a world in which nothing has happened yet; its workers come from `stage.nursery`."""

    govern: Govern
    nursery: Nursery
    gate: Gate
    order: Order
    database: Database
    tokens: dict[str, str]
    folder: Path

    def fresh(self) -> World:
        self.govern.engine.dispose()
        self.database.reset()
        self.gate.openai, self.gate.strike = drill_organization(), None
        return World(self.govern, self.gate.openai)

    def worker(self, crash: str = "", **more: Any) -> tuple[int, str]:
        """A worker that carries out everything that is owed, or dies on the way."""
        return self.nursery.run(crash, **more)

    def finish(self, world: World) -> None:
        """Time passes, and another worker carries out what is left."""
        for _ in range(ROUNDS):
            if not due_now(self.govern.engine, dead=True):
                return
            world.drain()
        raise AssertionError(f"still owed: {[(e.kind, e.attempt, e.last_error) for e in world.owed()]}")


@dataclass
class Database:
    """A database that knows the drill's organization, and the way back to that."""

    url: str
    template: Path | None = None
    reused: ReusedDatabase | None = None

    def reset(self) -> None:
        if self.reused is not None:
            assert self.reused.fresh() == self.url
            return
        assert self.template is not None
        path = Path(self.url.removeprefix("sqlite:///"))
        for left in path.parent.glob(f"{path.name}*"):
            left.unlink()
        shutil.copy(self.template, path)


def memory_folder() -> str | None:
    """Where files need no disk, so that a commit costs no flush; a killed process loses nothing there."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@contextmanager
def stage(folder: Path, server: postgres.Server | None, template: str | Path | None = None) -> Iterator[Stage]:
    """A stage on PostgreSQL where there is a server, else on SQLite; `template` is a migrated, empty database to begin with."""
    with ExitStack() as stack:
        gate = Gate()
        address = stack.enter_context(serve(gate))
        log = folder / "children.log"
        if server is None:
            raw = folder / "acquainted.db"
            if template is not None:
                shutil.copy(template, raw)
            url = f"sqlite:///{raw}"
        else:
            url = postgres.fresh_database(server, str(template or "template1"))
        values = _acquaint(url, migrate=template is None)
        if server is None:
            database = Database(f"sqlite:///{folder / 'govern.db'}", template=raw)
            shutil.copy(raw, folder / "govern.db")
        else:
            reused = ReusedDatabase(server, url.rsplit("/", 1)[1])
            stack.callback(reused.drop)
            database = Database(reused.url, reused=reused)
        order = {
            "database": database.url, "openai": f"{address.url}/v1", "admin_key": DRILL_KEY, "sealing": SEALING_KEYS,
            "tokens": values,
        }  # fmt: skip
        clean = stack.enter_context(nursery(log))
        clean.prepare(order)
        govern = hurried(order | {"openai": "http://openai.test/v1"}, httpx.WSGITransport(app=gate))
        stack.callback(govern.close)
        yield Stage(govern, clean, gate, order, database, values, folder)


def _acquaint(url: str, *, migrate: bool) -> dict[str, str]:
    """Let the database know the organization; the values of tokens by holder, and the administrator's as `system`."""
    if migrate:
        engine = make_engine(url)
        migrations.upgrade(engine)
        engine.dispose()
    openai = drill_organization()
    given = {"database": url, "openai": "http://openai.test/v1", "admin_key": DRILL_KEY, "sealing": SEALING_KEYS}
    govern = hurried(given, httpx.WSGITransport(app=openai.app))
    with govern.unit_of_work(_SETUP) as uow:
        sealing.note_ring(uow)
    World(govern, openai).synced()
    values = {email: _token(govern, email) for email in HOLDERS}
    with govern.unit_of_work(_SETUP) as uow:
        _, system = tokens.create_system_token(uow, name="drill", role=Role.ADMIN, lifetime=timedelta(days=30))
    govern.close()
    if url.startswith("sqlite"):
        engine = make_engine(url)
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        engine.dispose()
    return values | {"system": system.reveal()}


def _token(govern: Govern, email: str) -> str:
    proven = ProvenIdentity("https://idp.example", f"sub-{email}", None, email, True, email.partition("@")[0].title(), ())
    with govern.unit_of_work(_SETUP) as uow:
        cookie = identity.sign_in(uow, proven, _POLICY)
    with govern.unit_of_work.reading() as session:
        found = identity_queries.principal_of_session(session, govern.box, cookie.reveal(), utcnow())
    assert found is not None
    principal = found[0]
    with govern.unit_of_work(_SETUP) as uow:
        lifetime, words = timedelta(days=30), sorted(grants_of([Role.MANAGER]))
        _, value = tokens.create_token(
            uow, principal, name="own", permissions=words, lifetime=lifetime, person_id=principal.person_id
        )
    return value.reveal()
