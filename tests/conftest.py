"""The fixtures that everything shares: a migrated database of each kind, the fake organization, and `govern` wired to both."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import sqlalchemy as sa
from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory

import govern.schema  # all models, before a test freezes the clock: `Mapped[date]` must mean the real date
from govern.core import migrations, sealing
from govern.core.crypto import Secret, SecretBox
from govern.core.db import make_engine
from govern.core.uow import Actor, ActorKind, UnitsOfWork
from govern.settings import Keys, OpenAI, Removal, Sealing, Settings, Web
from tests.peers import postgres
from tests.peers.reuse import OURS, ReusedDatabase
from tests.snapshots import Snapshots
from tests.ticker import Ticker

# The wiring and the fake organization are imported by the fixtures that need them: a test of one part then does not wait for
# all of them to be imported, and still runs while another part is being changed.
if TYPE_CHECKING:
    from flask import Flask
    from playwright.sync_api import Browser

    from govern.bootstrap import Govern
    from govern.fakes.openai import FakeOpenAI
    from tests.given import World

DATABASES = ("sqlite", "postgresql")
ADMIN_KEY = "sk-admin-of-the-fake-organization-in-tests"
SEALING_KEYS = "test:" + base64.b64encode(b"only for tests, 32 bytes long...").decode()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=DATABASES, help="run database tests on this one only (both without it)")
    parser.addoption("--seeds", type=int, default=1, help="tie the books of so many seeded organizations to their own ledgers")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(1, 1 + metafunc.config.getoption("--seeds")), scope="session")
    if "database" in metafunc.fixturenames:
        only = metafunc.config.getoption("--database")
        both = [] if metafunc.definition.get_closest_marker("one_database") else list(DATABASES)
        metafunc.parametrize("database", [only] if only else both or [DATABASES[0]], scope="session")


@pytest.fixture(autouse=True, scope="session")
def _no_settings_from_outside() -> None:
    """A developer's own settings or keys must not reach a test."""
    for name in list(os.environ):
        if name.startswith(("GOVERN_", "OPENAI_")) and name != "GOVERN_SHARED":
            del os.environ[name]


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite file to copy: migrating once is quicker than migrating per test."""
    path = tmp_path_factory.mktemp("template") / "govern.db"
    engine = make_engine(f"sqlite:///{path}")
    migrations.upgrade(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One for all tests of a process: Playwright refuses a second one beside it."""
    from tests.peers.browser import browser as start_browser

    with start_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    with postgres.server() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_template(postgres_server: postgres.Server) -> str:
    """The name of a migrated, empty PostgreSQL database to copy."""
    url = postgres.fresh_database(postgres_server)
    engine = make_engine(url)
    migrations.upgrade(engine)
    engine.dispose()
    return url.rsplit("/", 1)[1]


@pytest.fixture(scope="session")
def postgres_database(postgres_server: postgres.Server, postgres_template: str) -> Iterator[ReusedDatabase]:
    database = ReusedDatabase(postgres_server, postgres_template)
    yield database
    database.drop()


@pytest.fixture(scope="session")
def sqlite_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where each test finds its SQLite file: at the same place, so that the engine can stay the same."""
    return tmp_path_factory.mktemp("database") / "govern.db"


@pytest.fixture(scope="session")
def engine_of() -> Callable[[str], sa.Engine]:
    """The engine of an address, the same one for all tests: it keeps the statements that it compiled, and compiling them anew
    was a quarter of the work of a test."""

    @cache
    def engine_of(url: str) -> sa.Engine:
        if url.startswith("sqlite"):
            return make_engine(url)
        return make_engine(url, connect_args={"application_name": OURS})

    return engine_of


@pytest.fixture
def database_url(database: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh, migrated database of the kind that this run asks for."""
    if database == "sqlite":
        path: Path = request.getfixturevalue("sqlite_path")
        request.getfixturevalue("engine_of")(f"sqlite:///{path}").dispose()  # its connections hold the file of the test before
        for left in path.parent.glob(f"{path.name}*"):
            left.unlink()
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    yield request.getfixturevalue("postgres_database").fresh()


@pytest.fixture(scope="session")
def snapshots(tmp_path_factory: pytest.TempPathFactory) -> Snapshots:
    return Snapshots(tmp_path_factory.mktemp("snapshots"))


@pytest.fixture
def box() -> SecretBox:
    """The ring of every test."""
    return SecretBox(Sealing(keys=Secret(SEALING_KEYS)).ring())


@pytest.fixture
def unit_of_work(database_url: str, box: SecretBox, engine_of: Callable[[str], sa.Engine]) -> UnitsOfWork:
    """Units of work on a real database, without the rest of the service."""
    return UnitsOfWork(engine_of(database_url), box)


@pytest.fixture
def clock() -> Iterator[FrozenDateTimeFactory]:
    """A Tuesday at noon that lasts until the test moves it. Ask for it before `openai`: that world is made in the past of now."""
    with freeze_time("2026-03-10 12:00:00") as clock:
        yield clock


@pytest.fixture
def openai() -> FakeOpenAI:
    """The fake organization: Ada owns it; two projects besides the default one; nobody else yet."""
    from govern.fakes.openai import FakeOpenAI, WorldSpec

    return FakeOpenAI(WorldSpec(people=4, projects=3, months=0, seed=7), admin_key=ADMIN_KEY)


@pytest.fixture
def settings(database_url: str, openai: FakeOpenAI) -> Settings:
    return Settings(
        mode="test",
        database={"url": database_url},
        sealing=Sealing(keys=Secret(SEALING_KEYS)),
        openai=OpenAI(admin_key=Secret(openai.admin_key), base_url="http://openai.test/v1"),
        removal=Removal(second_look_seconds=0),
        web=Web(url="http://govern.test", wait_seconds=0),
        keys=Keys(),
    )


@pytest.fixture
def govern(settings: Settings, openai: FakeOpenAI, engine_of: Callable[[str], sa.Engine]) -> Iterator[Govern]:
    """The whole service on a real database, with the fake organization in OpenAI's place."""
    from govern.bootstrap import build
    from govern.openai.pacing import Pace

    ticker = Ticker()  # where OpenAI asks for patience, the tests need not have it
    pace = Pace(clock=ticker, sleep=ticker.sleep)
    engine = engine_of(settings.database.url)
    govern = build(settings, outside=True, transport=httpx.WSGITransport(app=openai.app), pace=pace, engine=engine)
    with govern.unit_of_work(Actor(ActorKind.CLI, "setup", "setup")) as uow:
        sealing.note_ring(uow)
    yield govern
    govern.close()


@pytest.fixture(scope="session")
def app_of() -> Callable[[Govern], Flask]:
    """The app of a configuration, the same one for all tests: making it and compiling its templates took longer than most of
    them. A test that changes its app makes one of its own."""
    from govern.web.app import create_app

    made: list[tuple[Settings, Flask]] = []

    def app_of(govern: Govern) -> Flask:
        app = next((app for settings, app in made if settings == govern.settings), None)
        if app is None:
            app = create_app(govern)
            made.append((govern.settings, app))
        app.extensions["govern"] = govern
        return app

    return app_of


@pytest.fixture
def world(govern: Govern, openai: FakeOpenAI) -> World:
    """Short ways to bring about what a test needs, through the commands."""
    from tests.given import World

    return World(govern, openai)
