"""Whose spend a budget limits: what was named, its id, its name for people, and how usage groups it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.budgets.models import Budget, Scope
from govern.core.errors import InvalidInput, NotFound
from govern.keys.models import Key, KeyVersion, ObservedKey
from govern.people import queries as people
from govern.people.models import Assignment, Person
from govern.projects import queries as projects
from govern.projects.models import Project
from govern.usage.names import By

GROUPS: Final[Mapping[Scope, By | None]] = {
    Scope.ORGANIZATION: None, Scope.PROJECT: By.PROJECT, Scope.PERSON: By.PERSON, Scope.TEAM: By.TEAM,
    Scope.COST_CENTRE: By.COST_CENTRE, Scope.KEY: By.KEY, Scope.MODEL: By.MODEL,
}  # fmt: skip
WORDS: Final[Mapping[Scope, str]] = {
    Scope.ORGANIZATION: "organization", Scope.PROJECT: "project", Scope.PERSON: "person", Scope.TEAM: "team",
    Scope.COST_CENTRE: "cost centre", Scope.KEY: "key", Scope.MODEL: "model",
}  # fmt: skip


def scope_of(word: Scope | str) -> Scope:
    """The scope of this word. Raises InvalidInput."""
    try:
        return Scope(word)
    except ValueError:
        sentence = "A budget is for the organization, a project, a person, a team, a cost centre, a key or a model."
        raise InvalidInput(sentence, {"scope": "Choose one."}) from None


def resolve(session: Session, scope: Scope, named: str | None) -> str:
    """What a budget keeps of what was named: our id of a project, a person or a key; OpenAI's id of a key that is not ours; the
    name of a team, a cost centre or a model; '' for the organization.

    A project and a person may be named by id, name or address. A model need not have been used yet. Raises InvalidInput,
    NotFound.
    """
    word, named = WORDS[scope], (named or "").strip()
    if scope is Scope.ORGANIZATION:
        if named:
            raise InvalidInput("A budget of the organization names nothing else.", {"scope_id": "Leave it out."})
        return ""
    if not named:
        raise InvalidInput(f"Which {word}?", {"scope_id": f"Name the {word}."})
    match scope:
        case Scope.PROJECT:
            return projects.named(session, named).id
        case Scope.PERSON:
            return people.get(session, named).id
        case Scope.KEY:
            return _key(session, named)
        case Scope.MODEL:
            if len(named) > 200 or not named.isprintable():
                raise InvalidInput("A model's name has 1 to 200 characters.", {"scope_id": "1 to 200 characters."})
            return named
    column = Assignment.team if scope is Scope.TEAM else Assignment.cost_centre
    if session.scalar(sa.select(Assignment.id).where(column == named).limit(1)) is None:
        raise NotFound(f"Nobody has ever been in the {word} {named[:80]!r}.")
    return named


def check_per_person(scope: Scope, per_person: bool) -> bool:
    """Whether it is for each person by themselves. Raises InvalidInput where the scope has no people."""
    if per_person and scope not in (Scope.ORGANIZATION, Scope.TEAM, Scope.COST_CENTRE):
        sentence = "Only a budget of the organization, a team or a cost centre can be for each person."
        raise InvalidInput(sentence, {"per_person": "Leave it out."})
    return per_person


def labels(session: Session, budgets: Sequence[Budget]) -> dict[str, str]:
    """Budget id → the name of its scope for people: "Search", "Eve", "Team Search", "Each in team Ads", "The organization"."""
    wanted = {scope: {budget.scope_id for budget in budgets if budget.scope is scope} for scope in Scope}
    names: dict[tuple[Scope, str], str] = {}
    if ids := wanted[Scope.PROJECT]:
        for row in session.execute(sa.select(Project.id, Project.name).where(Project.id.in_(ids))):
            names[Scope.PROJECT, row.id] = row.name
    if ids := wanted[Scope.PERSON]:
        for person_id, name, email in session.execute(sa.select(Person.id, Person.name, Person.email).where(Person.id.in_(ids))):
            names[Scope.PERSON, person_id] = name or email
    if ids := wanted[Scope.KEY]:
        observed = sa.select(ObservedKey.remote_id, ObservedKey.name).where(ObservedKey.remote_id.in_(ids))
        for key_id, name in session.execute(observed.union_all(sa.select(Key.id, Key.name).where(Key.id.in_(ids)))):
            names[Scope.KEY, key_id] = name
    return {budget.id: _label(budget, names.get((budget.scope, budget.scope_id), budget.scope_id)) for budget in budgets}


def _label(budget: Budget, name: str) -> str:
    if budget.per_person:
        return "Each person" if budget.scope is Scope.ORGANIZATION else f"Each in {WORDS[budget.scope]} {name}"
    match budget.scope:
        case Scope.ORGANIZATION:
            return "The organization"
        case Scope.PROJECT | Scope.PERSON:
            return name
        case _:
            return f"{WORDS[budget.scope].capitalize()} {name}"


def _key(session: Session, named: str) -> str:
    if session.get(Key, named) is not None:
        return named
    found = session.execute(
        sa.select(ObservedKey.remote_id, KeyVersion.key_id)
        .outerjoin(KeyVersion, KeyVersion.id == ObservedKey.version_id)
        .where(sa.or_(ObservedKey.remote_id == named, ObservedKey.id == named))
    ).first()
    if found is None:
        raise NotFound(f"There is no key {named[:120]!r}.")
    return str(found.key_id or found.remote_id)
