"""Whose spend is it? From the ids that OpenAI reports to our registry: key version → key → person.

OpenAI's `user_id` on usage names the member who owns the key, and nobody at all for a service account's key. So the key
decides first; the user only where the key tells nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.keys.models import Key, KeyVersion, ObservedKey
from govern.members.models import Member
from govern.usage.bulk import batched
from govern.usage.models import Basis, CostFact, CostSeries, Reason, UsageSeries
from govern.usage.records import UsageDay


class Attribution(NamedTuple):
    """The answer: on what basis, and our ids ('' where there is none)."""

    basis: Basis
    person_id: str = ""
    key_id: str = ""
    reason: Reason = Reason.NONE


@dataclass(frozen=True)
class Registry:
    """What is known of keys and members at this moment, by OpenAI's ids.

    `ours`: key or service account → our key and its person. `owners`: a key seen at OpenAI → its owner's id, '' for a
    service account. `people`: member → person.
    """

    ours: dict[str, Attribution]
    owners: dict[str, str]
    people: dict[str, str]

    def resolve(self, *, project: str, api_key: str, user: str = "") -> Attribution:
        """Where a row with these ids belongs. '' stands for "not reported"."""
        if found := self.ours.get(api_key):
            return found
        member = self.owners.get(api_key, user)
        if person := self.people.get(member):
            return Attribution(Basis.OWNER, person)
        return Attribution(Basis.PROJECT if project else Basis.NONE, reason=self._reason(api_key, member))

    def _reason(self, api_key: str, member: str) -> Reason:
        if member:
            return Reason.UNKNOWN_MEMBER
        if not api_key:
            return Reason.NO_KEY
        return Reason.FOREIGN_ACCOUNT if api_key in self.owners else Reason.UNKNOWN_KEY


def registry(session: Session) -> Registry:
    """Read the registry once, before many rows are resolved."""
    versions = session.execute(
        sa.select(KeyVersion.remote_id, KeyVersion.service_account_remote_id, Key.id, Key.person_id).join(
            Key, Key.id == KeyVersion.key_id
        )
    ).all()
    ours: dict[str, Attribution] = {}
    accounts: dict[str, Attribution] = {}
    for remote_id, account_id, key_id, person_id in versions:
        mine = Attribution(Basis.KEY, person_id, key_id)
        if remote_id:
            ours[remote_id] = mine
        if account_id:
            accounts[account_id] = mine
    owners: dict[str, str] = {}
    observed = sa.select(ObservedKey.remote_id, ObservedKey.owner_kind, ObservedKey.owner_remote_id)
    for remote_id, kind, owner in session.execute(observed):
        if kind == "user":
            owners[remote_id] = owner or ""
            continue
        owners[remote_id] = ""
        if owner in accounts:  # a second key, made elsewhere, on an account that we issued: still that person's
            ours.setdefault(remote_id, accounts[owner])
    members = sa.select(Member.remote_id, Member.person_id).where(Member.person_id.is_not(None))
    people = {remote_id: person_id for remote_id, person_id in session.execute(members) if person_id}
    return Registry(ours, owners, people)


@dataclass(frozen=True)
class Stale:
    """Series whose stored attribution is not what the registry says now."""

    usage: dict[int, Attribution]
    costs: dict[int, Attribution]

    def __bool__(self) -> bool:
        return bool(self.usage or self.costs)


def find_stale(session: Session, known: Registry) -> Stale:
    """What the registry has learned since. A series on a key of ours is final and is not looked at again."""
    return Stale(_changed(session, UsageSeries, known), _changed(session, CostSeries, known))


def _changed(session: Session, table: type[UsageSeries] | type[CostSeries], known: Registry) -> dict[int, Attribution]:
    """Looks at each combination of ids once: a key has many models, and every one of them its own series."""
    ids = (sa.case((table.project_remote_id == "", ""), else_="known"), table.api_key_remote_id, table.user_remote_id)
    stored = [sa.type_coerce(column, sa.Text) for column in (table.basis, table.person_id, table.key_id, table.reason)]
    loose = table.basis != Basis.KEY
    wrong = {}
    for project, api_key, user, *said in session.execute(sa.select(*ids, *stored).where(loose).distinct()):
        answer = known.resolve(project=project, api_key=api_key, user=user)
        if tuple(said) != answer:
            wrong[project, api_key, user] = answer
    found = {}
    for part in batched({api_key for _, api_key, _ in wrong}):
        rows = session.execute(sa.select(table.id, *ids).where(loose, table.api_key_remote_id.in_(part)))
        found.update({row[0]: wrong[row[1:]] for row in map(tuple, rows) if row[1:] in wrong})
    return found


def relearn(session: Session, stale: Stale) -> set[date]:
    """Store the better attribution. Returns the days whose rollups it touches."""
    for table, answers in ((UsageSeries, stale.usage), (CostSeries, stale.costs)):
        rows = [{"id": id_, **answer._asdict()} for id_, answer in answers.items()]
        if rows:
            session.execute(sa.update(table), rows)
    days: set[date] = set()
    for part in batched(stale.usage):
        days.update(session.scalars(sa.select(UsageDay.day).where(UsageDay.series_id.in_(part)).distinct()))
    for part in batched(stale.costs):
        days.update(session.scalars(sa.select(CostFact.day).where(CostFact.series_id.in_(part)).distinct()))
    return days
