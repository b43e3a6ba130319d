"""Migrations from nothing give exactly the tables that the code describes, on both databases; each can be walked back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from govern import schema
from govern.core import migrations
from govern.core.db import make_engine
from tests.peers import postgres

KEEPS_AUDIT = {"sqlite": 6, "postgresql": 4}


@pytest.fixture
def empty(database: str, tmp_path, request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
    """A database in which nothing is yet."""
    if database == "sqlite":
        engine = make_engine(f"sqlite:///{tmp_path}/empty.db")
        yield engine
        engine.dispose()
        return
    server = request.getfixturevalue("postgres_server")
    url = postgres.fresh_database(server)
    engine = make_engine(url)
    yield engine
    engine.dispose()
    postgres.drop_database(server, url)


def differences(engine: sa.Engine) -> list[object]:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return compare_metadata(context, schema.metadata)


def partial_indexes(engine: sa.Engine) -> dict[str, str]:
    """Name → condition of the indexes that hold for some rows only: Alembic does not compare the conditions."""
    found = {}
    inspector = sa.inspect(engine)
    for table in schema.metadata.sorted_tables:
        for index in inspector.get_indexes(table.name):
            options = index.get("dialect_options", {})
            condition = options.get("sqlite_where", options.get("postgresql_where"))
            if condition is not None:
                found[str(index["name"])] = str(condition)
    return found


def triggers(engine: sa.Engine) -> int:
    name = engine.dialect.name
    query = "SELECT count(*) FROM sqlite_master WHERE type = 'trigger'" if name == "sqlite" else (
        "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal"
    )  # fmt: skip
    with engine.connect() as connection:
        return int(connection.exec_driver_sql(query).scalar_one())


def test_upgrading_from_nothing_gives_what_the_code_describes(empty: sa.Engine) -> None:
    assert migrations.current(empty) is None
    migrations.upgrade(empty)
    assert migrations.current(empty) == migrations.newest()
    assert differences(empty) == []
    described = {
        index.name for table in schema.metadata.sorted_tables for index in table.indexes
        if index.dialect_options[empty.dialect.name].get("where") is not None
    }  # fmt: skip
    assert set(partial_indexes(empty)) == described
    assert {"uq_effects_open", "uq_invites_open", "uq_offboardings_open"} <= described


def test_the_same_conditions_hold_on_partial_indexes(empty: sa.Engine) -> None:
    migrations.upgrade(empty)
    for name, condition in partial_indexes(empty).items():
        [index] = [i for table in schema.metadata.sorted_tables for i in table.indexes if i.name == name]
        wanted = str(index.dialect_options[empty.dialect.name]["where"])
        words = {word.strip("'(),") for word in wanted.split() if "'" in word}
        if not words:
            assert condition.strip("()").casefold() == wanted.casefold(), (name, condition)
        assert all(f"'{word}'" in condition for word in words), (name, condition)
        assert condition.count("'") == 2 * len(words), (name, condition)


def test_each_migration_can_be_walked_back_and_forth(empty: sa.Engine) -> None:
    migrations.upgrade(empty)
    config = migrations._config(empty)
    script = ScriptDirectory.from_config(config)
    revisions = [revision.revision for revision in script.walk_revisions()]
    for revision in revisions:
        assert migrations.current(empty) == revision
        command.downgrade(config, "-1")
        command.upgrade(config, "+1")
        command.downgrade(config, "-1")
    assert set(sa.inspect(empty).get_table_names()) <= {"alembic_version"}
    assert triggers(empty) == 0
    migrations.upgrade(empty)
    assert differences(empty) == []
    assert triggers(empty) == KEEPS_AUDIT[empty.dialect.name]


def test_there_is_one_line_of_migrations() -> None:
    script = ScriptDirectory(str(migrations.scripts_folder()))
    assert len(script.get_heads()) == 1
    assert len(script.get_bases()) == 1
    assert all(not revision.is_merge_point for revision in script.walk_revisions())


def test_upgrading_an_upgraded_database_changes_nothing(empty: sa.Engine) -> None:
    migrations.upgrade(empty)
    with empty.begin() as connection:
        connection.exec_driver_sql("UPDATE audit_head SET seq = 41")
    migrations.upgrade(empty)
    with empty.connect() as connection:
        assert connection.exec_driver_sql("SELECT seq FROM audit_head").scalar_one() == 41


UPGRADE = """
import sys
from govern.core import migrations
from govern.core.db import make_engine
engine = make_engine(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
migrations.upgrade(engine)
"""


def test_replicas_that_start_together_migrate_once(empty: sa.Engine) -> None:
    url = empty.url.render_as_string(hide_password=False)
    replicas = [
        subprocess.Popen(
            [sys.executable, "-c", UPGRADE, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for replica in replicas:
        assert replica.stdout is not None
        assert replica.stdout.readline() == "ready\n"
    for replica in replicas:
        assert replica.stdin is not None
        replica.stdin.write("go\n")
        replica.stdin.flush()
    for replica in replicas:
        _, errors = replica.communicate(timeout=60)
        assert replica.returncode == 0, errors
    assert migrations.current(empty) == migrations.newest()
    assert differences(empty) == []


NOT_MONEY = {"pacing_buckets"}
"""Tables that measure requests per minute, not money."""


def test_no_column_of_money_is_inexact() -> None:
    """Money is counted in whole nano-dollars; a float column would be the beginning of the end of that."""
    inexact = [
        str(column)
        for table in schema.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, sa.Float | sa.Numeric) and table.name not in NOT_MONEY
    ]
    assert inexact == []
