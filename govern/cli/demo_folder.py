"""The demo's folder: what is kept between starts, the settings made for its processes, and who may use it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from govern.cli.init import write_sealing_key
from govern.core.errors import Conflict, InvalidInput

WEB_PORT: Final = 8000
DOMAIN: Final = "acme.example"
_OURS: Final = (
    "govern.db", "govern.db-wal", "govern.db-shm", "govern.db.worker.lock", "openai.json", "demo.json", "made.json",
    "govern.toml", "sealing.key", "openai-admin-key", "oidc-client-secret",
)  # fmt: skip


@dataclass(frozen=True)
class Made:
    """What this demo was made with; it holds until `--fresh`."""

    people: int
    projects: int
    months: int
    seed: int
    admin_key: str = field(repr=False)
    oidc_secret: str = field(repr=False)
    ports: dict[str, int]

    def url(self, name: str) -> str:
        """The address of one of the demo's servers."""
        return f"http://127.0.0.1:{self.ports[name]}"


class Folder:
    """`var/demo`, held by one running demo at a time. A context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._lock: IO[str] | None = None

    def __enter__(self) -> Folder:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.path / "logs").mkdir(exist_ok=True)
        lock = (self.path / "lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            url = self.told().get("url")
            raise Conflict(
                f"The demo is running already{f' at {url}' if url else ''}. Stop it with Ctrl-C where it was started."
            ) from None
        self._lock = lock
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def file(self, name: str) -> Path:
        return self.path / name

    def log(self, name: str) -> Path:
        return self.path / "logs" / f"{name}.log"

    def told(self) -> dict[str, Any]:
        """What the last start wrote into demo.json; empty where there is none."""
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(self.file("demo.json").read_text(encoding="utf-8"))
            return found if isinstance(found, dict) else {}
        return {}

    def write_private(self, name: str, text: str) -> Path:
        """Write a file that only this account can read, whole or not at all."""
        path, fresh = self.file(name), self.file(f".{name}.new")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.fchmod(handle, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        fresh.replace(path)
        return path

    def empty(self) -> None:
        """Throw away what earlier demos left, and nothing else that may lie here."""
        for name in _OURS:
            self.file(name).unlink(missing_ok=True)

    def made(self, *, port: int | None, people: int | None, seed: int | None) -> Made:
        """What this demo is made with: as the last time, or anew. Raises Conflict for a port in use, InvalidInput."""
        path = self.file("made.json")
        if path.exists():
            kept = Made(**json.loads(path.read_text(encoding="utf-8")))
            if people not in (None, kept.people) or seed not in (None, kept.seed):
                raise InvalidInput(
                    f"{self.path} holds an organization of {kept.people} people made with seed {kept.seed}, which a start keeps. "
                    "Add --fresh to throw it away and make another."
                )
        else:
            size = 60 if people is None else people
            kept = Made(
                people=size, projects=max(3, min(60, size // 8)), months=2, seed=7 if seed is None else seed,
                admin_key=f"sk-admin-demo-{secrets.token_urlsafe(24)}", oidc_secret=secrets.token_urlsafe(24), ports={},
            )  # fmt: skip
        made = Made(**asdict(kept) | {"ports": _ports(kept.ports, port)})
        self.write_private("made.json", json.dumps(asdict(made), indent=2))
        return made

    def write_settings(self, made: Made) -> Path:
        """Write the processes' settings as a file that also serves `GOVERN_CONFIG=… govern …` by hand; its path."""
        if not self.file("sealing.key").exists():
            write_sealing_key(self.file("sealing.key"))
        self.write_private("openai-admin-key", made.admin_key)
        self.write_private("oidc-client-secret", made.oidc_secret)
        text = _SETTINGS.format(
            database=_quoted(f"sqlite:///{self.file('govern.db')}"), sealing=_quoted(self.file("sealing.key")),
            admin_key=_quoted(self.file("openai-admin-key")), oidc_secret=_quoted(self.file("oidc-client-secret")),
            domain=DOMAIN, web=made.url("web"), web_port=made.ports["web"], openai=made.url("openai"),
            oidc=made.url("oidc"), smtp_port=made.ports["smtp"],
        )  # fmt: skip
        return self.write_private("govern.toml", text)


_SETTINGS = """\
# Made by `govern demo`. Try: GOVERN_CONFIG=this-file govern members list
mode = "demo"

[database]
url = {database}

[web]
url = "{web}"
port = {web_port}
workers = 2

[sealing]
keys_file = {sealing}

[openai]
base_url = "{openai}/v1"
admin_key_file = {admin_key}
generation = "2026-11"

[oidc]
issuer = "{oidc}"
name = "the demo's sign-in"
client_secret_file = {oidc_secret}
admin_values = ["govern-admins"]
manager_values = ["govern-managers"]
auditor_values = ["govern-auditors"]
allowed_domains = ["{domain}"]

[mail]
host = "127.0.0.1"
port = {smtp_port}
security = "none"
sender = "govern@{domain}"
admins = ["ada@{domain}"]

[removal]
second_look_seconds = 1

[sync]
directory_minutes = 2
usage_minutes = 1
costs_minutes = 10
backfill_days = 62
history_days = 62
"""


def _quoted(text: str | Path) -> str:
    """As a TOML string; what JSON escapes, TOML reads the same way."""
    return json.dumps(str(text), ensure_ascii=False)


def _ports(kept: dict[str, int], wanted: int | None) -> dict[str, int]:
    """A port for each server. The dashboard's is the one asked for, or it is an error; the others give way.

    They stay as they were where they can: whoever signed in is known by the issuer's address, which holds its port.
    """
    web = wanted if wanted is not None else kept.get("web", WEB_PORT)
    if web and not is_free(web):
        raise Conflict(f"Port {web} is in use by another program. Stop that one, or choose another port: --port {_near(web)}.")
    ports = {"web": web or _any_free({})}
    for offset, name in enumerate(("oidc", "openai", "mailbox", "smtp"), start=1):
        preferred = kept.get(name) or ports["web"] + offset
        usable = preferred <= 65535 and preferred not in ports.values() and is_free(preferred)
        ports[name] = preferred if usable else _any_free(ports)
    return ports


def is_free(port: int) -> bool:
    """Whether nobody listens there on loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _any_free(taken: dict[str, int]) -> int:
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in taken.values():
            return port


def _near(port: int) -> int:
    return next((each for each in range(port + 10, min(port + 500, 65536), 10) if is_free(each)), 0)
