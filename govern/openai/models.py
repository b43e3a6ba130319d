"""What pacing has learned, kept over restarts."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from govern.core.db import Base, UTCDateTime


class PacingBucket(Base):
    """One family of calls, such as `/organization/projects/{}/api_keys`, and the rate that OpenAI was found to bear.

    `requests_per_minute` is null while no limit is known. `refused_per_minute` is the rate at which the last refusal came.
    """

    __tablename__ = "pacing_buckets"

    family: Mapped[str] = mapped_column(sa.String(200), primary_key=True)
    requests_per_minute: Mapped[float | None]
    refused_per_minute: Mapped[float | None]
    tokens: Mapped[float]
    blocked_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    refusals: Mapped[int] = mapped_column(default=0)
    last_refused_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime)
