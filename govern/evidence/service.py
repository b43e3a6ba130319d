"""Sign and keep evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy.orm import Session, undefer

from govern.audit import service as audit
from govern.core.crypto import CannotOpen, Place, Secret, SecretBox
from govern.core.uow import UnitOfWork
from govern.evidence import envelope, queries, rules
from govern.evidence.models import Evidence, EvidenceKey
from govern.evidence.rules import EvidenceBroken

SLOT: Final = 1
"""There is one key; its slot is unique, so that two workers who make the first one at once end up with one."""


def sign(uow: UnitOfWork, kind: str, subject_id: str, facts: Mapping[str, Any]) -> Evidence:
    """Sign these facts (JSON's terms, no secrets) and keep the file. Asked again, the first file is returned."""
    known = queries.find(uow.session, kind, subject_id)
    if known is not None:
        return known
    key_id, private = signing_key(uow)
    evidence_id = uow.new_id("evd")
    document = {
        "format": rules.FORMAT, "id": evidence_id, "kind": kind, "subject": subject_id, "signed_at": uow.now.isoformat(), **facts,
    }  # fmt: skip
    row = Evidence(
        id=evidence_id, kind=kind, subject_id=subject_id, key_id=key_id, created_at=uow.now,
        file=rules.signed_file(document, private).decode("utf-8"),
    )  # fmt: skip
    uow.session.add(row)
    audit.record(uow, "evidence.signed", row, kind=kind, about=subject_id, key=key_id)
    return row


def pdf(session: Session, box: SecretBox, evidence_id: str) -> bytes:
    """The evidence, with its seal where there is one, as a PDF whose every byte is signed. Raises NotFound.

    It is drawn when it is asked for, from the signed files alone: the same files give the same bytes.
    """
    from govern.evidence.pdf import pages  # it brings a typesetter along, which nothing else needs

    row = queries.get(session, evidence_id)
    key = session.get_one(EvidenceKey, row.key_id, options=[undefer(EvidenceKey.sealed)])
    files = [each.file.encode("utf-8") for each in queries.with_seal(session, row)]
    return envelope.signed(pages(files, key.id), files, _opened(box, key))


def signing_key(uow: UnitOfWork) -> tuple[str, Ed25519PrivateKey]:
    """The id of the one key that signs, and its private half; it is made at the first call."""
    query = sa.select(EvidenceKey).where(EvidenceKey.slot == SLOT).options(undefer(EvidenceKey.sealed))
    row = uow.session.scalars(query).one_or_none()
    if row is None:
        private = Ed25519PrivateKey.generate()
        made = rules.fingerprint(private.public_key())
        try:
            with uow.session.begin_nested():
                uow.session.add(
                    EvidenceKey(
                        id=made,
                        slot=SLOT,
                        public_pem=rules.public_pem(private.public_key()),
                        created_at=uow.now,
                        sealed=uow.box.seal(Secret(private.private_bytes_raw().hex()), _place(made)),
                    )
                )
            audit.record(uow, "evidence.key_made", ("evidence_keys", made))
        except sa.exc.IntegrityError:  # another worker made it at the same moment
            pass
        row = uow.session.scalars(query.execution_options(populate_existing=True)).one()
    return row.id, _opened(uow.box, row)


def own_public(session: Session, box: SecretBox) -> Ed25519PublicKey:
    """The public half by the sealed private one: the row's own could have been replaced. Raises EvidenceBroken without a key."""
    row = session.scalars(sa.select(EvidenceKey).options(undefer(EvidenceKey.sealed)).limit(1)).one_or_none()
    try:
        if row is None:
            raise EvidenceBroken("Nothing was signed by this service yet.")
        return _opened(box, row).public_key()
    except CannotOpen:
        raise EvidenceBroken("The key that signs was replaced in the database.") from None


def _opened(box: SecretBox, key: EvidenceKey) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(box.open(key.sealed, _place(key.id)).reveal()))


def _place(key_id: str) -> Place:
    return Place("evidence_keys", "sealed", key_id)
