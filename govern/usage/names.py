"""What to call a group in a report: our ids and names for what the rollup knows by OpenAI's ids."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.keys.models import Key, ObservedKey
from govern.people.models import Person
from govern.projects.models import Project
from govern.usage.models import DailySpend


class By(StrEnum):
    """What to group by. KEY: our key's id, or OpenAI's key id for a key that is not ours. WHOSE: a person's, a project's own,
    or unattributed. REASON: why it has no person (`models.Reason`). The times are UTC; a week begins on Monday."""

    PROJECT = "project"
    PERSON = "person"
    TEAM = "team"
    COST_CENTRE = "cost_centre"
    KEY = "key"
    MODEL = "model"
    ENDPOINT = "endpoint"
    LINE_ITEM = "line_item"
    WHOSE = "whose"
    REASON = "reason"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Whose(StrEnum):
    """To whom spend belongs. NOBODY: neither a person nor a project is known; it stays visible."""

    PERSON = "person"
    PROJECT = "project"
    NOBODY = "unattributed"


KEY: Final = sa.case((DailySpend.key_id != "", DailySpend.key_id), else_=DailySpend.api_key_remote_id)


def whose(person: Any, project: Any) -> sa.ColumnElement[str]:
    """`Whose`, as SQL."""
    return sa.case((person != "", Whose.PERSON.value), (project != "", Whose.PROJECT.value), else_=Whose.NOBODY.value)


class Names:
    """Ids and names of the groups of one kind, looked up at once. A group that nobody knows is called by its id."""

    def __init__(self, session: Session, by: By, groups: Collection[str]) -> None:
        self._ids: dict[str, str] = {}
        self._names: dict[str, str] = {}
        if by is By.PROJECT:
            known = sa.select(Project.remote_id, Project.id, Project.name).where(Project.remote_id.in_(groups))
            for remote_id, id_, name in session.execute(known):
                self._ids[remote_id], self._names[remote_id] = id_, name
        elif by is By.PERSON:
            self._take(session, sa.select(Person.id, Person.name).where(Person.id.in_(groups)))
        elif by is By.KEY:
            self._take(session, sa.select(ObservedKey.remote_id, ObservedKey.name).where(ObservedKey.remote_id.in_(groups)))
            self._take(session, sa.select(Key.id, Key.name).where(Key.id.in_(groups)))

    def id_of(self, group: str) -> str:
        return self._ids.get(group, group)

    def name_of(self, group: str) -> str:
        return self._names.get(group, group)

    def _take(self, session: Session, pairs: sa.Select[str, str]) -> None:
        self._names.update((key, name) for key, name in session.execute(pairs))
