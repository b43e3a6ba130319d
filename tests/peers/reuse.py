"""One PostgreSQL database for many tests: emptying it takes a hundredth of the time that copying a template takes."""

from __future__ import annotations

import psycopg
from psycopg import sql

from tests.peers import postgres

OURS = "govern-tests"
"""The application name of connections of the test process itself, which may stay."""
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
# Whoever may still come and write: those who are in the middle of something or hold a lock, and processes that nobody waits for.
# Connections of this process that are at rest stay, since each new one costs the server more than most tests ask of it.
_CUT = """
    SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()
       AND NOT (application_name = %s AND state = 'idle' AND pid NOT IN (SELECT pid FROM pg_locks))
"""
# Whatever a test may have made, dropped or switched off. A row of these catalogues is written anew by each change of it.
_SHAPE = """
    SELECT (SELECT array[count(*), sum(xmin::text::bigint), sum(oid::bigint)]
              FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind <> 'S'),
           (SELECT array[count(*), sum(xmin::text::bigint)] FROM pg_trigger WHERE NOT tgisinternal),
           (SELECT array[count(*), sum(pg_attribute.xmin::text::bigint)]
              FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
             WHERE relnamespace = 'public'::regnamespace AND attnum > 0)
"""


class ReusedDatabase:
    """`fresh()` gives the URL of a database that looks like a new copy of the template.

    Connections whose application name is `OURS` survive it unless they are in use.
    """

    def __init__(self, server: postgres.Server, template: str) -> None:
        self._server = server
        self._template = template
        self._make()

    def fresh(self) -> str:
        """Cut whoever might still write, and put back what the template holds. A changed schema costs a new copy."""
        try:
            if not self._emptied():
                raise psycopg.Error
        except psycopg.Error:
            self.drop()
            self._make()
        return self.url

    def drop(self) -> None:
        self._connection.close()
        postgres.drop_database(self._server, self.url)

    def _make(self) -> None:
        self.url = postgres.fresh_database(self._server, self._template)
        database = self.url.rsplit("/", 1)[1]
        at = f"host=127.0.0.1 port={self._server.port} user=postgres dbname={database}"
        self._connection = psycopg.connect(at, autocommit=True, prepare_threshold=1)
        # Switches triggers off: the one that keeps audit events, and the ones behind foreign keys. Once: each change of it makes
        # the server forget how it finds what is filled.
        self._connection.execute("SET session_replication_role = replica")
        self._shape = self._connection.execute(_SHAPE).fetchone()
        self._tables = [table for (table,) in self._connection.execute(_TABLES).fetchall()]
        self._seed = {table: rows for table in self._tables if (rows := self._rows(table))}
        found = "SELECT {} WHERE EXISTS (SELECT FROM {})"
        self._filled = sql.SQL(" UNION ALL ").join(
            sql.SQL(found).format(table, sql.Identifier(table)) for table in self._tables if table not in self._seed
        )

    def _rows(self, table: str) -> list[str]:
        name = sql.Identifier(table)
        return [row for (row,) in self._connection.execute(sql.SQL("SELECT {}::text FROM {}").format(name, name)).fetchall()]

    def _emptied(self) -> bool:
        connection = self._connection
        connection.execute(_CUT, (OURS,))
        if connection.execute(_SHAPE).fetchone() != self._shape:
            return False
        filled = [table for (table,) in connection.execute(self._filled).fetchall()]
        changed = [table for table, rows in self._seed.items() if self._rows(table) != rows]
        with connection.transaction(), connection.pipeline():
            for table in (*filled, *changed):
                name = sql.Identifier(table)
                connection.execute(sql.SQL("DELETE FROM {}").format(name))
                for row in self._seed.get(table, ()):
                    connection.execute(sql.SQL("INSERT INTO {} SELECT (%s::{}).*").format(name, name), (row,))
        return True
