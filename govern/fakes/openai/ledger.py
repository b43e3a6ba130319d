"""All traffic of a stretch of time, seeded and made, and where a question about it is cut into buckets and pages."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from govern.fakes.openai import traffic
from govern.fakes.openai.habits import Row
from govern.fakes.openai.organization import Organization
from govern.fakes.openai.problems import invalid
from govern.fakes.openai.tables import Metered
from govern.fakes.openai.traffic import DAY, Part
from govern.fakes.openai.wire import Call

WIDTHS = {"1m": 60, "1h": 3_600, "1d": DAY}
LIMITS = {"1m": (60, 1_440), "1h": (24, 168), "1d": (7, 31)}


@dataclass(frozen=True, slots=True)
class Span:
    """What one page covers: its buckets, each [start, end), and the token of the page after it."""

    buckets: list[tuple[int, int]]
    next_page: str | None


def span(call: Call, *, width_names: tuple[str, ...], limits: dict[str, tuple[int, int]]) -> Span:
    """Read start_time, end_time, bucket_width, limit and page. `limit` counts buckets, and a page token is opaque
    and contains `=`.
    """
    query = call.query
    start = query.integer("start_time", 0)
    if start is None:
        raise invalid("Missing required parameter: 'start_time'", "start_time", "missing_required_parameter")
    name = query.choice("bucket_width", width_names, "1d")
    width, (default, longest) = WIDTHS[name], limits[name]
    limit = query.integer("limit", 1, longest) or default
    asked = query.integer("end_time", 0)
    if asked is not None and asked <= start:
        raise invalid("'end_time' must be after 'start_time'", "end_time", "invalid_value")
    # Without an end the answer runs to the end of the bucket that is filling now.
    end = (call.now // width + 1) * width if asked is None else asked
    token = query.text("page")
    low = start if token is None else _untoken(token, start, end)
    buckets: list[tuple[int, int]] = []
    while low < end and len(buckets) < limit:
        high = min((low // width + 1) * width, end)
        buckets.append((low, high))
        low = high
    return Span(buckets, _token(low) if low < end else None)


def everything(org: Organization, endpoint: str, low: int, high: int, now: int, *, made: list[Metered]) -> Iterator[Part]:
    """What happened at the endpoint in [low, high) as known at `now`. `made` is what `made_between` gave."""
    for begin in range(low // DAY * DAY, high, DAY):
        yield from traffic.parts(org, endpoint, max(low, begin), min(high, begin + DAY), now)
    for row in made:
        if row.endpoint == endpoint and low <= row.at < high and (row.at <= now):
            yield made_part(org, row)


def made_between(org: Organization, low: int, high: int) -> list[Metered]:
    return [row for row in org.tables.metered if low <= row.at < high]


def made_part(org: Organization, row: Metered) -> Part:
    """A metered row as traffic, with the corrections of its day."""
    top, bottom = org.restated(row.at // DAY, row.project_id)
    tier = row.tier if row.endpoint in {"completions", "decisions"} else None
    shape = Row(
        row.endpoint, row.project_id, row.user_id, row.api_key_id, row.model, False, tier, "always", row.requests,
        tuple(row.measures),        source=row.source, size=row.size, api_source="unlabeled",
    )  # fmt: skip
    usd = None if row.usd is None else Decimal(row.usd) * top / bottom
    return Part(shape, row.requests, tuple(measure * top // bottom for measure in row.measures), usd)


def _token(at: int) -> str:
    return "page_" + base64.urlsafe_b64encode(struct.pack(">Q", at)).decode()


def _untoken(token: str, start: int, end: int) -> int:
    try:
        at = int(struct.unpack(">Q", base64.urlsafe_b64decode(token.removeprefix("page_")))[0])
    except (binascii.Error, struct.error):
        at = -1
    if not token.startswith("page_") or not start < at < end:
        raise invalid("Invalid page token", "page", "invalid_page")
    return at
