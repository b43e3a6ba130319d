"""The request's session: for reads only, on the engine of `Govern`, so that there is one pool. Writing is the unit of work's."""

from __future__ import annotations

from typing import Any, NoReturn

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session as RequestSession

from govern.core.db import Base


class ReadSession(RequestSession):
    """Refuses to write."""

    def commit(self) -> NoReturn:
        raise RuntimeError("The request's session only reads. Write with `with govern.unit_of_work(actor) as uow`.")

    def flush(self, objects: Any = None) -> None:
        if self.new or self.dirty or self.deleted:
            raise RuntimeError("The request's session only reads, and something was changed in it.")


class Reads(SQLAlchemy):
    """Flask-SQLAlchemy with an engine that exists already."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        super().__init__(metadata=Base.metadata, session_options={"class_": ReadSession})

    def _apply_driver_defaults(self, options: dict[str, Any], app: Flask) -> None:
        """Nothing: the engine is made, and with the extension's defaults a relative SQLite path would move."""

    def _make_engine(self, bind_key: str | None, options: dict[str, Any], app: Flask) -> sa.Engine:
        return self._engine
