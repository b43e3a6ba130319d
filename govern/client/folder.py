"""The client's folder: what is known about this machine's sign-in and keys. No secret stands in `profile.json`."""

from __future__ import annotations

import json
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from govern.client.trouble import NOT_POSSIBLE, Trouble


@dataclass
class Held:
    """A key of which this machine has the value: that of the version that was issued at `issued_at`."""

    key_id: str
    project: str
    project_name: str
    name: str
    expires_at: str | None = None
    issued_at: str | None = None


@dataclass
class Profile:
    """What is remembered. `vault` says where the secrets are; `pending` holds requests of which the outcome is not known."""

    url: str | None = None
    vault: str | None = None
    email: str | None = None
    keys: list[Held] = field(default_factory=list)
    pending: dict[str, dict[str, str]] = field(default_factory=dict)

    def held(self, key_id: str) -> Held | None:
        return next((key for key in self.keys if key.key_id == key_id), None)


def default_folder() -> Path:
    """Where this system keeps a program's configuration."""
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming") / "govern"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "govern"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "govern"


class Folder:
    """Files that only their owner reads, written whole or not at all."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or default_folder()
        self._depth = 0

    def read(self) -> Profile:
        """What is remembered. Raises Trouble when the file cannot be understood."""
        text = self.read_private("profile.json")
        if text is None:
            return Profile()
        try:
            found = json.loads(text)
            keys = [Held(**key) for key in found.pop("keys", [])]
            return Profile(**found, keys=keys)
        except (ValueError, TypeError) as error:
            raise Trouble(
                f"{self.path / 'profile.json'} cannot be understood. Remove it and sign in again.", NOT_POSSIBLE
            ) from error

    def write(self, profile: Profile) -> None:
        self.write_private("profile.json", json.dumps(asdict(profile), indent=1) + "\n")

    @contextmanager
    def changed(self) -> Iterator[Profile]:
        """Read, let it be changed, write; nobody else in between. Nothing is written when the block raises."""
        with self.locked():
            profile = self.read()
            yield profile
            self.write(profile)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One process of ours at a time, so that a refresh token is used once."""
        if self._depth:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
            return
        self._make()
        handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(handle)
            self._depth = 1
            yield
        finally:
            self._depth = 0
            os.close(handle)

    def write_private(self, name: str, text: str) -> None:
        """Write the file whole, readable by its owner alone from its first byte on."""
        self._make()
        handle, temporary = tempfile.mkstemp(dir=self.path, prefix=f".{name}.")  # makes it with mode 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self.path / name)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def read_private(self, name: str) -> str | None:
        """The file's text, None when there is none. Raises Trouble when others could have read or written it."""
        path = self.path / name
        try:
            with path.open(encoding="utf-8") as file:
                self._check(path, os.fstat(file.fileno()))
                return file.read()
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)

    def _make(self) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sys.platform != "win32" and stat.S_IMODE(self.path.stat().st_mode) & 0o077:
            self.path.chmod(0o700)

    def _check(self, path: Path, found: os.stat_result) -> None:
        if sys.platform == "win32":
            return  # the folder of a user's own programs is closed to others there
        if stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid != os.getuid():
            raise Trouble(
                f"{path} can be read by others, so it is not used. Run `chmod 600 {path}`, and rotate what stood in it.",
                NOT_POSSIBLE,
            )


def _lock(handle: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_LOCK, 1)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX)


def as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
