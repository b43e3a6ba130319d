"""Money and time in the columns of both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import count
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from govern.core.db import Money, UTCDateTime, make_engine, to_nano

LIMIT = Decimal("9200000000")
MONEY = st.decimals(-LIMIT, LIMIT, places=9)
TIMES = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.timezones())


class _Base(DeclarativeBase):
    """Tables of this test alone."""


class Amount(_Base):
    __tablename__ = "test_amounts"

    id: Mapped[int] = mapped_column(primary_key=True)
    batch: Mapped[int] = mapped_column(index=True)
    usd: Mapped[Decimal | None] = mapped_column(Money)


class Instant(_Base):
    __tablename__ = "test_instants"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime | None] = mapped_column(UTCDateTime)


_batches = count()


@pytest.fixture
def engine(database_url: str):
    engine = make_engine(database_url)
    _Base.metadata.create_all(engine)
    yield engine
    _Base.metadata.drop_all(engine)
    engine.dispose()


def stored(session: Session, amounts: list[Decimal]) -> int:
    batch = next(_batches)
    session.add_all([Amount(batch=batch, usd=amount) for amount in amounts])
    session.flush()
    session.expire_all()
    return batch


# One migrated database serves all examples, and each runs once per kind of database: both are meant.
MEANT = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]
few = settings(max_examples=40, deadline=None, suppress_health_check=MEANT)


class TestMoney:
    @few
    @given(amounts=st.lists(MONEY, min_size=1, max_size=10))
    def test_comes_back_exactly(self, engine: sa.Engine, amounts: list[Decimal]) -> None:
        with Session(engine) as session:
            batch = stored(session, amounts)
            back = session.scalars(sa.select(Amount.usd).where(Amount.batch == batch).order_by(Amount.id)).all()
        assert back == amounts
        assert all(isinstance(amount, Decimal) for amount in back)

    @few
    @given(amounts=st.lists(st.decimals(-1_000_000, 1_000_000, places=9), min_size=1, max_size=10))
    def test_is_summed_and_compared_exactly_by_the_database(self, engine: sa.Engine, amounts: list[Decimal]) -> None:
        with Session(engine) as session:
            batch = stored(session, amounts)
            mine = Amount.batch == batch
            total, least, most = session.execute(
                sa.select(sa.func.sum(Amount.usd), sa.func.min(Amount.usd), sa.func.max(Amount.usd)).where(mine)
            ).one()
            larger = session.scalar(sa.select(sa.func.count()).where(mine, Amount.usd > amounts[0]))
        assert (total, least, most) == (sum(amounts), min(amounts), max(amounts))
        assert isinstance(total, Decimal)
        assert larger == sum(amount > amounts[0] for amount in amounts)

    def test_many_tiny_amounts_do_not_drift(self, engine: sa.Engine) -> None:
        with Session(engine) as session:
            batch = next(_batches)
            session.execute(sa.insert(Amount), [{"batch": batch, "usd": Decimal("0.000000001")}] * 10_000)
            total = session.scalar(sa.select(sa.func.sum(Amount.usd)).where(Amount.batch == batch))
        assert total == Decimal("0.00001")

    def test_nothing_is_nothing(self, engine: sa.Engine) -> None:
        with Session(engine) as session:
            batch = stored(session, [])
            assert session.scalar(sa.select(sa.func.sum(Amount.usd)).where(Amount.batch == batch)) is None

    @pytest.mark.parametrize("wrong", [1.5, 1, "1.5", True])
    def test_anything_but_a_decimal_is_refused(self, wrong: object) -> None:
        with pytest.raises(TypeError, match="Decimal"):
            Money().process_bind_param(wrong, sa.create_engine("sqlite://").dialect)  # type: ignore[arg-type]

    @pytest.mark.parametrize("fine", ["0.0000000001", "1.0000000005", "1E-20"])
    def test_what_is_finer_than_stored_is_refused_not_rounded(self, fine: str) -> None:
        with pytest.raises(ValueError, match="nano"):
            Money().process_bind_param(Decimal(fine), sa.create_engine("sqlite://").dialect)

    @pytest.mark.parametrize(
        ("amount", "rounded"),
        [
            ("0.0000000005", "0"),
            ("0.0000000015", "0.000000002"),
            ("0.0000000025", "0.000000002"),
            ("-1.2345678919", "-1.234567892"),
        ],
    )
    def test_rounding_on_purpose_is_half_even(self, amount: str, rounded: str) -> None:
        assert to_nano(Decimal(amount)) == Decimal(rounded)


class TestUTCDateTime:
    @few
    @given(at=TIMES)
    def test_comes_back_as_the_same_instant_in_utc(self, engine: sa.Engine, at: datetime) -> None:
        with Session(engine) as session:
            row = Instant(at=at)
            session.add(row)
            session.flush()
            session.expire_all()
            assert row.at is not None
            assert row.at == at.astimezone(UTC)
            assert row.at.tzinfo is UTC

    def test_two_readings_of_one_wall_clock_stay_apart(self, engine: sa.Engine) -> None:
        berlin = ZoneInfo("Europe/Berlin")
        twice = [datetime(2026, 10, 25, 2, 30, tzinfo=berlin, fold=fold) for fold in (0, 1)]
        with Session(engine) as session:
            session.add_all([Instant(at=at) for at in twice])
            session.flush()
            session.expire_all()
            first, second = session.scalars(sa.select(Instant.at).order_by(Instant.id))
        assert second - first == timedelta(hours=1)

    def test_is_compared_by_the_database_as_an_instant(self, engine: sa.Engine) -> None:
        at = datetime(2026, 3, 10, 12, tzinfo=UTC)
        with Session(engine) as session:
            session.add(Instant(at=at))
            session.flush()
            elsewhere = at.astimezone(timezone(timedelta(hours=9)))
            assert session.scalar(sa.select(sa.func.count()).where(Instant.at == elsewhere)) == 1
            assert session.scalar(sa.select(sa.func.count()).where(Instant.at < elsewhere)) == 0

    def test_a_time_without_a_zone_is_refused(self, engine: sa.Engine) -> None:
        with Session(engine) as session:
            session.add(Instant(at=datetime(2026, 3, 10)))
            with pytest.raises(sa.exc.StatementError, match="zone"):
                session.flush()


def test_a_plain_postgresql_address_gets_our_driver() -> None:
    engine = make_engine("postgresql://someone:pw@db.example/govern")
    assert engine.url.drivername == "postgresql+psycopg"
    assert "pw" not in repr(engine)


def test_sqlite_writes_ahead_and_waits_for_others(tmp_path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/x.db")
    with engine.connect() as connection:
        read = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
        patience = connection.exec_driver_sql("PRAGMA busy_timeout").scalar()
    engine.dispose()
    assert read == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    assert patience >= 5000
