"""What the drills share: the clean process, and databases that know the organization already."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from govern.core import sealing
from govern.core.crypto import Secret
from govern.core.uow import Actor, ActorKind
from govern.settings import Mail, OpenAI, Removal, Sealing, Settings, Web
from tests.peers import postgres
from tests.peers.reuse import ReusedDatabase
from tests.stories.workers import Nursery, nursery

if TYPE_CHECKING:
    from govern.bootstrap import Govern
    from govern.fakes.openai import FakeOpenAI

DRILL_KEY: Final = "sk-admin-drill-0123456789abcdefghij"
SEALING_KEYS: Final = "drill:b25seSBmb3IgZHJpbGxzLCAzMiBieXRlcyBsb25nLi4="


def drill_organization() -> FakeOpenAI:
    """The same organization each time: a database that knows one of them knows them all."""
    from govern.fakes.openai import FakeOpenAI, WorldSpec

    return FakeOpenAI(WorldSpec(people=4, projects=1, months=0, seed=7), admin_key=DRILL_KEY)


def drill_govern(url: str, openai: FakeOpenAI, mail: Mail | None = None) -> Govern:
    """The service as the drill itself uses it: to prepare, to finish, and to look."""
    from govern.bootstrap import build

    settings = Settings(
        mode="test",
        database={"url": url},
        sealing=Sealing(keys=Secret(SEALING_KEYS)),
        openai=OpenAI(admin_key=Secret(DRILL_KEY), base_url="http://openai.test/v1"),
        removal=Removal(second_look_seconds=0),
        web=Web(url="http://govern.test", wait_seconds=0),
        mail=mail or Mail(),
    )
    return build(settings, outside=True, transport=httpx.WSGITransport(app=openai.app))


def _acquaint(url: str) -> None:
    from tests.given import World

    openai = drill_organization()
    govern = drill_govern(url, openai)
    with govern.unit_of_work(Actor(ActorKind.CLI, "setup", "setup")) as uow:
        sealing.note_ring(uow)
    World(govern, openai).synced()
    govern.close()


@pytest.fixture(scope="session")
def worker_nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with nursery(tmp_path_factory.mktemp("workers") / "log") as clean:
        yield clean


@pytest.fixture(scope="session")
def sqlite_acquainted(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("drill") / "govern.db"
    shutil.copy(sqlite_template, path)
    _acquaint(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_acquainted(postgres_server: postgres.Server, postgres_template: str) -> Iterator[ReusedDatabase]:
    url = postgres.fresh_database(postgres_server, postgres_template)
    _acquaint(url)
    database = ReusedDatabase(postgres_server, url.rsplit("/", 1)[1])
    yield database
    database.drop()


@pytest.fixture
def drill_url(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A database in which the drill's organization is known, and nothing else has happened."""
    if database == "postgresql":
        return str(request.getfixturevalue("postgres_acquainted").fresh())
    path = tmp_path / "govern.db"
    shutil.copy(request.getfixturevalue("sqlite_acquainted"), path)
    return f"sqlite:///{path}"
