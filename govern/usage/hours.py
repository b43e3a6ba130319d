"""Hours of a short range: read from what OpenAI reported itself and priced here, because no rollup keeps hours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.clock import from_unix
from govern.usage.measures import Measures, detail_of
from govern.usage.models import UsageFact, UsageSeries
from govern.usage.names import By, whose
from govern.usage.prices import PriceBook
from govern.usage.questions import Counts, Figure, Question, Row, hour_label
from govern.usage.rules import midnight
from govern.usage.sources import limits
from govern.usage.standing import on_day, standings


def rows(session: Session, question: Question, prices: PriceBook) -> list[Row]:
    """The groups of every hour, in the order of the groups. Estimated, whatever the clock: a bill has no hours."""
    s, f, standing = UsageSeries, UsageFact, standings()
    columns: dict[By, Any] = {
        By.WHOSE: whose(s.person_id, s.project_remote_id), By.PROJECT: s.project_remote_id, By.PERSON: s.person_id,
        By.KEY: sa.case((s.key_id != "", s.key_id), else_=s.api_key_remote_id), By.MODEL: s.model, By.ENDPOINT: s.endpoint,
        By.TEAM: sa.func.coalesce(standing.c.team, ""), By.COST_CENTRE: sa.func.coalesce(standing.c.cost_centre, ""),
        By.REASON: sa.type_coerce(s.reason, sa.Text),
    }  # fmt: skip
    second = sa.type_coerce(f.bucket_start, sa.BigInteger)
    hour = second - second % 3600
    asked = [hour if by is By.HOUR else columns[by] for by in question.by]
    measured = (f.requests, f.input_tokens, f.cached_tokens, f.cache_write_tokens, f.output_tokens, f.quantity)
    priced_by = (s.endpoint, s.model, s.batch, s.service_tier, f.detail)
    query = (
        sa.select(*asked, hour, *priced_by, sa.func.count(), *(sa.func.sum(each) for each in measured))
        .join(s, s.id == f.series_id)
        .where(f.bucket_start >= midnight(question.start), f.bucket_start < midnight(question.end))
        .where(*limits(session, question.only, columns, s.api_key_remote_id, s.person_id))
        .group_by(*asked, hour, *priced_by)
    )
    if question.asked & {By.TEAM, By.COST_CENTRE}:
        query = query.outerjoin(standing, on_day(standing, s.person_id, _day_of(session, f.bucket_start)))
    found: dict[tuple[str, ...], list[Any]] = defaultdict(lambda: [Decimal(0), 0, 0, 0, 0, 0])
    width = len(asked)
    for row in session.execute(query):
        at = from_unix(int(row[width]))
        endpoint, model, batch, tier, detail, count, *totals = row[width + 1 :]
        group = tuple(hour_label(at) if by is By.HOUR else str(value) for by, value in zip(question.by, row[:width], strict=True))
        measures = Measures._make([*map(int, totals), ""])
        price = prices.find(model, at.date(), endpoint)
        sums = found[group]
        if price is None:
            sums[5] += measures.input_tokens + measures.output_tokens
        else:
            parts = {name: value * count for name, value in detail_of(detail).items()}
            sums[0] += price.of(measures, parts, batch=batch == "true", tier=tier)
        for at_, value in enumerate(
            (measures.requests, measures.input_tokens, measures.cached_tokens, measures.output_tokens), 1
        ):
            sums[at_] += value
    return [Row(group, Figure(sums[0], Decimal(0), sums[0]), Counts(*sums[1:])) for group, sums in sorted(found.items())]


def page(
    found: Sequence[Row],
    *,
    bounds: Sequence[Any] | None,
    limit: int | None,
    largest_first: bool,
    among: Collection[tuple[str, ...]] | None,
) -> list[Row]:
    """The rows that a list asks for, in its order; `bounds` are the amount (largest first only) and the group seen last."""

    def order(row: Row) -> tuple[Any, ...]:
        return (-row.figure.amount, *row.group) if largest_first else row.group

    kept = sorted((row for row in found if among is None or row.group in among), key=order)
    if bounds is not None:
        last = (-bounds[0], *bounds[1:]) if largest_first else tuple(bounds)
        kept = [row for row in kept if order(row) > last]
    return kept[:limit]


def _day_of(session: Session, bucket_start: Any) -> Any:
    """The UTC day of a bucket, as a date that the database can compare with dates."""
    second = sa.type_coerce(bucket_start, sa.BigInteger)
    if session.get_bind().dialect.name == "postgresql":
        return sa.cast(sa.func.timezone("UTC", sa.func.to_timestamp(second)), sa.Date)
    return sa.func.date(second, "unixepoch", type_=sa.Date)
