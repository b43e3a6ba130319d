"""One PostgreSQL database for many tests: emptying it takes a hundredth of the time that copying a template takes."""

from __future__ import annotations

import psycopg
from psycopg import sql

from tests.peers import postgres

_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
_CUT = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
# Whatever a test may have made, dropped or switched off.
_SHAPE = """
    SELECT (SELECT string_agg(relname || '.' || relkind::text, ',' ORDER BY relname)
              FROM pg_class WHERE relnamespace = 'public'::regnamespace),
           (SELECT string_agg(concat_ws('.', tgrelid::regclass, tgname, tgenabled), ',' ORDER BY tgrelid, tgname)
              FROM pg_trigger WHERE NOT tgisinternal),
           (SELECT string_agg(concat_ws('.', attrelid::regclass, attname, attnotnull, atttypid), ',' ORDER BY attrelid, attnum)
              FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
             WHERE relnamespace = 'public'::regnamespace AND attnum > 0)
"""


class ReusedDatabase:
    """`fresh()` gives the URL of a database that looks like a new copy of the template."""

    def __init__(self, server: postgres.Server, template: str) -> None:
        self._server = server
        self._template = template
        self._make()

    def fresh(self) -> str:
        """Cut whoever is still connected, and put back what the template holds. A changed schema costs a new copy."""
        try:
            with self._connect() as connection:
                if not self._emptied(connection):
                    raise psycopg.Error
        except psycopg.Error:
            postgres.drop_database(self._server, self.url)
            self._make()
        return self.url

    def drop(self) -> None:
        postgres.drop_database(self._server, self.url)

    def _make(self) -> None:
        self.url = postgres.fresh_database(self._server, self._template)
        with self._connect() as connection:
            self._shape = connection.execute(_SHAPE).fetchone()
            self._seed: dict[str, list[str]] = {}
            for (table,) in connection.execute(_TABLES).fetchall():
                name = sql.Identifier(table)
                rows = connection.execute(sql.SQL("SELECT {}::text FROM {}").format(name, name)).fetchall()
                self._seed[table] = [row for (row,) in rows]

    def _connect(self) -> psycopg.Connection:
        database = self.url.rsplit("/", 1)[1]
        return psycopg.connect(host="127.0.0.1", port=self._server.port, user="postgres", dbname=database, autocommit=True)

    def _emptied(self, connection: psycopg.Connection) -> bool:
        connection.execute(_CUT)
        if connection.execute(_SHAPE).fetchone() != self._shape:
            return False
        with connection.transaction():
            # Switches triggers off: the one that keeps audit events, and the ones behind foreign keys.
            connection.execute("SET LOCAL session_replication_role = replica")
            for table, rows in self._seed.items():
                name = sql.Identifier(table)
                connection.execute(sql.SQL("DELETE FROM {}").format(name))
                for row in rows:
                    connection.execute(sql.SQL("INSERT INTO {} SELECT (%s::{}).*").format(name, name), (row,))
        return True
