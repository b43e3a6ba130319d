"""A key that got out: find it, stop it, and put another in its place."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from govern.audit import service as audit
from govern.core import outbox
from govern.core.crypto import Place, Secret
from govern.core.errors import GovernError, InvalidInput
from govern.core.uow import UnitOfWork
from govern.keys import freezing, queries, rotation, rules, service
from govern.keys.models import (
    Key,
    KeyState,
    KeyVersion,
    LeakRemedy,
    LeakReport,
    LeakState,
    ObservedKey,
)
from govern.people import queries as people
from govern.ports import KeyHolder

PATIENCE: Final = timedelta(hours=6)
"""How long OpenAI is asked whose a pasted key is. A value that got out is not kept any longer than that, not even sealed."""
UNANSWERED: Final = (
    "OpenAI did not say whose it is within six hours. What was pasted is destroyed, and nothing was done to the key: it may "
    "still work. Report it again, or have its owner end it."
)
_SHAPE: Final = re.compile(r"sk-[A-Za-z0-9_-]{12,400}")


def report(
    uow: UnitOfWork, value: Secret, *, remedy: LeakRemedy, successor: bool, overlap: timedelta, generation: str
) -> LeakReport:
    """Somebody found this key where it should not be. One of ours is dealt with at once; about any other OpenAI is asked.

    `successor`: issue a new version in its place, where it is ours. The value is neither kept nor shown: of ours only the
    keyed fingerprint is compared. Raises InvalidInput for text that is no key, without repeating it.
    """
    if not _SHAPE.fullmatch(value.reveal()):
        raise InvalidInput(
            "That is no OpenAI key: they begin with sk- and hold letters, digits, hyphens and underscores only.",
            {"value": "Paste the key itself, and nothing else."},
        )
    row = LeakReport(
        id=uow.new_id("leak"), state=LeakState.SEARCHING, remedy=remedy, successor=successor, reported_by=uow.actor.id,
        reported_at=uow.now,
    )  # fmt: skip
    uow.session.add(row)
    fingerprint = uow.box.fingerprint("key", value.reveal())
    version = uow.session.scalars(sa.select(KeyVersion).where(KeyVersion.fingerprint == fingerprint)).first()
    audit.record(uow, "leak.reported", row, remedy=remedy, ours=version is not None)
    if version is None:
        row.sealed = uow.box.seal(value, _place(row.id))
        uow.session.flush()
        outbox.enqueue(uow, "leak.probe", row.id, {"generation": generation})
        return row
    key = uow.session.get_one(Key, version.key_id, with_for_update=True, populate_existing=True)
    row.key_id, row.owner = key.id, _name_of(uow, key.person_id)
    try:
        outcome = _remedy_ours(uow, row, key, version, overlap=overlap, generation=generation)
    except GovernError as error:
        outcome = error.sentence
    _settle(uow, row, LeakState.FOUND, outcome)
    return row


def _remedy_ours(uow: UnitOfWork, row: LeakReport, key: Key, version: KeyVersion, *, overlap: timedelta, generation: str) -> str:
    if version.state is not KeyState.LIVE:
        return f"Version {version.number} of {key.name} was ended already; this value is worth nothing."
    reason = f"It was reported as leaked ({row.id})."
    others = [each for each in queries.open_versions_of(uow.session, key.id) if each.id != version.id]
    if row.remedy is LeakRemedy.FREEZE:
        freezing.freeze_version(uow, key, version, reason=reason, generation=generation)
        if row.successor and not others:
            rotation.rotate(uow, key.id, reason=reason, overlap=overlap)
            return f"{key.name} is being frozen, and a new version is being made."
        return f"{key.name} is being frozen."
    if row.remedy is LeakRemedy.REVOKE:
        if row.successor and not others:
            newest = queries.newest_version(uow.session, key.id)
            service.promise_version(
                uow, key, number=newest.number + 1, lifetime_seconds=version.lifetime_seconds, scopes=rules.scopes_of(version),
                reason=reason,
            )  # fmt: skip
            others = [newest]
        if others:  # the key goes on with another version; only what leaked ends, and that at once
            uow.session.flush()
            audit.record(uow, "key.version_ended", key, version=version.id, reason=reason)
            service.end_version(uow, key, version)
            return f"Version {version.number} of {key.name} is being revoked; another takes its place."
        service.revoke_key(uow, key.id, reason=reason)
        return f"{key.name} is being revoked."
    return f"It is version {version.number} of {key.name}, and it works. Nothing was done, as you chose."


def sealed_value(uow: UnitOfWork, report_id: str) -> Secret | None:
    """The pasted value, for the one question to OpenAI; None when it was destroyed already."""
    sealed = uow.session.scalar(sa.select(LeakReport.sealed).where(LeakReport.id == report_id))
    return uow.box.open(sealed, _place(report_id)) if sealed else None


def record_answer(uow: UnitOfWork, report_id: str, holder: KeyHolder | None, ends: tuple[str, str], generation: str) -> None:
    """What OpenAI said, and which listed key it is. `ends`: the value's first and last characters. The value is destroyed."""
    row = uow.session.get_one(LeakReport, report_id, with_for_update=True, populate_existing=True)
    row.sealed = None
    if row.state is not LeakState.SEARCHING:
        return
    if holder is None:
        _settle(uow, row, LeakState.DEAD, "OpenAI does not accept it (any more): it is worth nothing.")
        return
    row.owner = (holder.email or holder.name or holder.id or "")[:300] or None
    found = [key for key in _listed(uow, holder) if _fits(key.redacted, ends)]
    if len(found) != 1:
        _settle(uow, row, LeakState.ELSEWHERE, "It works, but it cannot be told which listed key it is. Ask its owner to end it.")
        return
    row.observed_id, row.owner = found[0].id, row.owner or found[0].owner_name
    try:
        outcome = _remedy_listed(uow, row, found[0], generation)
    except GovernError as error:
        outcome = error.sentence
    _settle(uow, row, LeakState.FOUND, outcome)


def _remedy_listed(uow: UnitOfWork, row: LeakReport, key: ObservedKey, generation: str) -> str:
    again = " We did not issue it, so its owner makes a new one." if row.successor else ""
    if row.remedy is LeakRemedy.FREEZE:
        freezing.freeze_observed(uow, key.id, reason=f"It was reported as leaked ({row.id}).", generation=generation)
        return f"{key.name} is being frozen.{again}"
    if row.remedy is LeakRemedy.REVOKE:
        outbox.enqueue(uow, "leak.revoke", row.id)
        return f"{key.name} is being deleted at OpenAI.{again}"
    return f"It is the key {key.name}, and it works. Nothing was done, as you chose."


def record_deleted(uow: UnitOfWork, report_id: str) -> None:
    """A complete listing shows the key no more."""
    row = uow.session.get_one(LeakReport, report_id)
    key = uow.session.get_one(ObservedKey, row.observed_id)
    key.vanished_at = key.vanished_at or uow.now
    row.outcome = f"{key.name} is deleted: OpenAI lists it no longer."
    audit.record(uow, "leak.key_deleted", row, native=key.remote_id)


def record_refused(uow: UnitOfWork, report_id: str, problem: str) -> None:
    """OpenAI would not delete it, or not answer the question."""
    row = uow.session.get_one(LeakReport, report_id)
    row.sealed = None
    _settle(uow, row, LeakState.ELSEWHERE if row.state is LeakState.SEARCHING else row.state, problem)


def forget_unanswered(uow: UnitOfWork) -> int:
    """Destroy what was pasted `PATIENCE` ago and OpenAI never told of, and say so; returns how many."""
    asking = sa.select(LeakReport).where(LeakReport.state == LeakState.SEARCHING, LeakReport.reported_at <= uow.now - PATIENCE)
    rows = uow.session.scalars(asking.order_by(LeakReport.id).with_for_update()).all()
    for row in rows:
        row.sealed = None
        outbox.withdraw(uow, "leak.probe", row.id)
        _settle(uow, row, LeakState.UNANSWERED, UNANSWERED)
    return len(rows)


def _settle(uow: UnitOfWork, row: LeakReport, state: LeakState, outcome: str) -> None:
    row.state, row.outcome, row.settled_at = state, outcome[:500], uow.now
    audit.record(uow, "leak.traced", row, state=state, outcome=row.outcome, key=row.key_id, observed=row.observed_id)


def _listed(uow: UnitOfWork, holder: KeyHolder) -> list[ObservedKey]:
    listed = sa.select(ObservedKey).where(ObservedKey.vanished_at.is_(None))
    if holder.id is not None:
        listed = listed.where(ObservedKey.owner_remote_id == holder.id)
    return list(uow.session.scalars(listed))


def _fits(redacted: str, ends: tuple[str, str]) -> bool:
    """Whether OpenAI's shortened form, such as `sk-proj-********abcd`, can be this value's."""
    shown = re.split(r"[*.…]+", redacted)
    return len(shown) == 2 and len(shown[1]) >= 3 and ends[0].startswith(shown[0]) and ends[1].endswith(shown[1])


def _name_of(uow: UnitOfWork, person_id: str) -> str:
    person = people.get(uow.session, person_id)
    return f"{person.name} <{person.email}>"[:300]


def _place(report_id: str) -> Place:
    return Place("leak_reports", "sealed", report_id)
