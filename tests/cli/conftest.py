"""Command lines in this process, on a test's database, beside the fake organization over real HTTP."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from govern.cli.main import run
from govern.fakes.openai import FakeOpenAI
from govern.fakes.server import serve
from tests.conftest import SEALING_KEYS


@dataclass(frozen=True)
class Answer:
    """What a command line gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Govern = Callable[..., Answer]


@pytest.fixture
def openai_url(openai: FakeOpenAI) -> Iterator[str]:
    with serve(openai.app) as server:
        yield server.url


@pytest.fixture
def host(
    database_url: str, openai: FakeOpenAI, openai_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> pytest.MonkeyPatch:
    """The settings of a host that has everything, as variables; in a folder without a configuration file."""
    monkeypatch.chdir(tmp_path)
    settings = {
        "GOVERN_MODE": "test", "GOVERN_DATABASE_URL": database_url, "GOVERN_SEALING_KEYS": SEALING_KEYS,
        "GOVERN_OPENAI_BASE_URL": f"{openai_url}/v1", "GOVERN_OPENAI_ADMIN_KEY": openai.admin_key,
        "GOVERN_REMOVAL_SECOND_LOOK_SECONDS": "0",
    }  # fmt: skip
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture
def command(host: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Govern:
    """`command("keys list --json")` runs `govern keys list --json`."""

    def govern(line: str, *more: str) -> Answer:
        capsys.readouterr()
        with structlog.testing.capture_logs():  # what a process of its own logs to standard error
            code = run([*shlex.split(line), *more])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return Answer(code, captured.out, captured.err)

    return govern
