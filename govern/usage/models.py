"""Series and facts (what OpenAI reported), the sync ledger (what was pulled when), and the rollups that reports read.

A reported row repeats many text dimensions. They are interned: one *series* per distinct combination, and narrow *facts*
(time, series) → numbers beside it. A dimension that OpenAI leaves null is stored as '', because a NULL in a unique key is
never equal to itself. The person hangs on the series, so that reports need no joins through the registry.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Mapped, mapped_column

from govern.core.db import Base, Money, UTCDateTime, words
from govern.usage.records import SERIES_ID


class UnixTime(sa.types.TypeDecorator[datetime]):
    """An aware instant stored as whole Unix seconds: facts are counted in millions, and OpenAI's buckets begin on seconds."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A time without a zone cannot be stored.")
        return int(value.timestamp())

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromtimestamp(value, UTC)


class Clock(StrEnum):
    """Where a figure comes from.

    ESTIMATED: usage × price book, minutes old. BILLED: what OpenAI charges, a day late, restated for days.
    """

    ESTIMATED = "estimated"
    BILLED = "billed"


class Basis(StrEnum):
    """How a series found its person, or why it did not.

    KEY: a key that we issued. OWNER: a personal key, or usage of a member. PROJECT: only the project is known.
    NONE: nothing is known.
    """

    KEY = "key"
    OWNER = "owner"
    PROJECT = "project"
    NONE = "none"


class Reason(StrEnum):
    """Why spend was put down to no person. NONE: it was.

    NO_KEY: OpenAI names neither key nor user, as for vector stores and sessions. UNKNOWN_KEY: no listing has shown the key.
    FOREIGN_ACCOUNT: the key of a service account that is not ours. UNKNOWN_MEMBER: its owner is nobody whom we know.
    """

    NONE = ""
    NO_KEY = "no_key"
    UNKNOWN_KEY = "unknown_key"
    FOREIGN_ACCOUNT = "foreign_account"
    UNKNOWN_MEMBER = "unknown_member"


class UsageSeries(Base):
    """One combination of usage dimensions. `*_remote_id` are OpenAI's ids; `extra` (JSON) holds further dimensions."""

    __tablename__ = "usage_series"

    id: Mapped[int] = mapped_column(SERIES_ID, primary_key=True)
    digest: Mapped[str] = mapped_column(sa.String(64), unique=True)
    endpoint: Mapped[str] = mapped_column(sa.String(60), index=True)
    width: Mapped[str] = mapped_column(sa.String(8))
    project_remote_id: Mapped[str] = mapped_column(sa.Text)
    user_remote_id: Mapped[str] = mapped_column(sa.Text)
    api_key_remote_id: Mapped[str] = mapped_column(sa.Text)
    model: Mapped[str] = mapped_column(sa.Text)
    batch: Mapped[str] = mapped_column(sa.String(8))
    service_tier: Mapped[str] = mapped_column(sa.Text)
    extra: Mapped[str] = mapped_column(sa.Text)
    basis: Mapped[Basis] = mapped_column(words(Basis))
    person_id: Mapped[str] = mapped_column(sa.String(40))
    key_id: Mapped[str] = mapped_column(sa.String(40))
    reason: Mapped[Reason] = mapped_column(words(Reason), server_default=sa.text("''"))


class UsageFact(Base):
    """What one series did in one bucket. `quantity` is in the endpoint's own unit; `detail` (JSON) keeps the rest.

    No foreign key to the series: checking it for each of a million rows a day would cost more than it protects, since only
    the sync writes here, in the transaction that interned the series.
    """

    __tablename__ = "usage_facts"
    __table_args__ = ({"sqlite_with_rowid": False, "postgresql_partition_by": "RANGE (bucket_start)"},)

    bucket_start: Mapped[datetime] = mapped_column(UnixTime, primary_key=True)
    series_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    requests: Mapped[int] = mapped_column(sa.BigInteger)
    input_tokens: Mapped[int] = mapped_column(sa.BigInteger)
    cached_tokens: Mapped[int] = mapped_column(sa.BigInteger)
    cache_write_tokens: Mapped[int] = mapped_column(sa.BigInteger)
    output_tokens: Mapped[int] = mapped_column(sa.BigInteger)
    quantity: Mapped[int] = mapped_column(sa.BigInteger)
    detail: Mapped[str] = mapped_column(sa.Text)


class CostSeries(Base):
    """One combination of cost dimensions; `extra` (JSON) holds further ones.

    `model` is a label taken from the line item where it names one; '' otherwise.
    """

    __tablename__ = "cost_series"

    id: Mapped[int] = mapped_column(SERIES_ID, primary_key=True)
    digest: Mapped[str] = mapped_column(sa.String(64), unique=True)
    project_remote_id: Mapped[str] = mapped_column(sa.Text)
    api_key_remote_id: Mapped[str] = mapped_column(sa.Text)
    line_item: Mapped[str] = mapped_column(sa.Text)
    currency: Mapped[str] = mapped_column(sa.Text)
    quantity_unit: Mapped[str] = mapped_column(sa.Text)
    user_remote_id: Mapped[str] = mapped_column(sa.Text, server_default=sa.text("''"))
    extra: Mapped[str] = mapped_column(sa.Text, server_default=sa.text("''"))
    model: Mapped[str] = mapped_column(sa.Text)
    basis: Mapped[Basis] = mapped_column(words(Basis))
    person_id: Mapped[str] = mapped_column(sa.String(40))
    key_id: Mapped[str] = mapped_column(sa.String(40))
    reason: Mapped[Reason] = mapped_column(words(Reason), server_default=sa.text("''"))


class CostFact(Base):
    """What one cost series was billed on one UTC day. `quantity` is decimal text, '' where OpenAI gave none."""

    __tablename__ = "cost_facts"
    __table_args__ = ({"sqlite_with_rowid": False},)

    day: Mapped[date] = mapped_column(primary_key=True)
    series_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    amount: Mapped[Decimal] = mapped_column(Money)
    quantity: Mapped[str] = mapped_column(sa.Text)


class SyncWindow(Base):
    """The sync ledger: one UTC day of one endpoint. `digests` maps each bucket's Unix second to a digest of its rows.

    `pulled_at` is when the reading began: what happened later is not in it. `settled_at` is set when the day had been over,
    and unchanged, for long enough that it is taken as final. `purged_at`: its hourly facts were forgotten since; what they add
    up to stays in `usage_days`.
    """

    __tablename__ = "sync_windows"

    endpoint: Mapped[str] = mapped_column(sa.String(60), primary_key=True)
    width: Mapped[str] = mapped_column(sa.String(8), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    pulled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    covers_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    restated_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    settled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    purged_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    rows: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    digests: Mapped[dict[str, str]] = mapped_column(sa.JSON)


class DailySpend(Base):
    """The finest rollup: one UTC day on one clock, by project, API key, person, model and endpoint. Always recomputed whole.

    `counts` says whether the row belongs to the figure that counts: of a settled day the billed rows; of another day, project
    by project, the clock that shows more. `unpriced_tokens` are tokens of models that have no price (or
    images, seconds…, where that is what is counted). A bill
    names no endpoint: it is '' on billed rows. `reason` is the `Reason` of rows without a person.
    """

    __tablename__ = "daily_spend"
    __table_args__ = (
        sa.Index("ix_daily_spend_person", "person_id", "day"),
        sa.Index("ix_daily_spend_api_key", "api_key_remote_id", "day"),
        {"sqlite_with_rowid": False},
    )

    day: Mapped[date] = mapped_column(primary_key=True)
    clock: Mapped[Clock] = mapped_column(words(Clock), primary_key=True)
    project_remote_id: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    api_key_remote_id: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    person_id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    model: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    endpoint: Mapped[str] = mapped_column(sa.String(60), primary_key=True, server_default=sa.text("''"))
    reason: Mapped[str] = mapped_column(sa.String(20), primary_key=True, server_default=sa.text("''"))
    key_id: Mapped[str] = mapped_column(sa.String(40))
    counts: Mapped[bool]
    amount: Mapped[Decimal] = mapped_column(Money)
    requests: Mapped[int] = mapped_column(sa.BigInteger)
    input_tokens: Mapped[int] = mapped_column(sa.BigInteger)
    cached_tokens: Mapped[int] = mapped_column(sa.BigInteger)
    output_tokens: Mapped[int] = mapped_column(sa.BigInteger)
    unpriced_tokens: Mapped[int] = mapped_column(sa.BigInteger)


class Cube(StrEnum):
    """A coarser rollup; `cells.KEPT` says what each keeps apart."""

    TOTALS = "totals"
    PROJECTS = "projects"
    REASONS = "reasons"
    MODELS = "models"
    TEAMS = "teams"
    KINDS = "kinds"
    TEAM_KINDS = "team_kinds"
    PEOPLE = "people"
    HOLDERS = "holders"


class SpendCell(Base):
    """The coarser rollups that reports over everybody read: a stretch of 2^`level` days, both clocks side by side.

    What a cube does not keep apart is ''. `whose` says whether a cell is a person's, a project's own, or unattributed; `key`
    is our key's id, else OpenAI's. `best_*` are the parts that count. Cells of one cube and stretch are replaced together, so
    nothing has to find a single one: there is no unique key over eleven columns, only the order in which they are read.
    """

    __tablename__ = "spend_cells"
    __table_args__ = (sa.Index("ix_spend_cells_stretch", "cube", "level", "first_day"),)

    id: Mapped[int] = mapped_column(SERIES_ID, primary_key=True)
    cube: Mapped[Cube] = mapped_column(words(Cube))
    level: Mapped[int] = mapped_column(sa.SmallInteger)
    first_day: Mapped[date]
    whose: Mapped[str] = mapped_column(sa.String(20))
    project: Mapped[str] = mapped_column(sa.Text)
    key: Mapped[str] = mapped_column(sa.Text)
    person: Mapped[str] = mapped_column(sa.String(40))
    team: Mapped[str] = mapped_column(sa.String(200))
    cost_centre: Mapped[str] = mapped_column(sa.String(200))
    model: Mapped[str] = mapped_column(sa.Text)
    endpoint: Mapped[str] = mapped_column(sa.String(60))
    line_item: Mapped[str] = mapped_column(sa.Text)
    reason: Mapped[str] = mapped_column(sa.String(20), server_default=sa.text("''"))
    billed: Mapped[Decimal] = mapped_column(Money)
    estimated: Mapped[Decimal] = mapped_column(Money)
    best_billed: Mapped[Decimal] = mapped_column(Money)
    best_estimated: Mapped[Decimal] = mapped_column(Money)
    requests: Mapped[int] = mapped_column(sa.BigInteger)
    input_tokens: Mapped[int] = mapped_column(sa.BigInteger)
    cached_tokens: Mapped[int] = mapped_column(sa.BigInteger)
    output_tokens: Mapped[int] = mapped_column(sa.BigInteger)
    unpriced_tokens: Mapped[int] = mapped_column(sa.BigInteger)


class SpendStretch(Base):
    """Which stretches have their cells. A day that changes takes away the longer ones that hold it; a job makes them again."""

    __tablename__ = "spend_stretches"

    level: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True)
    first_day: Mapped[date] = mapped_column(primary_key=True)


class SeenAssignment(Base):
    """The assignments with which the cells were made: where they differ from the people's own, days are made anew."""

    __tablename__ = "spend_assignments"

    person_id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    from_on: Mapped[date] = mapped_column(primary_key=True)
    until_on: Mapped[date | None]
    team: Mapped[str] = mapped_column(sa.String(200))
    cost_centre: Mapped[str] = mapped_column(sa.String(200))
