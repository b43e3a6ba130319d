"""Compare what we recorded with what OpenAI lists, and end what provably should not be there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.audit import service as audit
from govern.core import outbox
from govern.core.clock import utcnow
from govern.core.uow import Actor, ActorKind, UnitsOfWork
from govern.keys import service
from govern.keys.models import ENDED_STATES, Key, KeyState, KeyVersion, ObservedKey
from govern.ports import Directory, KeyIssuer, RemoteServiceAccount
from govern.projects import queries as projects

JOB: Final = Actor(ActorKind.JOB, "keys.reconcile", "keys.reconcile")
NAME_PREFIX: Final = "govern:"


@dataclass(frozen=True)
class _Known:
    """A version of ours. `key_gone`: its key is missing from a complete listing, whatever its account does."""

    version_id: str
    state: KeyState
    service_account_id: str | None
    issued_at: datetime | None
    absent_since: datetime | None
    key_gone: bool
    busy: bool


def reconcile(
    unit_of_work: UnitsOfWork, directory: Directory, issuer: KeyIssuer, *, second_look: timedelta = timedelta(0)
) -> dict[str, int]:
    """Per project: list first, then read rows, so that a credential recorded meanwhile is never taken for a stray.

    Deletes only on positive evidence: a row of ours says that this account should be gone, or that another one took its
    place. An account with our prefix and no row is counted and left alone (this may be a restored database). Keys whose
    effect is still open are skipped. A breaker stops the sweep that would delete more than 5 accounts and 2 % of them.
    A key that somebody else ended is believed gone when it was missing twice, `second_look` apart: a listing may lag.
    """
    report = {"projects": 0, "strays_deleted": 0, "vanished": 0, "unknown": 0, "stopped": 0}
    with unit_of_work.reading() as session:
        open_projects = [(project.id, project.remote_id) for project in projects.open_projects(session)]
    for project_id, remote_id in open_projects:
        before = utcnow()
        listed = directory.service_accounts(remote_id)
        with unit_of_work.reading() as session:
            known = {row.version_id: row for row in _known(session, project_id)}
        strays, unknown = _strays(listed, known)
        report["projects"] += 1
        report["unknown"] += unknown
        if len(strays) > max(5, len(listed) // 50):
            report["stopped"] += 1
            continue
        for account in strays:
            issuer.delete(remote_id, account.id)
            with unit_of_work(JOB) as uow:
                audit.record(uow, "key.stray_deleted", ("service_accounts", account.id), name=account.name)
            report["strays_deleted"] += 1
        here = {account.id for account in listed}
        for row in known.values():
            settled = row.state is KeyState.LIVE and not row.busy and row.issued_at is not None and row.issued_at < before
            gone = row.service_account_id not in here or row.key_gone
            if settled and (gone or row.absent_since is not None):
                with unit_of_work(JOB) as uow:
                    report["vanished"] += service.record_absence(uow, row.version_id, gone=gone, second_look=second_look)
    return report


def _strays(listed: Sequence[RemoteServiceAccount], known: dict[str, _Known]) -> tuple[list[RemoteServiceAccount], int]:
    strays, unknown = [], 0
    for account in listed:
        if not account.name.startswith(NAME_PREFIX):
            continue
        row = known.get(account.name.removeprefix(NAME_PREFIX))
        if row is None:
            unknown += 1
        elif not row.busy and (
            row.state in ENDED_STATES or (row.state is KeyState.LIVE and row.service_account_id != account.id)
        ):
            strays.append(account)
    return strays, unknown


def _known(session: Session, project_id: str) -> list[_Known]:
    rows = session.execute(
        sa.select(
            KeyVersion.id,
            KeyVersion.state,
            KeyVersion.service_account_remote_id,
            KeyVersion.issued_at,
            KeyVersion.absent_since,
            ObservedKey.vanished_at,
        )
        .join(Key, Key.id == KeyVersion.key_id)
        .outerjoin(ObservedKey, ObservedKey.remote_id == KeyVersion.remote_id)
        .where(Key.project_id == project_id)
    ).all()
    busy = {
        effect.subject_id
        for start in range(0, len(rows), 500)
        for effect in outbox.open_effects(session, [row.id for row in rows[start : start + 500]])
    }
    return [
        _Known(
            row.id, row.state, row.service_account_remote_id, row.issued_at, row.absent_since, row.vanished_at is not None,
            row.id in busy,
        )
        for row in rows
    ]  # fmt: skip
