"""The form of a checkpoint, and what a file of them says: pure, offline, by the public key alone.

A checkpoint is a line in the form of an evidence file: `{"document": {…}, "signature": {…}}`. The document holds `seq`,
`digest` (the keyed digest of that event) and `root` (SHA-256 over all exported lines up to it, see `audit.walk`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from govern.audit.walk import Anchor
from govern.evidence.rules import EvidenceBroken, check, signed_file

FORMAT: Final = "govern-audit-checkpoint/1"
BOUNDARY: Final = "govern-audit-boundary/1"
"""The same of the last event that was let go: what is before it is missing rightly."""


def signed(anchor: Anchor, at: datetime, private: Ed25519PrivateKey, form: str = FORMAT) -> str:
    """The line for the log up to this event, with its line break."""
    document: dict[str, Any] = {
        "format": form, "seq": anchor.seq, "digest": anchor.digest, "root": anchor.root, "signed_at": at.isoformat(),
    }  # fmt: skip
    return signed_file(document, private).decode("utf-8")


def anchor_of(line: bytes, public: Ed25519PublicKey, form: str = FORMAT) -> Anchor:
    """What one line says. Raises EvidenceBroken where it is not exactly what was signed with this key."""
    document = check(line, public, form)
    return Anchor(document["seq"], document["digest"], document["root"])


def anchors_of(lines: Iterable[bytes], public: Ed25519PublicKey) -> dict[int, Anchor]:
    """What a file says: seq → anchor. The same checkpoint may stand in it twice, since it is delivered at least once.

    Raises EvidenceBroken for a line that was not signed so, and where two checkpoints of one event differ: then two logs
    were signed, and one of them replaced the other.
    """
    anchors: dict[int, Anchor] = {}
    for number, line in enumerate(lines, 1):
        try:
            anchor = anchor_of(line, public)
        except EvidenceBroken as error:
            raise EvidenceBroken(f"Line {number} of the checkpoints: {error}") from None
        if anchors.setdefault(anchor.seq, anchor) != anchor:
            raise EvidenceBroken(f"Two checkpoints of event {anchor.seq} differ: the log was replaced by another one.")
    return anchors
