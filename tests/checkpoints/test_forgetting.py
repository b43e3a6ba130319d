"""Old events go: only what is signed and kept outside, and what is left still proves itself; and on PostgreSQL the service's own
account cannot touch the log at all."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
import sqlalchemy as sa
from freezegun.api import FrozenDateTimeFactory

from govern.audit import export as log
from govern.audit.models import AuditEvent
from govern.audit.service import AuditBroken
from govern.audit.walk import Verdict, verify_lines
from govern.checkpoints import export, forgetting, queries, rules, service, signing
from govern.checkpoints.models import AuditBoundary
from govern.core.clock import utcnow
from govern.core.crypto import SecretBox
from govern.core.db import make_engine
from govern.core.errors import InvalidInput
from govern.core.grants import APPEND_ONLY, statements
from govern.core.uow import UnitsOfWork
from govern.evidence import service as evidence
from govern.usage import partitions
from tests.checkpoints.test_offline import JOB, record, split, tamper

MONTH = timedelta(days=30)


def forget(units: UnitsOfWork, *sinks: str) -> int:
    """What the job does: let go what is older than thirty days; how many events."""
    with units.reading() as session:
        checkpoint = forgetting.forgettable(session, utcnow() - MONTH, sinks)
    return forgetting.forget(units, JOB, checkpoint) if checkpoint else 0


def verdict(units: UnitsOfWork) -> Verdict:
    with units.reading() as session:
        return forgetting.verify(session, units.box)


@pytest.fixture
def old(clock: FrozenDateTimeFactory, unit_of_work: UnitsOfWork) -> UnitsOfWork:
    """Four old events, signed behind the third; and a new one, signed too."""
    record(unit_of_work, "a")
    signing.sign_newest(unit_of_work, JOB)  # at 1; making the key is event 2
    record(unit_of_work, "c")
    signing.sign_newest(unit_of_work, JOB)  # at 3
    record(unit_of_work, "d")
    clock.tick(timedelta(days=40))
    record(unit_of_work, "e")
    signing.sign_newest(unit_of_work, JOB)  # at 5
    return unit_of_work


def test_what_is_signed_and_old_goes_and_the_rest_still_proves_itself(old: UnitsOfWork) -> None:
    assert verdict(old) == Verdict(5, None, None)
    assert forget(old) == 3  # the fourth is as old, but only signed together with the new one
    assert forget(old) == 0
    assert verdict(old) == Verdict(3, None, None)  # 4, 5, and that it was done
    record(old, "g")
    assert signing.sign_newest(old, JOB) is not None
    with old.reading() as session:
        public = evidence.own_public(session, old.box)
        assert session.scalars(sa.select(AuditEvent.action).order_by(AuditEvent.seq)).all() == ["d", "e", "audit.forgotten", "g"]
    lines, anchors = split(b"".join(log.chunks(old, "jsonl"))), rules.anchors_of(split(b"".join(export.chunks(old))), public)
    assert verify_lines(lines, anchors, None, after=3) == Verdict(4, None, None)
    assert verify_lines(lines, anchors, None).problem == "Event 1 is missing."


@pytest.mark.one_database
def test_a_sink_that_lacks_the_checkpoint_holds_it_up(old: UnitsOfWork) -> None:
    assert forget(old, "file") == 0
    with old(JOB) as uow:
        service.note_pushed(uow, "file", 1, "1 line")
    assert forget(old, "file") == 1
    assert verdict(old).problem is None


def test_behind_the_boundary_the_database_itself_refuses(old: UnitsOfWork) -> None:
    forget(old)
    for statement in ("DELETE FROM audit_events", "DELETE FROM audit_boundaries", "UPDATE audit_boundaries SET line = 'x'"):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), old.engine.begin() as connection:
            connection.exec_driver_sql(statement)
    assert verdict(old).problem is None


def test_an_edit_is_not_thrown_away_with_what_goes(old: UnitsOfWork) -> None:
    tamper(old, "audit_events", "UPDATE audit_events SET actor_id = 'per_eve' WHERE seq = 2")
    with pytest.raises(AuditBroken, match="Event 2 was changed"):
        forget(old)
    with old.reading() as session:
        assert queries.boundary(session) is None
        assert session.scalar(sa.select(sa.func.count()).select_from(AuditEvent)) == 5


@pytest.mark.one_database
def test_a_boundary_that_somebody_else_wrote_counts_for_nothing(old: UnitsOfWork) -> None:
    """Whoever writes to the database can make it delete events, but not make that look right."""
    with old.reading() as session:
        checkpoint = queries.recent(session)[0]
    with old.engine.begin() as connection:
        connection.execute(sa.insert(AuditBoundary).values(seq=checkpoint.seq, at=utcnow(), line=checkpoint.line))
        connection.execute(sa.delete(AuditEvent).where(AuditEvent.seq <= checkpoint.seq))
    assert verdict(old) == Verdict(0, 1, "Events were removed, and this service did not sign that they may be.")


@pytest.fixture
def as_the_service(unit_of_work: UnitsOfWork, box: SecretBox) -> UnitsOfWork:
    """The same database by an account that owns nothing of the log."""
    engine = unit_of_work.engine
    if engine.dialect.name != "postgresql":
        return unit_of_work
    role = "govern_app_of_a_test"
    with engine.begin() as connection:
        if not connection.scalar(sa.text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}):
            connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN")
        for _ in range(2):  # after each upgrade anew
            for statement in statements(role):
                connection.exec_driver_sql(statement.replace("%", "%%"))
    return UnitsOfWork(make_engine(engine.url.set(username=role).render_as_string(hide_password=False)), box)


def test_the_services_own_account_appends_and_cannot_take_back(as_the_service: UnitsOfWork) -> None:
    units = as_the_service
    record(units, "a", "b")
    assert signing.sign_newest(units, JOB) is not None
    assert verdict(units) == Verdict(3, None, None)
    with units(JOB) as uow:  # what only the owner of a table may do
        partitions.ensure(uow.session, [date(2026, 3, 1)])
    on_postgresql = units.engine.dialect.name == "postgresql"
    refusal = "permission denied|must be owner" if on_postgresql else "append-only"
    for table in APPEND_ONLY if on_postgresql else APPEND_ONLY[:2]:
        tries = [f"UPDATE {table} SET seq = seq + 1", f"DELETE FROM {table}"]
        if on_postgresql:
            tries += [f"TRUNCATE {table} CASCADE", f"ALTER TABLE {table} DISABLE TRIGGER ALL", f"DROP TABLE {table} CASCADE"]
        for statement in tries:
            with pytest.raises(sa.exc.DBAPIError, match=refusal), units.engine.begin() as connection:
                connection.exec_driver_sql(statement)
    with units.reading() as session:
        assert forgetting.may_delete(session) is not on_postgresql
    units.engine.dispose()


def test_a_role_is_named_plainly() -> None:
    with pytest.raises(InvalidInput, match="small letters"):
        list(statements('app"; DROP TABLE people; --'))
