"""A PDF of evidence in which every byte is signed: the document, then one line, a comment to every reader of PDF.

`%govern-evidence-pdf/1 START+LENGTH[,START+LENGTH] KEY SIGNATURE`: where the attached files stand in it as they are, the
fingerprint of the key, and the signature over everything before it. So the pages cannot be changed beside files that hold, and
nobody has to understand a PDF to check one. Pure, offline, by the public key alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from govern.evidence import rules
from govern.evidence.rules import EvidenceBroken

MAGIC: Final = b"%PDF-"
_LINE: Final = re.compile(
    rb"\n(%govern-evidence-pdf/1 (\d{1,9}\+\d{1,9}(?:,\d{1,9}\+\d{1,9}){0,9}) ([0-9a-f]{64}) )([0-9a-f]{128})\n\Z"
)
_LONGEST_LINE: Final = 600
_CHANGED: Final = (
    "The PDF was changed after it was signed, or signed with another key. The file that is attached to it may still hold: "
    "take it out (`pdfdetach -saveall`) and check that."
)


def signed(pdf: bytes, files: Sequence[bytes], private: Ed25519PrivateKey) -> bytes:
    """The PDF, which has these files in it uncompressed, with the line that signs it."""
    places = []
    for file in files:
        start = pdf.index(file)
        places.append(f"{start}+{len(file)}")
    key = rules.fingerprint(private.public_key())
    whole = pdf.rstrip(b"\n") + f"\n%govern-evidence-pdf/1 {','.join(places)} {key} ".encode("ascii")
    return whole + private.sign(whole).hex().encode("ascii") + b"\n"


def check(pdf: bytes, public: Ed25519PublicKey) -> list[dict[str, Any]]:
    """The documents of the files in a PDF that is, byte by byte, what was signed with this key. Raises EvidenceBroken."""
    line = _LINE.search(pdf, max(0, len(pdf) - _LONGEST_LINE))
    if not pdf.startswith(MAGIC) or line is None or line[3] != rules.fingerprint(public).encode("ascii"):
        raise EvidenceBroken(_CHANGED)
    try:
        public.verify(bytes.fromhex(line[4].decode("ascii")), pdf[: line.start(4)])
    except InvalidSignature:
        raise EvidenceBroken(_CHANGED) from None
    places = [tuple(map(int, place.split(b"+"))) for place in line[2].split(b",")]
    return [rules.check(pdf[start : start + length], public) for start, length in places]
