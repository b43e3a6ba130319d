"""What the drills share: for each kind of database a stage with a clean process and a world that can be put back."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.drill.stage import Stage, memory_folder, stage


@contextmanager
def _stage_in_memory(**more: object) -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="drill-", dir=memory_folder()) as folder, stage(Path(folder), **more) as ready:  # type: ignore[arg-type]
        yield ready


@pytest.fixture(scope="session")
def sqlite_stage(sqlite_template: Path) -> Iterator[Stage]:
    with _stage_in_memory(server=None, template=sqlite_template) as ready:
        yield ready


@pytest.fixture(scope="session")
def postgres_stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    server = request.getfixturevalue("postgres_server")
    with _stage_in_memory(server=server, template=request.getfixturevalue("postgres_template")) as ready:
        yield ready


def stage_for(request: pytest.FixtureRequest, database: str) -> Stage:
    """The stage of that database, or of the only one that this run asks for."""
    wanted = request.config.getoption("--database") or database
    ready: Stage = request.getfixturevalue("postgres_stage" if wanted == "postgresql" else "sqlite_stage")
    return ready
