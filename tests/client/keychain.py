"""A keychain for tests: a real plug-in of `keyring`, as an operating system's is, over a file that a test can look into."""

from __future__ import annotations

import json
import os
from pathlib import Path

import keyring.backend
import keyring.errors

PLACE = "TEST_KEYCHAIN"


class Kept(keyring.backend.KeyringBackend):
    priority = 5  # type: ignore[assignment]

    def _all(self) -> dict[str, str]:
        path = Path(os.environ[PLACE])
        found: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def get_password(self, service: str, username: str) -> str | None:
        return self._all().get(f"{service}|{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        Path(os.environ[PLACE]).write_text(json.dumps({**self._all(), f"{service}|{username}": password}))

    def delete_password(self, service: str, username: str) -> None:
        kept = self._all()
        if kept.pop(f"{service}|{username}", None) is None:
            raise keyring.errors.PasswordDeleteError("There is none.")
        Path(os.environ[PLACE]).write_text(json.dumps(kept))


class Locked(Kept):
    """One that nobody unlocks."""

    def set_password(self, service: str, username: str, password: str) -> None:
        raise keyring.errors.KeyringLocked(password)
