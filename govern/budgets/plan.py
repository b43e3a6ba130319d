"""Budgets as code: what would have to change for a file to hold, and changing just that. Doing it again changes nothing.

A budget in the file is known by its slug. Budgets without a slug were made by hand and are left alone; one whose slug is no
longer in the file is retired.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from govern.budgets import drafts, preview, scopes, service
from govern.budgets.drafts import Changes
from govern.budgets.models import Budget
from govern.budgets.preview import Preview
from govern.budgets.rules import dollars
from govern.core.errors import Conflict, InvalidInput, NotFound
from govern.core.uow import UnitOfWork

_FIXED: Final = {"scope", "scope_id", "per_person"}
"""Who a budget is about cannot change: another budget takes its place."""


class StepKind(StrEnum):
    """REPLACE: it is about somebody else now, so the old one is retired and a new one made."""

    CREATE = "create"
    CHANGE = "change"
    REPLACE = "replace"
    RETIRE = "retire"


_SIGNS: Final = {StepKind.CREATE: "+", StepKind.CHANGE: "~", StepKind.REPLACE: "±", StepKind.RETIRE: "-"}


@dataclass(frozen=True)
class Step:
    """One change. `wanted` is None for a budget to retire, `budget` for one to create; `changed`: field → before and after."""

    kind: StepKind
    slug: str
    label: str
    budget: Budget | None
    wanted: Budget | None
    changed: Mapping[str, tuple[Any, Any]]
    preview: Preview | None = None

    @property
    def differences(self) -> list[tuple[str, str, str]]:
        """Field, what it is and what it is to be, for people."""
        return [(field, _said(before), _said(after)) for field, (before, after) in self.changed.items()]

    @property
    def words(self) -> str:
        """For people, on one line."""
        what = f"{_SIGNS[self.kind]} {self.slug}: {self.kind.value}"
        if self.wanted is None:
            return f"{what} the budget of {self.label}"
        if self.kind is StepKind.CREATE:
            marks = ", ".join(mark.words for mark in self.wanted.marks)
            text = f"{what} {dollars(self.wanted.amount_usd)} {self.wanted.calendar.words} for {self.label}, told at {marks}"
        else:
            text = f"{what} " + "; ".join(f"{field} {before} → {after}" for field, before, after in self.differences)
        return f"{text}. {self.preview.sentence}" if self.preview and self.preview.alerts else text


@dataclass(frozen=True)
class Plan:
    """What is to be done, in order, and how many budgets of the file are as they should be."""

    steps: tuple[Step, ...]
    unchanged: int

    @property
    def sentence(self) -> str:
        """For people: "1 to create, 1 to retire, 3 unchanged."."""
        counts = {kind: sum(step.kind is kind for step in self.steps) for kind in StepKind}
        parts = [f"{count} to {kind.value}" for kind, count in counts.items() if count]
        return ", ".join([*parts, f"{self.unchanged} unchanged"]) + "."


def plan(session: Session, declared: Mapping[str, Mapping[str, Any]], now: datetime) -> Plan:
    """What would have to change for these (see `declared.read`) to be the budgets that are kept as code.

    Raises InvalidInput, NotFound; the sentence names the slug.
    """
    query = sa.select(Budget).where(Budget.slug.is_not(None), Budget.retired_at.is_(None)).order_by(Budget.slug)
    there = {str(budget.slug): budget for budget in session.scalars(query)}
    steps, unchanged = [], 0
    for slug, fields in declared.items():
        with _named(slug):
            wanted = drafts.draft(session, **fields)
            step = _step(session, slug, there.pop(slug, None), wanted, now)
        steps += [step] if step else []
        unchanged += step is None
    labels = scopes.labels(session, list(there.values()))
    steps += [Step(StepKind.RETIRE, slug, labels[budget.id], budget, None, {}) for slug, budget in there.items()]
    return Plan(tuple(steps), unchanged)


def apply(uow: UnitOfWork, declared: Mapping[str, Mapping[str, Any]]) -> Plan:
    """Make it so, all in one transaction; what was done. Raises like `plan`."""
    done = plan(uow.session, declared, uow.now)
    for step in done.steps:
        if step.budget is not None and step.kind in (StepKind.RETIRE, StepKind.REPLACE):
            why = "it is not in the file any more" if step.kind is StepKind.RETIRE else "the file says somebody else"
            service.retire_budget(uow, step.budget.id, reason=why)
            uow.session.flush()  # its slug is free before the next one takes it
        if step.kind in (StepKind.CREATE, StepKind.REPLACE):
            _create(uow, declared[step.slug])
        if step.kind is StepKind.CHANGE and step.budget is not None and step.wanted is not None:
            service.change_budget(uow, step.budget.id, **_changes(step.wanted))
    return done


def _create(uow: UnitOfWork, fields: Mapping[str, Any]) -> None:
    try:
        service.create_budget(uow, **fields)
        uow.session.flush()
    except IntegrityError:
        raise Conflict("Somebody else applied a file at this moment. Plan again.") from None


def _step(session: Session, slug: str, budget: Budget | None, wanted: Budget, now: datetime) -> Step | None:
    label = scopes.labels(session, [wanted])[wanted.id]
    if budget is None:
        return Step(StepKind.CREATE, slug, label, None, wanted, {}, preview.of_new(session, wanted, now))
    before, after = drafts.facts(budget), drafts.facts(wanted)
    changed = {field: (before[field], after[field]) for field in after if before[field] != after[field]}
    if not changed:
        return None
    if _FIXED & set(changed):
        found = preview.of_new(session, wanted, now)
        return Step(StepKind.REPLACE, slug, label, budget, wanted, changed, found)
    found = preview.of_change(session, budget.id, _changes(wanted), now)
    return Step(StepKind.CHANGE, slug, label, budget, wanted, changed, found)


def _changes(wanted: Budget) -> Changes:
    amounts = [mark.usd for mark in wanted.marks if mark.usd]
    terms: Changes = {
        "name": wanted.name, "amount_usd": wanted.amount_usd, "thresholds": wanted.thresholds, "thresholds_usd": amounts,
        "thresholds_forecast": wanted.thresholds_forecast or [], "notify": wanted.notify,
    }  # fmt: skip
    return cast("Changes", terms | asdict(wanted.calendar))


def _said(value: object) -> str:
    if isinstance(value, Decimal):
        return dollars(value)
    if isinstance(value, list):
        return ", ".join(str(each) for each in value) or "none"
    return "none" if value is None else str(value)


@contextmanager
def _named(slug: str) -> Iterator[None]:
    try:
        yield
    except InvalidInput as error:
        raise InvalidInput(f"budgets.{slug}: {error.sentence}", error.fields) from None
    except NotFound as error:
        raise NotFound(f"budgets.{slug}: {error.sentence}") from None
