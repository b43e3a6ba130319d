"""The whole service on loopback for a browser: web door, worker, the fake organization and the demo provider."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from govern.bootstrap import Govern, build
from govern.budgets import queries as budget_queries
from govern.budgets import raising
from govern.budgets import service as budgets
from govern.budgets.models import Budget
from govern.core import migrations, sealing
from govern.core.clock import utcnow
from govern.core.crypto import Secret
from govern.core.db import make_engine
from govern.core.uow import Actor, ActorKind
from govern.fakes.oidc import Client, DemoProvider, Person
from govern.fakes.openai import FakeOpenAI, WorldSpec
from govern.fakes.server import serve
from govern.jobs import ledger
from govern.jobs import queries as job_queries
from govern.jobs import service as jobs
from govern.keys.models import Key
from govern.members import queries as members
from govern.members.models import Invite, Member
from govern.offboarding.models import Offboarding
from govern.sections import OIDC, OpenAI, Removal, Sealing, Section, Web
from govern.settings import Settings
from govern.usage import queries as usage
from govern.usage.names import By
from govern.usage.rules import DAY
from govern.web.app import create_app
from govern.worker.runner import drain
from tests.conftest import SEALING_KEYS
from tests.given import ADMIN, World

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SETUP = Actor(ActorKind.CLI, "setup", "setup")
PEOPLE = (
    Person("ada@acme.example", "Ada Admin", ["admins"]),
    Person("eve@acme.example", "Eve Employee", ["staff"]),
    Person("ola@acme.example", "Ola Auditor", ["auditors"]),
    Person("max@acme.example", "Max Manager", ["managers"]),
)


_OWED = ("requested", "revoking", "aborting", "cancelling", "contained")


@dataclass
class Live:
    """A running service. `world` brings things about; `issuer` signs people in."""

    url: str
    issuer: str
    openai_url: str
    govern: Govern
    world: World
    openai: FakeOpenAI

    def settled(self, *rows: Key | Invite | Offboarding, timeout: float = 30) -> None:
        """Wait until the worker has carried out what is owed for these."""
        until = time.monotonic() + timeout
        while any(self.world.reload(row).state.value in _OWED for row in rows):
            if time.monotonic() > until:
                raise TimeoutError([self.world.reload(row).state for row in rows])
            time.sleep(0.05)

    def somebody(self) -> Member:
        """A reader who is not one of the cast."""
        cast = {person.email for person in PEOPLE}
        with self.govern.unit_of_work.reading() as session:
            return next(m for m in members.find_members(session, role="reader", limit=100) if m.email not in cast)

    def budgets(self) -> Sequence[Budget]:
        with self.govern.unit_of_work.reading() as session:
            return budget_queries.active_budgets(session)


@contextmanager
def live(folder: Path, spec: WorldSpec, **more: Section) -> Iterator[Live]:
    """Serve until the block ends. The directory is synced; usage and costs are not. `more` are sections of the settings."""
    database = f"sqlite:///{folder / 'govern.db'}"
    engine = make_engine(database)
    migrations.upgrade(engine)
    engine.dispose()
    openai = FakeOpenAI(spec, propagation_seconds=0)
    provider = DemoProvider("http://127.0.0.1:1", people=PEOPLE)
    with ExitStack() as stack:
        at_openai = stack.enter_context(serve(openai.app))
        at_provider = stack.enter_context(serve(provider.app))
        provider.issuer = at_provider.url
        # The address has to be known before the app is made, and the app before it is served.
        gate = _Gate()
        at_web = stack.enter_context(serve(gate))
        settings = Settings(
            mode="test",
            database={"url": database},
            sealing=Sealing(keys=Secret(SEALING_KEYS)),
            openai=OpenAI(admin_key=Secret(openai.admin_key), base_url=f"{at_openai.url}/v1"),
            removal=Removal(second_look_seconds=0),
            web=Web(url=at_web.url, wait_seconds=3),
            **more,
            oidc=OIDC(
                issuer=at_provider.url, name="Acme sign-in", client_secret=Secret("not real"), admin_values=("admins",),
                manager_values=("managers",), auditor_values=("auditors",), allowed_domains=("acme.example",),
            ),
        )  # fmt: skip
        provider.register(Client("govern", "not real", [f"{at_web.url}/auth/callback"], [f"{at_web.url}/auth/signed-out"]))
        govern = build(settings, outside=True, transport=httpx.WSGITransport(app=openai.app))
        stack.callback(govern.close)
        with govern.unit_of_work(SETUP) as uow:
            sealing.note_ring(uow)
        gate.app = create_app(govern)
        world = World(govern, openai).synced()
        stack.enter_context(_working(govern))
        yield Live(at_web.url, at_provider.url, at_openai.url, govern, world, openai)


class _Gate:
    """An address for an app that is made a moment later."""

    app: WSGIApplication

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self.app(environ, start_response)


@contextmanager
def _working(govern: Govern) -> Iterator[None]:
    """A worker beside the door."""
    done = threading.Event()

    def work() -> None:
        while not done.wait(0.1):
            with govern.unit_of_work(SETUP) as uow:
                ledger.beat(uow, "here", "this machine", is_leader=True)
            drain(govern)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(20)


def with_money(live: Live, timeout: float = 120) -> None:
    """Run the syncs, so that there is spend to look at, with budgets over it."""
    for job in ("directory.sync", "usage.sync", "costs.sync"):
        run(live, job, timeout)
    with live.govern.unit_of_work.reading() as session:
        today = utcnow().date()
        by_project = usage.lines(session, today.replace(day=1), today + DAY, by=[By.PROJECT], largest_first=True)
        largest = next(line for line in by_project if line.ids[By.PROJECT].startswith("prj_"))
    limit = (largest.figure.amount / Decimal("0.87")).quantize(Decimal(1), ROUND_FLOOR)  # used by 87 %, so that it alerts
    with live.govern.unit_of_work(ADMIN) as uow:
        budgets.create_budget(uow, name="Everything", scope="organization", amount_usd=Decimal(4000), thresholds=[50, 80, 100])
        name, project_id = largest.names[By.PROJECT], largest.ids[By.PROJECT]
        budgets.create_budget(
            uow, name=f"{name} monthly", scope="project", scope_id=project_id, amount_usd=limit, thresholds=[80]
        )
        each = budgets.create_budget(
            uow, name="Each a week", scope="organization", per_person=True, amount_usd=Decimal(20), period="week",
            thresholds_usd=[Decimal(15)], slug="each",
        )  # fmt: skip
        raising.raise_budget(uow, each.id, by_usd=Decimal(5), until=today + 3 * DAY, reason="the fair")
    run(live, "budgets.evaluate", timeout)


def run(live: Live, job: str, timeout: float = 60) -> None:
    """Ask for a job and wait for its end."""
    with live.govern.unit_of_work(SETUP) as uow:
        run_id = jobs.request_run(uow, job).id
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        with live.govern.unit_of_work.reading() as session:
            found = job_queries.get_run(session, run_id)
            if found.state.value in ("done", "failed"):
                assert found.state.value == "done", found.problem
                return
        time.sleep(0.1)
    raise TimeoutError(job)
