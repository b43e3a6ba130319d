"""Keeps the organization in a JSON file, so that a demo that is started again meets the organization that it left.

Written whole, to a neighbour and then renamed: a reader finds the old state or the new one, never a half. Writes are
gathered: a change starts a short wait, and all changes of that time go out together.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from dataclasses import asdict, fields, is_dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from govern.fakes.openai.organization import Organization, Tables
from govern.fakes.openai.spec import WorldSpec

VERSION = 1
_GATHER_SECONDS = 0.5
# A large organization takes longer to write; it is written so much more seldom that writing takes a small part of the time.
_REST = 10


class StateFile:
    """`load` once, `mark` after each change, `close` at the end."""

    def __init__(self, path: Path, org: Organization) -> None:
        self._path, self._org = path, org
        self._timer: threading.Timer | None = None
        self._guard = threading.Lock()
        self._wait = _GATHER_SECONDS

    def load(self) -> bool:
        """Fill the organization from the file. False where there is none; `ValueError` where it cannot be understood."""
        try:
            document = json.loads(self._path.read_text("utf-8"))
        except FileNotFoundError:
            return False
        if document.get("version") != VERSION:
            raise ValueError(f"{self._path} was written by another version; remove it to start afresh")
        self._org.spec = WorldSpec(**document["spec"])
        self._org.clock.offset = timedelta(seconds=document["offset"])
        self._org.tables = _read(Tables, document["tables"])
        self._org.reindex()
        return True

    def mark(self) -> None:
        """Something changed: write it soon."""
        with self._guard:
            if self._timer is None:
                self._timer = threading.Timer(self._wait, self._write_marked)
                self._timer.daemon = True
                self._timer.start()

    def close(self) -> None:
        """Write what is still waiting."""
        with self._guard:
            timer, self._timer = self._timer, None
        if timer:
            timer.cancel()
            self.write()

    def write(self) -> None:
        with self._org.lock:
            document = {
                "version": VERSION,
                "spec": asdict(self._org.spec),
                "offset": self._org.clock.offset.total_seconds(),
                "tables": _plain(self._org.tables),
            }
            text = json.dumps(document, separators=(",", ":"))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        neighbour = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        descriptor = os.open(neighbour, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(neighbour.unlink, missing_ok=True)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            neighbour.replace(self._path)

    def _write_marked(self) -> None:
        with self._guard:
            self._timer = None
        began = time.monotonic()
        self.write()
        self._wait = max(_GATHER_SECONDS, _REST * (time.monotonic() - began))


def _plain(value: Any) -> Any:
    """Rows as objects. Much faster than `dataclasses.asdict`, which copies every leaf."""
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _read(kind: Any, value: Any) -> Any:
    """The inverse of `_plain`, led by the declared types."""
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return kind(**{name: _read(hints[name], item) for name, item in value.items()})
    inner = get_args(kind)
    if get_origin(kind) is list and inner and is_dataclass(inner[0]):
        return [_read(inner[0], item) for item in value]
    if get_origin(kind) is dict and len(inner) == 2 and (is_dataclass(inner[1]) or get_origin(inner[1]) is dict):
        return {name: _read(inner[1], item) for name, item in value.items()}
    return value
