"""Keep the directory: import a file (a draft that shows what it would change, then the deed), set an end date by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session, undefer

from govern.audit import service as audit
from govern.core.crypto import redact
from govern.core.errors import Conflict, InvalidInput, NotFound
from govern.core.uow import UnitOfWork
from govern.people import directory_file, plan, queries, service
from govern.people.models import Assignment, DirectoryImport, ImportState, Person, PersonState
from govern.people.plan import Change, Known, Plan
from govern.people.timeline import Place, Span

DRAFT_FOR: Final = timedelta(days=1)
"""How long a draft is kept that nobody carried out."""
CHANGED: Final = "What this file would change is no longer what you were shown. Look again, then confirm."


def preview(session: Session, data: bytes | str, *, complete: bool, effective_on: date) -> Plan:
    """What the file would change, without keeping anything of it. Raises InvalidInput."""
    text, remark = directory_file.decode(data) if isinstance(data, bytes) else (data, None)
    return _plan(session, text, remark, complete=complete, on=effective_on)


def draft(
    uow: UnitOfWork, data: bytes | str, *, file_name: str = "", complete: bool = False, effective_on: date | None = None
) -> DirectoryImport:
    """Keep the file and what it would change, and change nothing yet. Raises InvalidInput."""
    text, remark = directory_file.decode(data) if isinstance(data, bytes) else (data, None)
    on = effective_on or uow.now.date()
    found = _plan(uow.session, text, remark, complete=complete, on=on)
    row = DirectoryImport(
        id=uow.new_id("imp"), state=ImportState.DRAFT, file_name=_shown(file_name), complete=complete, effective_on=on, text=text,
        remark=remark, made_by=uow.actor.id, made_label=uow.actor.label[:200], made_at=uow.now, counts=found.counts, rows=[],
        missing=[], notes=[],
    )  # fmt: skip
    uow.session.add(row)
    uow.session.flush()
    audit.record(uow, "directory.import_drafted", row, file=row.file_name, complete=complete, counts=found.counts)
    return row


def plan_of(session: Session, row: DirectoryImport) -> Plan:
    """What the draft would change as things stand now. Raises Conflict when it is a draft no more."""
    if row.text is None:
        raise Conflict("This import is done; only a draft can be looked at before the deed.")
    return _plan(session, row.text, row.remark, complete=row.complete, on=row.effective_on)


def _plan(session: Session, text: str, remark: str | None, *, complete: bool, on: date) -> Plan:
    found = plan.plan(directory_file.read(text), known_people(session), on=on, complete=complete)
    return replace(found, notes=[remark, *found.notes]) if remark else found


def carry_out(uow: UnitOfWork, import_id: str, *, digest: str | None = None) -> DirectoryImport:
    """Do what the draft says. Repeating it changes nothing. With `digest`: only if that is still what was shown.

    Raises NotFound, Conflict.
    """
    row = uow.session.get(
        DirectoryImport, import_id, with_for_update=True, populate_existing=True, options=[undefer(DirectoryImport.text)]
    )
    if row is None:
        raise NotFound(f"There is no import {import_id!r}.")
    if row.state is ImportState.DONE:
        return row
    # In the order of their ids, as everywhere: two imports wait for each other, and neither for a removal.
    everybody = sa.select(Person).order_by(Person.id).with_for_update().execution_options(populate_existing=True)
    people = {person.email: person for person in uow.session.scalars(everybody)}
    found = plan_of(uow.session, row)
    if digest is not None and digest != found.digest():
        raise Conflict(CHANGED)
    people |= service.ensure_all(
        uow, {change.after.email: change.after.name for change in found.changes if change.after.email not in people}
    )
    _change_all(uow, found.changes, people)
    _note_named(uow, [*(change.after.email for change in found.changes), *found.unchanged])
    if row.complete:
        _note_missing(uow, found.missing)
    row.state, row.done_at, row.text, row.counts = ImportState.DONE, uow.now, None, found.counts
    row.rows, row.missing, row.notes = plan.rows_of(found), list(found.missing), list(found.notes)
    audit.record(
        uow, "directory.imported", row, file=row.file_name, complete=row.complete, on=row.effective_on, counts=found.counts
    )
    return row


def discard(uow: UnitOfWork, import_id: str) -> str:
    """Forget a draft; its id. Raises NotFound, Conflict for an import that is done."""
    row = queries.get_import(uow.session, import_id)
    if row.state is ImportState.DONE:
        raise Conflict("This import is done; it cannot be discarded.")
    audit.record(uow, "directory.import_discarded", row)
    uow.session.delete(row)
    return import_id


def forget_drafts(uow: UnitOfWork) -> int:
    """Delete the drafts that nobody carried out in time."""
    old = sa.delete(DirectoryImport).where(
        DirectoryImport.state == ImportState.DRAFT, DirectoryImport.made_at < uow.now - DRAFT_FOR
    )
    return int(uow.session.execute(old).rowcount)  # type: ignore[attr-defined]


def set_end(uow: UnitOfWork, id_or_email: str, ends_on: date | None, *, reason: str) -> Person:
    """Say from which day on somebody is no longer with the company (None: take it back). On that day their removal starts.

    Raises NotFound, InvalidInput, Conflict (they are leaving or have left).
    """
    person = service.lock(uow.session, queries.get(uow.session, id_or_email).id)
    if person.state is not PersonState.ACTIVE:
        raise Conflict(f"{person.name} is being removed or has left.")
    reason = reason.strip()
    if not 3 <= len(reason) <= 500:
        raise InvalidInput("Say why: an auditor will ask.", {"reason": "Write 3 to 500 characters."})
    if ends_on is not None and ends_on < uow.now.date():
        raise InvalidInput("That day is over. Remove the person instead.", {"ends_on": "Choose today or a later day."})
    by_hand = ends_on is not None
    if (person.ends_on, person.ends_by_hand) == (ends_on, by_hand):
        return person
    audit.record(uow, "person.end_set", person, reason=redact(reason), before=person.ends_on, after=ends_on)
    person.ends_on, person.ends_by_hand = ends_on, by_hand
    return person


def known_people(session: Session) -> dict[str, Known]:
    """Address → how they stand now, of everybody."""
    rows = {person.id: person for person in session.scalars(sa.select(Person))}
    spans: dict[str, list[Span]] = {}
    for row in session.scalars(sa.select(Assignment).order_by(Assignment.from_on)):
        manager = rows[row.manager_id].email if row.manager_id else None
        spans.setdefault(row.person_id, []).append(Span(Place(row.team, row.cost_centre, manager), row.from_on, row.until_on))
    return {
        row.email: Known(
            row.email, row.name, row.state, row.directory_at is not None and row.directory_gone_at is None,
            row.directory_gone_at is not None, row.ends_on, row.ends_by_hand, tuple(spans.get(row.id, ())),
        )
        for row in rows.values()
    }  # fmt: skip


def _change_all(uow: UnitOfWork, changes: Sequence[Change], people: Mapping[str, Person]) -> None:
    """Make the people of these changes what the plan says, all with a few statements: nobody else writes meanwhile."""
    held: dict[str, dict[date, Assignment]] = {}
    for row in uow.session.scalars(sa.select(Assignment)):
        held.setdefault(row.person_id, {})[row.from_on] = row
    wanted = [(people[change.after.email], change, {span.from_on: span for span in change.after.spans}) for change in changes]
    for person, change, spans in wanted:
        for day in set(held.get(person.id, ())) - set(spans):
            uow.session.delete(held[person.id].pop(day))
        after = change.after
        audit.record(uow, "person.changed", person, changes=[list(fact) for fact in change.facts], line=change.line)
        person.name, person.ends_on, person.ends_by_hand = after.name[:200], after.ends_on, after.ends_by_hand
    uow.session.flush()  # what is deleted gives its days free
    for person, _, spans in wanted:
        for day, span in spans.items():
            row = held.get(person.id, {}).get(day) or Assignment(id=uow.new_id("asg"), person_id=person.id, from_on=day)
            row.team, row.cost_centre, row.until_on = span.place.team, span.place.cost_centre, span.until_on
            # The manager of a row that could not be used is somebody all the same.
            manager = span.place.manager and (people.get(span.place.manager) or service.ensure(uow, span.place.manager, None))
            row.manager_id = manager.id if manager else None
            uow.session.add(row)


def _note_named(uow: UnitOfWork, emails: Sequence[str]) -> None:
    for start in range(0, len(emails), 500):  # SQLite limits the parameters of one statement
        named = sa.update(Person).where(Person.email.in_(emails[start : start + 500]))
        uow.session.execute(named.values(directory_at=uow.now, directory_gone_at=None))


def _note_missing(uow: UnitOfWork, emails: Sequence[str]) -> None:
    for start in range(0, len(emails), 500):
        for person in uow.session.scalars(sa.select(Person).where(Person.email.in_(emails[start : start + 500]))):
            person.directory_gone_at = uow.now
            audit.record(uow, "person.not_in_directory", person, email=person.email)


def _shown(file_name: str) -> str:
    return "".join(char for char in redact(file_name) if char.isprintable()).strip()[:200] or "directory.csv"
