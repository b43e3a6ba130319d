"""How a page acts: one transaction, once however often its form is sent, and a short wait for what it set off."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from flask import request
from sqlalchemy.orm import Session

from govern.core.uow import UnitOfWork
from govern.identity import idempotency
from govern.web.access import current_actor, current_principal, govern, release_reads

LONGEST_WAIT: Final = 3.0
"""Seconds. A reader with a script sees the progress on the next page; one without is spared a reload when it is quick."""
_LOOK_EVERY: Final = 0.1


def act(command: Callable[[UnitOfWork], str]) -> str:
    """Do it in one transaction; the id of what it made or changed.

    A form that carries a mark (`once`) acts once: sent again, what the first sending made is named again.
    """
    mark = request.form.get("once", "")
    release_reads()
    with govern().unit_of_work(current_actor()) as uow:
        if mark:
            earlier = _claim(uow, mark)
            if earlier is not None:
                return earlier
        subject_id = command(uow)
        if mark:
            idempotency.note_subject(uow, current_principal().id, mark, subject_id)
        return subject_id


def _claim(uow: UnitOfWork, mark: str) -> str | None:
    # Only the address and the mark are compared: a form that is sent again with a change is a new form with a new mark.
    fingerprint = govern().box.fingerprint("request", f"{request.method} {request.path}")
    key = idempotency.check_key(mark)
    earlier = idempotency.claim(uow, current_principal().id, key, fingerprint, answer_within=timedelta(0))
    return earlier.subject_id if earlier else None


def wait_until(settled: Callable[[Session], bool]) -> None:
    """Look until it is so, or until the time that a request may wait is over."""
    until = time.monotonic() + min(LONGEST_WAIT, govern().settings.web.wait_seconds)
    while True:
        with govern().unit_of_work.reading() as session:
            if settled(session):
                return
        if time.monotonic() >= until:
            return
        time.sleep(_LOOK_EVERY)
