"""A request that is sent twice is carried out once: the claim is a row in the transaction of what the request does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from govern.core.errors import Conflict, InvalidInput
from govern.core.uow import UnitOfWork
from govern.identity.models import Request

KEPT: Final = timedelta(hours=72)
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


class KeyReused(InvalidInput):
    """The Idempotency-Key came before, with another request."""

    code = "idempotency_key_reused"


class InFlight(Conflict):
    """The same request is being carried out right now."""

    code = "request_in_flight"


@dataclass(frozen=True)
class Earlier:
    """What became of the first sending. `status` None: it was carried out, but never answered (or its answer is not kept)."""

    subject_id: str
    status: int | None
    headers: Mapping[str, str]
    body: Any


def check_key(key: str) -> str:
    """Raise InvalidInput unless it is 1 to 255 visible ASCII characters."""
    if not _KEY.fullmatch(key):
        raise InvalidInput(
            "An Idempotency-Key is 1 to 255 visible ASCII characters.", {"Idempotency-Key": "Send a UUID, for example."}
        )
    return key


def claim(uow: UnitOfWork, principal_id: str, key: str, fingerprint: str, *, answer_within: timedelta) -> Earlier | None:
    """Claim the key in the command's own transaction. None: go on and do it. Else what the first sending led to.

    Raises KeyReused for another request under the same key, InFlight while the first one may still be answered.
    """
    row = uow.session.get(Request, (principal_id, key))
    if row is not None and row.created_at < uow.now - KEPT:
        uow.session.delete(row)
        uow.session.flush()
        row = None
    if row is None:
        uow.session.add(Request(principal_id=principal_id, key=key, fingerprint=fingerprint, created_at=uow.now))
        try:
            uow.session.flush()
        except IntegrityError:
            raise InFlight("The same request is being carried out right now. Ask again in a moment.") from None
        return None
    if row.fingerprint != fingerprint:
        raise KeyReused(
            "This Idempotency-Key came before with another request.", {"Idempotency-Key": "Use a new key for a new request."}
        )
    if row.status is None and row.created_at > uow.now - answer_within:
        raise InFlight("The same request is being carried out right now. Ask again in a moment.")
    return Earlier(row.subject_id or "", row.status, dict(row.headers or {}), row.body)


def note_subject(uow: UnitOfWork, principal_id: str, key: str, subject_id: str) -> None:
    """What the request made or changed, in the same transaction: from it an answer that was lost is made again."""
    uow.session.get_one(Request, (principal_id, key)).subject_id = subject_id


def note_answer(uow: UnitOfWork, principal_id: str, key: str, *, status: int, headers: Mapping[str, str], body: Any) -> None:
    """Keep the answer. Never call it with a body that holds a secret."""
    uow.session.execute(
        sa.update(Request)
        .where(Request.principal_id == principal_id, Request.key == key)
        .values(status=status, headers=dict(headers), body=body)
    )
