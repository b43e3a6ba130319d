"""Keys for the demo to begin with: some of the cast's, some of others', a shared one; and two weeks of use."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Final

import httpx
import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.bootstrap import Govern
from govern.cli.demo_peers import CAST
from govern.cli.host import host_actor
from govern.core.clock import utcnow
from govern.keys import service as keys
from govern.keys import sharing
from govern.keys.models import Key, KeyKind, KeyState, KeyVersion
from govern.members import queries as members
from govern.projects import queries as projects
from govern.projects.models import Project

_USES: Final = ("laptop", "nightly report", "notebook", "evaluation", "prototype")
_MODELS: Final = ("gpt-5.4-mini-2026-03-17", "gpt-4o-mini-2024-07-18", "gpt-5.4-2026-03-05")
_DAYS: Final = 14
_PATIENCE: Final = 30.0


def issue_keys(govern: Govern, stopping: Callable[[], bool]) -> None:
    """Ask for the keys and wait until the worker has made them; if it is slow, go on without."""
    with govern.unit_of_work(host_actor()) as uow:
        cast = [seat.person_id for person, _ in CAST if (seat := members.find_member(uow.session, person.email))]
        others = [seat.person_id for seat in members.find_members(uow.session, limit=9)]
        holders = [person_id for person_id in dict.fromkeys([*cast, *others]) if person_id]
        places = projects.open_projects(uow.session)
        if not holders or not places:
            return
        for number, person_id in enumerate(holders):
            place, use = places[number % len(places)], _USES[number % len(_USES)]
            keys.request_key(uow, person_id, place.id, name=use, lifetime=timedelta(days=90), most_per_person=5)
        backend = keys.request_key(
            uow, holders[0], places[0].id, name="assistant backend", lifetime=timedelta(days=180), most_per_person=5,
            kind=KeyKind.SHARED, rotate_every_days=60,
        )  # fmt: skip
        for person_id in holders[1:4]:
            sharing.entitle(uow, backend.id, person_id)
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and not stopping():
        with govern.unit_of_work.reading() as session:
            if session.scalar(sa.select(Key.id).where(Key.state == KeyState.REQUESTED).limit(1)) is None:
                return
        time.sleep(0.1)


def use_keys(govern: Govern, openai_url: str) -> None:
    """Have the fake organization book use of those keys: less at weekends, different for each."""
    with govern.unit_of_work.reading() as session:
        issued = _issued(session)
    today = utcnow().date()
    with httpx.Client(base_url=openai_url, timeout=10, trust_env=False) as http:
        for number, (project_id, key_id) in enumerate(issued):
            for ago in range(1, _DAYS + 1):
                day = today - timedelta(days=ago)
                if day.weekday() >= 5 and number % 3:
                    continue
                usd = Decimal(15 + (number * 37 + ago * 11) % 60) / 25
                body = {
                    "usd": str(usd), "project": project_id, "api_key_id": key_id, "on": day.isoformat(),
                    "model": _MODELS[number % len(_MODELS)],
                }  # fmt: skip
                http.post("/_control/spend", json=body).raise_for_status()


def _issued(session: Session) -> list[tuple[str, str]]:
    rows = session.execute(
        sa.select(Project.remote_id, KeyVersion.remote_id)
        .join(Key, Key.project_id == Project.id)
        .join(KeyVersion, KeyVersion.key_id == Key.id)
        .where(KeyVersion.state == KeyState.LIVE)
        .order_by(Key.id)
    )
    return [(project_id, key_id) for project_id, key_id in rows if key_id]
