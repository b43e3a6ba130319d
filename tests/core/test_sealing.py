"""A wrong ring of sealing keys is noticed at start-up, before anything is written with it."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from govern.core.crypto import SecretBox
from govern.core.errors import InvalidInput
from govern.core.sealing import SealingCheck, check_ring, note_ring
from govern.core.uow import Actor, ActorKind, UnitsOfWork

SETUP = Actor(ActorKind.CLI, "setup", "setup")
OLD, NEW, OTHER = {"old": b"o" * 32}, {"new": b"n" * 32}, {"old": b"x" * 32}


def start(engine: sa.Engine, ring: dict[str, bytes]) -> None:
    with UnitsOfWork(engine, SecretBox(ring))(SETUP) as uow:
        note_ring(uow)


def rows(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(sa.select(SealingCheck.kid).order_by(SealingCheck.kid)))


@pytest.fixture
def engine(unit_of_work: UnitsOfWork) -> sa.Engine:
    return unit_of_work.engine


def test_the_first_start_leaves_one_constant_and_the_next_ones_none(engine: sa.Engine) -> None:
    start(engine, OLD)
    start(engine, OLD)
    assert rows(engine) == ["old"]


@pytest.mark.parametrize("ring", [NEW, OTHER], ids=["another key", "another key of the same name"])
def test_another_ring_is_refused_with_what_to_do(engine: sa.Engine, ring: dict[str, bytes]) -> None:
    start(engine, OLD)
    with pytest.raises(InvalidInput, match="GOVERN_SEALING_KEYS"):
        start(engine, ring)
    assert rows(engine) == ["old"]


def test_a_rotated_ring_is_taken_and_noted(engine: sa.Engine) -> None:
    start(engine, OLD)
    start(engine, NEW | OLD)
    assert rows(engine) == ["new", "old"]
    with pytest.raises(InvalidInput, match="'new'"):
        start(engine, OLD)  # going back would leave what was sealed meanwhile unreadable


def test_dropping_or_moving_the_last_key_is_refused(engine: sa.Engine) -> None:
    """Fingerprints of tokens hang on it: with another last key nobody's token would be found any more."""
    start(engine, OLD)
    with pytest.raises(InvalidInput, match="stay the last"):
        start(engine, OLD | NEW)
    start(engine, NEW | OLD)
    with pytest.raises(InvalidInput):
        start(engine, NEW)


def test_an_empty_database_accepts_any_ring(engine: sa.Engine) -> None:
    with engine.connect() as connection, sa.orm.Session(connection) as session:
        check_ring(session, SecretBox(NEW))
