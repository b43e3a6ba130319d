"""Where secrets are kept: the operating system's keychain, or a file that only its owner reads, announced."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NoReturn, Protocol

from govern.client.folder import Folder
from govern.client.trouble import NOT_POSSIBLE, Trouble

KEYCHAIN: Final = "keychain"
FILE: Final = "file"
SECRETS: Final = "secrets.json"


class Secret:
    """A value that is not shown by accident."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError("A secret is not pickled.")


class Vault(Protocol):
    """Names → secrets. All of it may raise Trouble."""

    kind: str
    where: str

    def put(self, name: str, value: Secret) -> None: ...

    def get(self, name: str) -> Secret | None: ...

    def drop(self, name: str) -> None: ...


class FileVault:
    """One file in the client's folder, mode 0600."""

    kind = FILE

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self.where = f"{folder.path / SECRETS} (mode 0600)"

    def put(self, name: str, value: Secret) -> None:
        with self._folder.locked():
            self._write({**self._read(), name: value.reveal()})

    def get(self, name: str) -> Secret | None:
        found = self._read().get(name)
        return Secret(found) if found is not None else None

    def drop(self, name: str) -> None:
        with self._folder.locked():
            self._write({other: value for other, value in self._read().items() if other != name})

    def _read(self) -> dict[str, str]:
        text = self._folder.read_private(SECRETS)
        try:
            found = json.loads(text) if text else {}
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Trouble(f"{self._folder.path / SECRETS} cannot be understood. Remove it and sign in again.", NOT_POSSIBLE)
        return found

    def _write(self, secrets: Mapping[str, str]) -> None:
        if secrets:
            self._folder.write_private(SECRETS, json.dumps(secrets))
        else:
            self._folder.remove(SECRETS)


class Keychain:
    """What the operating system offers: Keychain, Credential Manager, Secret Service."""

    kind = KEYCHAIN
    where = "the keychain of this system"

    def __init__(self, url: str) -> None:
        self._service = f"govern {url}"

    def put(self, name: str, value: Secret) -> None:
        import keyring

        with _told():
            keyring.set_password(self._service, name, value.reveal())

    def get(self, name: str) -> Secret | None:
        import keyring

        with _told():
            found = keyring.get_password(self._service, name)
        return Secret(found) if found is not None else None

    def drop(self, name: str) -> None:
        import keyring
        import keyring.errors

        with _told():
            try:
                keyring.delete_password(self._service, name)
            except keyring.errors.PasswordDeleteError:
                if keyring.get_password(self._service, name) is not None:
                    raise


@contextmanager
def _told() -> Iterator[None]:
    """Errors of the keychain as a sentence. What a backend says could hold anything, so it is not repeated."""
    try:
        yield
    except Exception as error:
        raise Trouble(
            f"The keychain of this system did not do it ({type(error).__name__}). Unlock it, or sign in again with "
            "`govern login --store file`.",
            NOT_POSSIBLE,
        ) from None


def keychain_works(url: str) -> bool:
    """Whether there is a keychain that keeps what it is given. A headless machine has none."""
    import keyring

    if getattr(keyring.get_keyring(), "priority", 0) < 1:  # the failing one, and those that write plain files
        return False
    chain = Keychain(url)
    try:
        chain.put("probe", Secret("probe"))
        found = chain.get("probe")
        chain.drop("probe")
    except Trouble:
        return False
    return found is not None and found.reveal() == "probe"


def open_vault(kind: str, url: str, folder: Folder) -> Vault:
    """The vault that was chosen at sign-in."""
    return Keychain(url) if kind == KEYCHAIN else FileVault(folder)
