"""How a POST acts: one transaction, a short wait for what it set off, an answer; and the same answer when it is sent again."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from flask import Response, jsonify, request
from sqlalchemy.orm import Session

from govern.core.uow import UnitOfWork
from govern.identity import idempotency
from govern.identity.idempotency import Earlier
from govern.web.access import current_actor, current_principal, govern, release_reads

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotent-Replayed"
_LOOK_EVERY: Final = 0.15


@dataclass(frozen=True)
class Answer:
    """An answer, already in JSON's terms. `settled` False: looking again may tell more, `may_settle_soon` even in a moment."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    settled: bool = True
    may_settle_soon: bool = True

    def response(self, *, replayed: bool = False) -> Response:
        response = jsonify(self.body)
        response.status_code = self.status
        response.headers.update(dict(self.headers))
        if replayed:
            response.headers[REPLAYED] = "true"
        return response


def carry_out(
    command: Callable[[UnitOfWork], str], answer: Callable[[Session, str], Answer], *, at_most: float = math.inf
) -> Response:
    """Do it and answer. `command` returns the id of what it made or changed; `answer` reads that and says how it stands.

    When the effect that it set off does not settle within settings.web.wait_seconds (or `at_most` seconds, for what is known to
    take longer), the unsettled answer (202) is given.
    Sent again with its Idempotency-Key, the command does not run again: a final answer comes as it was stored, an unsettled
    one is made anew from how things stand now.
    """
    key, earlier = _key(), None
    release_reads()
    with govern().unit_of_work(current_actor()) as uow:
        if key is not None:
            earlier = _claim(uow, key)
        if earlier is None:
            subject_id = command(uow)
            if key is not None:
                idempotency.note_subject(uow, current_principal().id, key, subject_id)
    if earlier is not None:
        if earlier.status is not None and earlier.body is not None:
            return Answer(earlier.body, earlier.status, earlier.headers).response(replayed=True)
        subject_id = earlier.subject_id
    found = Answer(None, 202)
    try:
        found = _settled(answer, subject_id, at_most)
    finally:
        if key is not None:
            _note(key, found)
    return found.response(replayed=earlier is not None)


def carry_out_secretly(command: Callable[[UnitOfWork, bool], tuple[str, Answer]]) -> Response:
    """Like `carry_out` for an answer that holds a secret, which is never stored.

    `command` is told whether the request came before; then it says again what it may, or raises Gone.
    """
    key, earlier = _key(), None
    release_reads()
    with govern().unit_of_work(current_actor()) as uow:
        if key is not None:
            earlier = _claim(uow, key)
        subject_id, found = command(uow, earlier is not None)
        if key is not None and earlier is None:
            idempotency.note_subject(uow, current_principal().id, key, subject_id)
            idempotency.note_answer(uow, current_principal().id, key, status=found.status, headers={}, body=None)
    return found.response(replayed=earlier is not None)


def _key() -> str | None:
    sent = request.headers.get(HEADER)
    return None if sent is None else idempotency.check_key(sent)


def _claim(uow: UnitOfWork, key: str) -> Earlier | None:
    # Whoever began it may still be waiting for the effect; after that plus some time for the rest, nobody answers any more.
    patience = timedelta(seconds=govern().settings.web.wait_seconds + 10)
    return idempotency.claim(uow, current_principal().id, key, _fingerprint(), answer_within=patience)


def _fingerprint() -> str:
    body = request.get_json(silent=True) if request.is_json else request.get_data(as_text=True)
    said = json.dumps([request.method, request.path, body], sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return govern().box.fingerprint("request", said)


def _note(key: str, found: Answer) -> None:
    """Keep a final answer. Of any other it is only noted that nobody works on it any more: the next one looks again."""
    with govern().unit_of_work(current_actor()) as uow:
        idempotency.note_answer(
            uow,
            current_principal().id,
            key,
            status=found.status,
            headers=found.headers,
            body=found.body if found.settled else None,
        )


def _settled(answer: Callable[[Session, str], Answer], subject_id: str, at_most: float) -> Answer:
    until = time.monotonic() + min(at_most, govern().settings.web.wait_seconds)
    while True:
        with govern().unit_of_work.reading() as session:
            found = answer(session, subject_id)
        if found.settled or not found.may_settle_soon or time.monotonic() >= until:
            return found
        time.sleep(_LOOK_EVERY)
