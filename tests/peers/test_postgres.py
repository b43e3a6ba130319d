from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from tests.peers import postgres
from tests.peers.postgres import Server, binaries, drop_database, fresh_database


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres.server() as server:
        yield server


def run(url: str, *statements: str) -> list[Any]:
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            results = [connection.execute(text(statement)) for statement in statements]
            return list(results[-1]) if results[-1].returns_rows else []
    finally:
        engine.dispose()


def test_databases_are_real_empty_and_apart(server: Server) -> None:
    first, second = fresh_database(server), fresh_database(server)
    run(first, "CREATE TABLE things (id int)", "INSERT INTO things VALUES (1)")
    assert run(second, "SELECT count(*) FROM pg_tables WHERE tablename = 'things'") == [(0,)]
    [(version,)] = run(second, "SHOW server_version")
    assert version == server.version
    assert int(version.split(".")[0]) >= 15


def test_a_template_is_copied(server: Server) -> None:
    prepared = fresh_database(server)
    run(prepared, "CREATE TABLE things (id int)", "INSERT INTO things VALUES (1)")
    copy = fresh_database(server, template=prepared.rsplit("/", 1)[1])
    run(copy, "INSERT INTO things VALUES (2)")
    assert run(copy, "SELECT id FROM things ORDER BY id") == [(1,), (2,)]
    assert run(prepared, "SELECT id FROM things") == [(1,)]


def test_a_database_can_be_dropped_under_its_users(server: Server) -> None:
    url = fresh_database(server)
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        drop_database(server, url)
        with pytest.raises(OperationalError):
            connection.execute(text("SELECT 1"))
    engine.dispose()
    name = url.rsplit("/", 1)[1]
    assert run(server.url, f"SELECT count(*) FROM pg_database WHERE datname = '{name}'") == [(0,)]


def test_it_listens_on_loopback_only(server: Server) -> None:
    assert run(server.url, "SHOW listen_addresses") == [("127.0.0.1",)]
    [(folder,)] = run(server.url, "SHOW data_directory")
    assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o700


def test_it_is_gone_afterwards() -> None:
    with postgres.server() as server:
        [(folder,)] = run(server.url, "SHOW data_directory")
        left_open = psycopg.connect(host="127.0.0.1", port=server.port, user="postgres")
    assert not Path(folder).exists()
    left_open.close()
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(host="127.0.0.1", port=server.port, user="postgres", connect_timeout=2)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to hand the server to another user")
def test_root_can_start_it_from_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    folder = binaries()
    assert folder, "no PostgreSQL"
    (private / "postgres").symlink_to(folder.parent)
    monkeypatch.setenv("PGBIN", str(private / "postgres" / "bin"))
    with postgres.server() as server:
        assert run(fresh_database(server), "SELECT 1") == [(1,)]


def test_without_binaries_it_fails_in_ci_and_skips_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGBIN", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="No PostgreSQL"), postgres.server():
        pass
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="No PostgreSQL"), postgres.server():
        pass
