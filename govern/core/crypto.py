"""Secrets at rest and in hand: `Secret`, `SecretBox`, tokens with a checksum.

A sealed value is `v1.<kid>.<wrapped data key>.<ciphertext>`: AES-256-GCM with a fresh data key per value, the data key wrapped
by a key-encryption key of the ring. The additional data names table, column and row, so a ciphertext moved to another row
does not open. The ring comes from the settings, never from the database: a backup without it is noise.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# The first shape must not begin inside a word, or a project called "task-automation" could hold no audited key; a line break
# that JSON wrote as `\n` is no word. The next two are so particular that it does not matter what sticks to them.
_SECRET_SHAPES: Final = re.compile(
    r"(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt]))sk-[A-Za-z0-9_-]{12,}"
    r"|sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20,}"
    r"|sk-[A-Za-z0-9]{40,}"
    r"|gov[a-z]?_[0-9A-Za-z]{30,}"
)


class Secret:
    """A value that must not be seen by accident: no text form, no pickling, no formatting. `reveal()` says that it is meant."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself. Every call is a place to look at in a review."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("A secret is not pickled.")


class CannotOpen(Exception):
    """A sealed value does not open: another ring, another row, or a changed byte."""


@dataclass(frozen=True)
class Place:
    """Where a sealed value stands; part of what authenticates it."""

    table: str
    column: str
    row_id: str

    def aad(self, kid: str) -> bytes:
        return f"govern/v1|{self.table}|{self.column}|{self.row_id}|{kid}".encode()


class SecretBox:
    """Seals, opens, fingerprints. Holds the ring of key-encryption keys; the first one seals, all of them open."""

    def __init__(self, ring: Mapping[str, bytes]) -> None:
        """`ring` maps key id → 32 bytes; the first entry is the active one. Raises ValueError for an unusable ring."""
        if not ring:
            raise ValueError("The ring of sealing keys is empty.")
        for kid, key in ring.items():
            if not re.fullmatch(r"[A-Za-z0-9-]{1,32}", kid):
                raise ValueError(f"The sealing key id {kid!r} must be 1 to 32 letters, digits or hyphens.")
            if len(key) != 32:
                raise ValueError(f"The sealing key {kid!r} must be 32 bytes.")
        self._ring = dict(ring)
        self.active = next(iter(ring))
        # The fingerprints' key must outlive rotations of the active key, or nothing could be looked up any more:
        # it hangs on the *last* (oldest) key of the ring.
        self._root = list(ring.values())[-1]
        self._derived: dict[str, bytes] = {}

    def __repr__(self) -> str:
        return f"SecretBox(active={self.active!r}, keys={len(self._ring)})"

    def seal(self, secret: Secret, place: Place) -> str:
        """The sealed text for this place."""
        data_key, kid = secrets.token_bytes(32), self.active
        aad = place.aad(kid)
        wrapped = _encrypt(self._ring[kid], data_key, aad)
        return f"v1.{kid}.{_b64(wrapped)}.{_b64(_encrypt(data_key, secret.reveal().encode(), aad))}"

    def open(self, sealed: str, place: Place) -> Secret:
        """The value sealed for this place. Raises CannotOpen."""
        try:
            version, kid, wrapped, ciphertext = sealed.split(".")
            if version != "v1" or kid not in self._ring:
                raise CannotOpen(f"No sealing key {kid!r} in the ring.")
            aad = place.aad(kid)
            data_key = _decrypt(self._ring[kid], _unb64(wrapped), aad)
            return Secret(_decrypt(data_key, _unb64(ciphertext), aad).decode())
        except (ValueError, InvalidTag) as error:
            raise CannotOpen("The sealed value does not belong to this place or this ring.") from error

    def fingerprint(self, purpose: str, value: str | bytes) -> str:
        """A keyed hash (hex) by which a value is found again without being kept."""
        return hmac.digest(self._derive(purpose), value.encode() if isinstance(value, str) else value, "sha256").hex()

    def _derive(self, purpose: str) -> bytes:
        key = self._derived.get(purpose)
        if key is None:  # deriving costs more than the hash that it is for
            key = HKDF(SHA256(), 32, salt=None, info=f"govern/v1/{purpose}".encode()).derive(self._root)
            self._derived[purpose] = key
        return key


def _encrypt(key: bytes, plain: bytes, aad: bytes) -> bytes:
    nonce = secrets.token_bytes(12)
    return nonce + AESGCM(key).encrypt(nonce, plain, aad)


def _decrypt(key: bytes, blob: bytes, aad: bytes) -> bytes:
    return AESGCM(key).decrypt(blob[:12], blob[12:], aad)


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def new_token(prefix: str = "gov") -> Secret:
    """A bearer token: `gov_` + 43 base-62 characters of randomness + 6 of CRC-32, so that scanners and we can tell it."""
    body = "".join(secrets.choice(_BASE62) for _ in range(43))
    return Secret(f"{prefix}_{body}{_checksum(body)}")


def looks_like_token(value: str, prefix: str = "gov") -> bool:
    """Whether the shape and the checksum hold: asked before the database is, so that noise costs nothing."""
    match = re.fullmatch(rf"{prefix}_([0-9A-Za-z]{{43}})([0-9A-Za-z]{{6}})", value)
    return bool(match) and hmac.compare_digest(_checksum(match[1]), match[2]) if match else False


def contains_secret(text: str) -> bool:
    """Whether the text holds something shaped like an OpenAI key or one of our tokens."""
    return _SECRET_SHAPES.search(text) is not None


def redact(text: str) -> str:
    """The text with everything shaped like a key or token replaced."""
    return _SECRET_SHAPES.sub("[secret]", text)


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits
