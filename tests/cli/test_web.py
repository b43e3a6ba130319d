"""The web process never has the admin key: not in its environment, not in its memory. The worker has it, so the look works."""

from __future__ import annotations

import base64
import os
import secrets
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from govern.bootstrap import Govern
from govern.cli.web import WITHHELD, gunicorn, web_environment
from govern.core.clock import utcnow
from govern.fakes.openai import FakeOpenAI, WorldSpec
from govern.fakes.server import serve
from govern.jobs import queries
from govern.settings import ADMIN_KEY_VARIABLES, Settings
from tests.cli.memory import descendants, holds
from tests.worker.processes import environment, eventually, running

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.fixture
def canary() -> str:
    """An admin key that stands nowhere else."""
    return f"sk-admin-{secrets.token_urlsafe(30)}"


@pytest.fixture
def openai(canary: str) -> FakeOpenAI:
    return FakeOpenAI(WorldSpec(people=4, projects=3, months=0, seed=7), admin_key=canary)


@pytest.fixture
def openai_url(openai: FakeOpenAI) -> Iterator[str]:
    with serve(openai.app) as server:
        yield server.url


def a_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def forms_of(value: str) -> list[bytes]:
    """The value as it may lie about: plain, as wide text, in base64."""
    return [value.encode(), value.encode("utf-16-le"), value.encode("utf-32-le"), base64.b64encode(value.encode())[:-4]]


@linux_only
@pytest.mark.drill
@pytest.mark.one_database
def test_the_web_process_holds_no_admin_key(
    database_url: str, govern: Govern, canary: str, openai_url: str, tmp_path: Path
) -> None:
    """However it is given one: by its environment, by a file that this names, by one that the configuration names."""
    named, configured = (tmp_path / name for name in ("named", "configured"))
    for file in (named, configured):
        file.write_text(f"sk-admin-{secrets.token_urlsafe(30)}")
    config = tmp_path / "govern.toml"
    config.write_text(f'[openai]\nadmin_key_file = "{configured}"\n')
    env = environment(database_url, openai_url, None) | {"GOVERN_OPENAI_ADMIN_KEY": canary}
    given = env | {"GOVERN_OPENAI_ADMIN_KEY_FILE": str(named), "GOVERN_CONFIG": str(config)}
    needles = [form for value in (canary, named.read_text(), configured.read_text()) for form in forms_of(value)]
    port = a_free_port()
    with (
        running(["worker"], env, tmp_path / "worker.log") as worker,
        running(["web", "--port", str(port)], given, tmp_path / "web.log") as web,
    ):
        url = f"http://127.0.0.1:{port}"

        def answers() -> bool:
            try:
                return httpx.get(f"{url}/healthz", timeout=2, trust_env=False).status_code == 200
            except httpx.HTTPError:
                return False

        eventually(answers, "the web server's answer", 60, web)
        with govern.unit_of_work.reading() as session:
            eventually(lambda: session.rollback() or queries.live_workers(session, utcnow()), "the worker", 60, worker)
        for path in ("/", "/auth/sign-in", "/api/v1/members", "/api/openapi.json"):
            assert httpx.get(url + path, timeout=20, trust_env=False).status_code < 500
        processes = descendants(web.pid)
        assert len(processes) >= 3  # gunicorn's own, and two that serve
        assert [place for pid in processes for place in holds(pid, needles)] == []
        assert holds(worker.pid, needles), "the look itself finds nothing where the key is known to be"
        assert web.stop() == 0


@pytest.mark.one_database
def test_a_key_in_the_configuration_file_keeps_the_web_process_from_starting(
    database_url: str, govern: Govern, canary: str, tmp_path: Path
) -> None:
    config = tmp_path / "govern.toml"
    config.write_text(f'[openai]\nadmin_key = "{canary}"\n')
    env = environment(database_url, "http://127.0.0.1:1", None, GOVERN_CONFIG=str(config))
    with running(["web", "--port", str(a_free_port())], env, tmp_path / "web.log") as web:
        assert web.popen.wait(60) == 2
        assert "admin_key_file" in web.words()
        assert canary not in web.words()


@pytest.mark.one_database
def test_a_port_in_use_is_a_sentence(database_url: str, govern: Govern, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        env = environment(database_url, "http://127.0.0.1:1", None)
        with running(["web", "--port", str(port)], env, tmp_path / "web.log") as web:
            assert web.popen.wait(60) == 4
            assert f"Port {port} on 127.0.0.1 cannot be used" in web.words()


def test_every_way_to_name_the_admin_key_is_withheld() -> None:
    kept = {"GOVERN_DATABASE_URL": "sqlite://", "PATH": "/bin"}
    assert web_environment(dict.fromkeys((*ADMIN_KEY_VARIABLES, "GOVERN_FAKE_ADMIN_KEY"), "x") | kept) == kept
    assert set(ADMIN_KEY_VARIABLES) < set(WITHHELD)


def test_gunicorn_serves_with_threads_and_as_many_processes_as_set() -> None:
    command = gunicorn(Settings(web={"workers": 3, "threads": 9}), "::1", 8000)
    text = " ".join(command)
    assert "--worker-class gthread --workers 3 --threads 9" in text
    assert "--bind [::1]:8000" in text
    assert os.path.basename(command[0]).startswith("python")
