"""The form of an evidence file, and how one is checked: pure, offline, by the public key alone.

The file is one JSON object in canonical form: keys in order, no spaces, UTF-8, one line break at the end.
`{"document": {…}, "signature": {"algorithm": "Ed25519", "key": fingerprint, "value": hex}}`. Signed is the canonical form of
the document.
Every byte counts: a file that says the same in other bytes is refused too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from govern.core.errors import GovernError, InvalidInput

FORMAT: Final = "govern-evidence/1"
ALGORITHM: Final = "Ed25519"
KINDS: Final = {"removal": "Removal of a person", "removal.seal": "Seal of a removal"}
"""What people call the kinds."""


class EvidenceBroken(GovernError):
    """The file is not what was signed."""

    code = "evidence_broken"


def canonical(value: object) -> bytes:
    """The one way to write this value."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")


def fingerprint(public: Ed25519PublicKey) -> str:
    """SHA-256 of the public key's 32 bytes, in hex."""
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()


def signed_file(document: dict[str, Any], private: Ed25519PrivateKey) -> bytes:
    """The file for this document."""
    value = private.sign(canonical(document)).hex()
    signature = {"algorithm": ALGORITHM, "key": fingerprint(private.public_key()), "value": value}
    return canonical({"document": document, "signature": signature}) + b"\n"


def public_pem(public: Ed25519PublicKey) -> str:
    """The public key as it is published."""
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def read_public(pem: bytes) -> Ed25519PublicKey:
    """The key in a PEM file. Raises InvalidInput."""
    try:
        public = serialization.load_pem_public_key(pem)
    except ValueError:
        public = None
    if not isinstance(public, Ed25519PublicKey):
        raise InvalidInput("That is not the public key of what was signed. It is a PEM file, from `govern evidence key`.")
    return public


def check(file: bytes, public: Ed25519PublicKey, form: str = FORMAT) -> dict[str, Any]:
    """The document of a file in this format that is exactly what was signed with this key. Raises EvidenceBroken."""
    try:
        whole = json.loads(file.decode("utf-8"))
        document, signature = whole["document"], whole["signature"]
        value = bytes.fromhex(signature["value"])
        expected = {
            "document": document,
            "signature": {"algorithm": ALGORITHM, "key": fingerprint(public), "value": value.hex()},
        }
        # Other bytes with the same meaning would pass the signature: compared is the file as it must have been written.
        same = canonical(expected) + b"\n" == file
        known = document["format"] == form
    except (ValueError, KeyError, TypeError, RecursionError):
        raise EvidenceBroken("This is no signed file, or it was changed.") from None
    if not same or not known:
        raise EvidenceBroken("The file was changed, or it was signed with another key.")
    try:
        public.verify(value, canonical(document))
    except InvalidSignature:
        raise EvidenceBroken("The file was changed: its signature does not fit.") from None
    result: dict[str, Any] = document
    return result


@dataclass(frozen=True)
class Heard:
    """One of the three witnesses, as the signed files tell. `at`: when it was heard, ISO 8601."""

    name: str
    state: str
    at: tuple[str, ...]
    said: str


def heard(evidence: Mapping[str, Any], seal: Mapping[str, Any] | None) -> list[Heard]:
    """What the witnesses of a removal say, by its evidence and, where there is one, its seal."""
    told = evidence.get("witnesses") or {}
    looks = tuple(told.get("complete_listings", ()))
    if not looks:
        return []
    sealed = {each["name"]: each for each in (seal or {}).get("witnesses", ())}
    log = (seal or {}).get("openai_audit_log", {})
    until = log.get("read_until") or (seal or {}).get("signed_at")
    count = told.get("proven")
    shown = f"{count['proven']} of {count['of']} things were shown no more" if count else "showed nothing of them"
    return [
        Heard("Complete listings", "proven", looks, f"{shown}, twice."),
        _later("OpenAI's audit log", sealed.get("openai_audit_log"), until, told.get("openai_audit_log")),
        _later("Usage", sealed.get("no_usage"), (seal or {}).get("watched_until"), told.get("usage")),
    ]


def _later(name: str, sealed: Mapping[str, Any] | None, at: str | None, meanwhile: str | None) -> Heard:
    if sealed is None:
        return Heard(name, "pending", (), meanwhile or "")
    said = f"{sealed['proven']} of {sealed['of']} ({sealed['state']}). {sealed['sentence']}"
    return Heard(name, sealed["state"], (at,) if at else (), said)
