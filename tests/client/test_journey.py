"""From nothing to a call by the official SDK, typed into a shell on a terminal; then a search for every secret of it."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from govern.identity.models import Device
from tests.browser.live import Live
from tests.client.conftest import CODE, Machine, decide
from tests.given import PROJECT

CHILD = """
import os, sys
from openai import OpenAI
print("the child sees", len(list(OpenAI().models.list().data)) > 0, os.environ.get("OPENAI_API_KEY", "")[:3])
sys.exit(7)
"""
_LONG = 90.0


class Shell:
    """An interactive shell on a terminal of its own; `seen` is everything that was on the screen."""

    def __init__(self, machine: Machine) -> None:
        self.seen = ""
        home = machine.home
        environment = machine.environment(HISTFILE=str(home / "history"), PS1="$ ", TERM="dumb")
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:  # pragma: no cover - another image follows at once
            os.chdir(home)
            os.execvpe("bash", ["bash", "--noprofile", "--norc", "-i"], environment)

    def wait_for(self, pattern: str, since: int) -> re.Match[str]:
        until = time.monotonic() + _LONG
        while not (found := re.search(pattern, self.seen[since:])):
            ready, _, _ = select.select([self.terminal], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                raise TimeoutError(f"{pattern!r} did not come: {self.seen[since:]}")
            self.seen += os.read(self.terminal, 65536).decode(errors="replace")
        return found

    def type(self, line: str) -> int:
        since = len(self.seen)
        os.write(self.terminal, f"{line}\n".encode())
        return since

    def do(self, line: str, expect: str) -> str:
        """Type a line and wait for its end, and for what it should say."""
        since = self.type(f"{line}; echo code=$?.")
        self.wait_for(r"code=\d+\.", since)
        said = self.seen[since:]
        assert re.search(expect, said), said
        return said

    def end(self) -> None:
        os.write(self.terminal, b"exit\n")
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


@contextmanager
def command_lines(session_of: int) -> Iterator[set[str]]:
    """Samples of the command lines of every process of the shell's session, and of the shell's own environment."""
    seen: set[str] = set()
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.005):
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit():
                    try:
                        if os.getsid(int(entry.name)) == session_of:
                            seen.add((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                    except (OSError, ProcessLookupError):
                        continue

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join(10)


def windows(secret: str) -> set[str]:
    """Every stretch of twelve characters behind the prefix that all secrets of a kind share."""
    body = re.sub(r"^(sk-svcacct-|sk-proj-|sk-|gov[a-z]_)", "", secret)
    return {body[start : start + 12] for start in range(len(body) - 11)}


@pytest.mark.parametrize("store", ["file", "keychain"])
def test_no_secret_is_left_where_somebody_could_see_it(
    server: Live, tmp_path: Path, store: str, capfd: pytest.CaptureFixture[str]
) -> None:
    machine = Machine(server, tmp_path, store)
    (tmp_path / "child.py").write_text(CHILD)
    govern = f"{sys.executable} -m govern"
    secrets: set[str] = set()

    def note() -> dict[str, str]:
        kept = machine.vault()
        for name, value in kept.items():
            found = json.loads(value) if name == "tokens" else {"key": value}
            secrets.update(text for text in found.values() if isinstance(text, str))
        return kept

    shell = Shell(machine)
    with command_lines(shell.pid) as lines:
        since = shell.type(f"{govern} login --url {server.url}; echo code=$?.")
        decide(server, shell.wait_for(CODE.pattern, since)[1], "approve")
        shell.wait_for(r"code=0\.", since)
        said = shell.seen[since:]
        assert "Signed in as eve@acme.example" in said
        assert ("Secrets are going to be kept in a file" in said) == (store == "file")
        note()
        shell.do(f"{govern} key get --project {PROJECT.lower()}", "is now in")
        assert [name for name in note() if name.startswith("key ")]
        shell.do(f"{govern} key get --project Nowhere", f"You may have a key in: {PROJECT}")
        shell.do(f"{govern} key get --project {PROJECT}", "is already in")
        said = shell.do(f"{govern} run -- {sys.executable} child.py", r"code=7\.")
        assert "the child sees True sk-" in said
        shell.do('echo "[$OPENAI_API_KEY]"', r"\n\[\]")
        shell.do(f"{govern} key status", f"{PROJECT}  .*  live, expires 20")
        kept = note()
        value = next(value for name, value in kept.items() if name.startswith("key "))
        assert all(any(window in json.dumps(kept) for window in windows(secret)) for secret in secrets), "the search finds"
        assert server.openai.oracle().authenticates(value)
        shell.do(f"{govern} key return --project {PROJECT}", "is (revoked|cut off)")
        assert [name for name in note() if name.startswith("key ")] == []
        shell.do(f"{govern} logout", "Signed out")
        assert note() == {}
        environment = Path(f"/proc/{shell.pid}/environ").read_text()
        shell.end()

    with server.govern.unit_of_work.reading() as session:
        ended = session.scalars(sa.select(Device).order_by(Device.id.desc()).limit(1)).one()
    assert ended.end_reason == "signed out"
    assert len(secrets) >= 3
    assert any("child.py" in line for line in lines)
    printed = "".join(capfd.readouterr())
    assert "request" in printed, "the server's log is in what is searched"
    files = {
        str(path): path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file() and path.name != "child.py"
    }
    database = Path(str(server.govern.engine.url.database))
    files |= {str(path): path.read_bytes().decode("latin-1") for path in database.parent.glob("govern.db*")}
    assert any("key get" in text for name, text in files.items() if name.endswith("history"))
    places = files | {"screen": shell.seen, "log": printed, "argv": "\n".join(lines), "shell": environment}
    found = [
        (place, window[:4])
        for secret in secrets
        for window in windows(secret)
        for place, text in places.items()
        if window in text
    ]
    assert found == []
    for path in (machine.folder, *machine.folder.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_two_commands_from_nothing_to_the_first_call(machine: Machine) -> None:
    (machine.home / "child.py").write_text(CHILD)
    assert machine.sign_in().returncode == 0
    done = machine("run", "--project", PROJECT, "--", sys.executable, "child.py")
    assert "the child sees True sk-" in done.stdout, done.stderr
    assert "Fetched your key for" in done.stderr
    assert done.returncode == 7
    assert stat.S_IMODE((machine.folder / "secrets.json").stat().st_mode) == 0o600
    assert machine("logout", "--return-keys").returncode == 0
    assert machine("run", "--", "true").returncode == 3
