"""The demo as a newcomer meets it: it starts with nothing set up, tells the truth, keeps its data and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.memory import descendants
from tests.worker.processes import ROOT, eventually

READY = "Ctrl-C stops everything"
PATIENCE = 120.0


class Demo:
    """A demo in a process of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        mine = {name: value for name, value in os.environ.items() if not name.startswith(("GOVERN_", "OPENAI_"))}
        # Settings of a real installation in the shell must not reach the demo, nor a configuration file beside it.
        hostile = {"GOVERN_DATABASE_URL": "postgresql://prod.invalid/g", "OPENAI_ADMIN_KEY": "sk-real", "GOVERN_NONSENSE": "x"}
        self.output = folder.parent / f"demo-{time.monotonic_ns()}.txt"
        with self.output.open("wb") as output:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "govern", "demo", "--folder", str(folder), *options],
                env=mine | hostile | {"PYTHONPATH": str(ROOT)}, cwd=folder.parent, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip

    @property
    def words(self) -> str:
        return self.output.read_text()

    def ready(self) -> Demo:
        eventually(lambda: READY in self.words or self.popen.poll() is not None, "its readiness", PATIENCE)
        assert self.popen.poll() is None, self.words
        return self

    @property
    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "demo.json").read_text())
        return found

    def line(self, about: str) -> str:
        """The printed command under this comment."""
        match = re.search(rf"# {about}[^\n]*\n\s*(\S[^\n]*)", self.words)
        assert match, self.words
        return match[1]

    def get(self, path: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.told['admin_token']}"}
        return httpx.get(f"{self.told['url']}/api/v1{path}", headers=headers, timeout=20, trust_env=False)

    def end(self, number: int = signal.SIGINT) -> int:
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        return self.popen.wait(60)


@contextmanager
def demo(folder: Path, *options: str) -> Iterator[Demo]:
    process = Demo(folder, *options)
    try:
        yield process.ready()
    finally:
        process.end()


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def refuses(url: str) -> bool:
    try:
        httpx.get(url, timeout=2, trust_env=False)
    except httpx.TransportError:
        return True
    return False


@pytest.mark.drill
def test_a_newcomers_half_hour(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with demo(folder, "--port", "0", "--people", "12") as first:
        told = first.told
        assert stat.S_IMODE((folder / "demo.json").stat().st_mode) == 0o600
        assert told["people"] == ["Ada Admin", "Max Manager", "Ola Auditor", "Eve Employee"]
        assert set(told) >= {"url", "openai_url", "openai_admin_key", "oidc_issuer", "admin_token", "people"}
        for fact in ("url", "mailbox_url"):
            assert told[fact] in first.words
        for name in told["people"]:
            assert name in first.words
        discovery = httpx.get(f"{told['oidc_issuer']}/.well-known/openid-configuration", trust_env=False).json()
        assert discovery["issuer"] == told["oidc_issuer"]

        # The first syncs are done before it says that it is ready, and an alert has been raised and mailed.
        assert len(first.get("/members?limit=100").json()["items"]) >= 12
        assert len(first.get("/alerts").json()["items"]) >= 1
        by_team = first.get("/costs?by=team,cost_centre&order=amount&whose=person").json()["items"]
        assert {line["cost_centre"] for line in by_team[:3]} <= {"CC-100", "CC-210", "CC-340"}
        for group in ("person", "project", "model"):
            assert any(line[group] for line in first.get(f"/costs?by={group}&order=amount").json()["items"])
        eventually(lambda: "used" in httpx.get(told["mailbox_url"], trust_env=False).text, "the alert's mail", 30)

        # The lines work when pasted, each in a shell of its own but for the key's id.
        invited = paste(first.line("invite"))
        assert "nia@acme.example" in invited
        issued = paste(first.line("issue a key") + '\necho "$KEY"')
        key_id = re.findall(r"^key_[0-9a-z]+$", issued, re.MULTILINE)[-1]
        value = json.loads(paste(f"KEY={key_id}\n" + first.line("show its value")))["value"]
        assert works(told["openai_url"], value)
        gone = paste(first.line("revoke the member"))
        assert "done" in gone or "contained" in gone
        eventually(lambda: not works(told["openai_url"], value), "the key's end", 15)

        seen = descendants(first.popen.pid)
        assert len(seen) >= 5  # itself, the organization, the worker, gunicorn and those who serve
    assert first.popen.returncode == 0
    assert [pid for pid in seen if not is_gone(pid)] == []
    for fact in ("url", "openai_url", "oidc_issuer", "mailbox_url"):
        assert refuses(told[fact])

    with demo(folder) as second:
        assert second.told["admin_token"] == told["admin_token"]
        assert (second.told["url"], second.told["oidc_issuer"]) == (told["url"], told["oidc_issuer"])
        assert second.get(f"/keys/{key_id}").json()["state"] == "revoked"
        assert "eve@acme.example/revoke" not in second.words  # Eve is gone; the lines name somebody who is there
        assert not works(told["openai_url"], value)
        code, words = finished(folder, "--port", "0")
        assert code == 4
        assert f"The demo is running already at {told['url']}" in words

        # A part that dies ends all of it, with a word about it.
        seen = descendants(second.popen.pid)
        os.kill(second.told["processes"]["worker"], signal.SIGKILL)
        eventually(lambda: second.popen.poll() is not None, "its end", 60)
    assert second.popen.returncode == 1
    assert "The worker process has ended (killed by SIGKILL)." in second.words
    assert [pid for pid in seen if not is_gone(pid)] == []


def paste(lines: str) -> str:
    done = subprocess.run(["bash", "-c", lines], capture_output=True, text=True, timeout=60, cwd="/", check=True)
    return done.stdout


def works(openai_url: str, value: str) -> bool:
    answer = httpx.get(f"{openai_url}/v1/me", headers={"Authorization": f"Bearer {value}"}, timeout=10, trust_env=False)
    assert answer.status_code in (200, 401)
    return answer.status_code == 200


@pytest.mark.drill
def test_sigterm_while_it_prepares_leaves_nothing_behind(tmp_path: Path) -> None:
    process = Demo(tmp_path / "demo", "--port", "0", "--people", "200")
    logs = tmp_path / "demo" / "logs"
    eventually(lambda: (logs / "worker.log").exists(), "the worker", 60)
    seen = descendants(process.popen.pid)
    assert process.end(signal.SIGTERM) == 0
    assert [pid for pid in seen if not is_gone(pid)] == []
    assert "Traceback" not in process.words


def finished(folder: Path, *options: str) -> tuple[int, str]:
    process = Demo(folder, *options)
    return process.popen.wait(60), process.words


def test_a_port_in_use_is_a_sentence_with_another_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, words = finished(tmp_path / "demo", "--port", str(port))
    assert code == 4
    assert f"Port {port} is in use by another program." in words
    assert re.search(r"--port \d+", words)
    assert "Traceback" not in words


def test_another_size_needs_fresh(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    made = {
        "people": 12, "projects": 3, "months": 2, "seed": 7, "admin_key": "sk-admin-x", "oidc_secret": "y",
        "ports": {"web": 0, "oidc": 0, "openai": 0, "mailbox": 0, "smtp": 0},
    }  # fmt: skip
    (folder / "made.json").write_text(json.dumps(made))
    code, words = finished(folder, "--port", "0", "--people", "500")
    assert code == 2
    assert "12 people" in words
    assert "--fresh" in words


def test_fresh_throws_away_only_what_is_the_demos(tmp_path: Path) -> None:
    from govern.cli.demo_folder import Folder

    with Folder(tmp_path) as home:
        (tmp_path / "notes.txt").write_text("mine")
        home.write_private("demo.json", "{}")
        home.empty()
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert not (tmp_path / "demo.json").exists()
