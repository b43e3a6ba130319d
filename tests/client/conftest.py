"""A live server, and a machine of somebody who uses it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from govern.core.uow import Actor, ActorKind
from govern.fakes.openai import WorldSpec
from govern.identity import service
from govern.settings import Devices
from govern.web import cookies
from tests.browser.live import Live, live
from tests.client import keychain
from tests.given import EVE
from tests.web.conftest import Door

ROOT = Path(__file__).resolve().parents[2]
CODE = re.compile(r"and enter  ([A-Z]{4}-[A-Z]{4})")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    spec = WorldSpec(people=4, projects=3, months=0, seed=7)
    with live(tmp_path_factory.mktemp("server"), spec, devices=Devices(poll_seconds=1)) as found:
        yield found


@dataclass
class Machine:
    """`store` is where its keychain is, or "file" for a machine without one."""

    server: Live
    home: Path
    store: str = "file"

    @property
    def folder(self) -> Path:
        return self.home / "config" / "govern"

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GOVERN_", "OPENAI_", "PYTHON"))}
        backend = {"file": "keyring.backends.fail.Keyring", "keychain": "tests.client.keychain.Kept"}.get(self.store, self.store)
        return kept | {
            "HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home / "config"), "PYTHONPATH": str(ROOT),
            "PYTHON_KEYRING_BACKEND": backend, keychain.PLACE: str(self.home / "keychain"),
            "OPENAI_BASE_URL": f"{self.server.openai_url}/v1", "PYTHONDONTWRITEBYTECODE": "1",
        } | more  # fmt: skip

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "govern", *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, env=self.environment(**more), cwd=self.home, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True
        )

    def __call__(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run `govern …` to its end."""
        with self.start(*arguments, **more) as process:
            out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def sign_in(self, *arguments: str, decision: str = "approve") -> subprocess.CompletedProcess[str]:
        """`govern login`, decided on the dashboard by Eve meanwhile."""
        with self.start("login", "--url", self.server.url, *arguments) as process:
            assert process.stdout is not None
            shown = ""
            while not (found := CODE.search(shown)):
                line = process.stdout.readline()
                assert line, shown + str(process.stderr and process.stderr.read())
                shown += line
            decide(self.server, found[1], decision)
            out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, shown + out, err)

    def vault(self) -> dict[str, str]:
        """What is kept, by name."""
        if self.store == "file":
            path = self.folder / "secrets.json"
            return json.loads(path.read_text()) if path.exists() else {}
        path = self.home / "keychain"
        kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        return {name.partition("|")[2]: value for name, value in kept.items()}

    def keep(self, name: str, value: Any) -> None:
        """Change what the file keeps."""
        kept = self.vault() | {name: json.dumps(value)}
        (self.folder / "secrets.json").write_text(json.dumps(kept))


def decide(server: Live, code: str, decision: str, email: str = EVE) -> httpx.Response:
    """Decide on the dashboard, in a browser without scripts."""
    with server.govern.unit_of_work(Actor(ActorKind.CLI, "test", "test")) as uow:
        service.forget_old(uow)
    cookie = Door(server.govern, None, server.world).sign_in(email)  # type: ignore[arg-type]
    name = cookies.session_name(server.govern.settings)
    with httpx.Client(base_url=server.url, cookies={name: cookie.reveal()}, follow_redirects=True) as browser:
        token = re.search(r'name="csrf_token" value="([^"]+)"', browser.get("/device").text)
        assert token is not None
        form = {"csrf_token": token[1], "user_code": code}
        assert code in browser.post("/device", data=form).text
        answer = browser.post("/device/decide", data=form | {"decision": decision})
        assert answer.status_code == 200, answer.text
        return answer


@pytest.fixture
def machine(server: Live, tmp_path: Path) -> Machine:
    """A headless machine."""
    return Machine(server, tmp_path)
