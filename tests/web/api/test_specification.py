"""The API against its own OpenAPI: schemathesis makes up requests, good and bad, and judges every answer."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from jsonschema import Draft202012Validator
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.pytest._test_builder import build_operation_test
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import positive_data_acceptance

from govern.bootstrap import Govern, build
from govern.core import migrations, sealing
from govern.core.crypto import Secret
from govern.core.uow import Actor, ActorKind
from govern.fakes.openai import FakeOpenAI, WorldSpec
from govern.identity import tokens
from govern.identity.permissions import Role
from govern.settings import OpenAI, Sealing, Settings, Web
from govern.web.app import create_app
from tests.given import EVE, World
from tests.peers.postgres import Server, drop_database, fresh_database
from tests.web.api import openapi_file

CLI = Actor(ActorKind.CLI, "test", "test")


@pytest.fixture(scope="module")
def module_url(
    database: str, request: pytest.FixtureRequest, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """One database for all operations: what one request leaves behind is there for the next, as in life."""
    if database == "sqlite":
        path = tmp_path_factory.mktemp("specification") / "govern.db"
        shutil.copy(sqlite_template, path)
        yield f"sqlite:///{path}"
        return
    server: Server = request.getfixturevalue("postgres_server")
    url = fresh_database(server)
    yield url
    drop_database(server, url)


@pytest.fixture(scope="module")
def service(module_url: str) -> Iterator[Govern]:
    openai = FakeOpenAI(WorldSpec(people=4, projects=3, months=0, seed=7))
    ring = "test:" + base64.b64encode(b"only for tests, 32 bytes long...").decode()
    made = build(
        Settings(
            mode="test", database={"url": module_url}, sealing=Sealing(keys=Secret(ring)),
            openai=OpenAI(admin_key=Secret(openai.admin_key), base_url="http://openai.test/v1"),
            web=Web(url="http://localhost", wait_seconds=0),
        ),
        outside=True,
        transport=httpx.WSGITransport(app=openai.app),
    )  # fmt: skip
    migrations.upgrade(made.engine)
    with made.unit_of_work(CLI) as uow:
        sealing.note_ring(uow)
    world = World(made, openai).synced()
    world.key(EVE)
    yield made
    made.close()


@pytest.fixture(scope="module")
def token(service: Govern) -> str:
    with service.unit_of_work(CLI) as uow:
        made = tokens.create_system_token(uow, name="made-up", role=Role.ADMIN, lifetime=timedelta(days=1))
    return made[1].reveal()


@pytest.fixture(scope="module")
def api(service: Govern) -> BaseSchema:
    return schemathesis.openapi.from_wsgi("/api/openapi.json", create_app(service))


THOROUGH = settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
SPECIFICATION = json.loads(openapi_file.FILE.read_text(encoding="utf-8"))
METHODS = {"get", "post", "put", "patch", "delete"}


def judge(case: Any, token: str) -> None:
    # Left out: "data that fits the schema is accepted". A cursor is opaque, and rules between fields (a person's budget names
    # a person) are not JSON Schema's; those answers are 422 with the field's name, which the other checks hold to its schema.
    case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, excluded_checks=[positive_data_acceptance])


@pytest.mark.one_database
@pytest.mark.parametrize(("path", "method"), [(p, m) for p, item in SPECIFICATION["paths"].items() for m in item if m in METHODS])
def test_no_request_breaks_the_service_or_its_promise(api: BaseSchema, token: str, path: str, method: str) -> None:
    # `api.parametrize()` makes up the requests while tests are collected: in each process all of them, in 15 seconds.
    requests = build_operation_test(
        config=api.config, operation=api[path][method], test_func=judge, given_kwargs={}, feedback=FeedbackSources(),
        explicit_settings=THOROUGH,
    )  # fmt: skip
    requests(token=token)


def test_the_file_is_what_the_app_serves() -> None:
    """The file beside this test is reviewed; when it is out of date: `python -m tests.web.api.openapi_file`."""
    assert json.loads(openapi_file.current()) == SPECIFICATION


def test_the_specification_is_valid_openapi_3_1() -> None:
    assert SPECIFICATION["openapi"].startswith("3.1")
    assert len(SPECIFICATION["paths"]) > 25
    for schema in SPECIFICATION["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
