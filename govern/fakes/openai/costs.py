"""Costs: usage times the price table, later than usage, in buckets of one UTC day.

Measures are added up as integers and priced at the end, in `Decimal`: the sum over any grouping is the same to the last digit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal

from govern.fakes.openai.catalogue import MEASURES, line_item, quantity_of, unit_prices
from govern.fakes.openai.ledger import everything, made_between, made_part, span
from govern.fakes.openai.organization import Organization
from govern.fakes.openai.problems import invalid
from govern.fakes.openai.tables import Json
from govern.fakes.openai.traffic import Part
from govern.fakes.openai.usage import keep
from govern.fakes.openai.wire import USAGE_READ, Call, Routes

routes = Routes(scope=USAGE_READ)
OLDER_GROUPS = ("project_id", "line_item", "api_key_id")
NEWER_GROUPS = (*OLDER_GROUPS, "user_id", "api_source")

Group = tuple[object, ...]
PriceClass = tuple[str, str | None, bool, str]


@routes.get("usage.costs", "/organization/costs")
def list_costs(call: Call) -> Json:
    org, query = call.org, call.query
    newer = org.behaviour.generation != "2026-08"
    groups = query.choices("group_by", NEWER_GROUPS if newer else OLDER_GROUPS)
    if "user_id" in groups and ("project_id" in groups or query.texts("project_ids")):
        raise invalid(
            "Grouping by user_id cannot be combined with projects for this time range", "group_by", "unsupported_combination"
        )
    since = org.behaviour.costs_by_key_since
    if since and "api_key_id" in groups and (query.integer("start_time", 0) or 0) < _midnight(since):
        raise invalid("Grouping by api_key_id is not supported for this time range", "group_by", "unsupported_combination")
    covered = span(call, width_names=("1d",), limits={"1d": (7, 180)})
    data = [
        {"object": "bucket", "start_time": low, "end_time": high, "results": _day(call, low, high, groups)}
        for low, high in covered.buckets
    ]
    return {"object": "page", "data": data, "has_more": covered.next_page is not None, "next_page": covered.next_page}


def _midnight(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())


def known_at(org: Organization, now: int) -> int:
    """Costs show what had happened by then."""
    return now - int(org.behaviour.cost_lag_hours * 3_600)


class Money:
    """Adds up amounts by line item for each group."""

    def __init__(self, generation: str) -> None:
        self._generation = generation
        self._counts: dict[tuple[Group, PriceClass], list[int]] = {}
        self._stated: dict[tuple[Group, str], list[Decimal]] = {}

    def add(self, group: Group, price_class: PriceClass, measures: tuple[int, ...]) -> None:
        found = self._counts.get((group, price_class))
        if found is None:
            self._counts[group, price_class] = list(measures)
        else:
            for index, measure in enumerate(measures):
                found[index] += measure

    def state(self, group: Group, model: str | None, usd: Decimal) -> None:
        """Money that was stated outright goes to the output of its model, with the quantity that it would have bought."""
        price = unit_prices("completions", model, False, "default")[3]
        item = line_item(self._generation, "completions", model, "output", False)
        found = self._stated.setdefault((group, item), [Decimal(0), Decimal(0)])
        found[0] += usd
        found[1] += usd / price if price else 0

    def lines(self) -> Iterator[tuple[Group, str, Decimal, Decimal | int, str | None]]:
        """(group, line item, dollars, quantity, unit)."""
        for (group, (endpoint, model, batch, tier)), counts in self._counts.items():
            prices = unit_prices(endpoint, model, batch, tier)
            for measure, count, price in zip(MEASURES[endpoint], counts, prices, strict=True):
                if count:
                    quantity, unit = quantity_of(measure, count)
                    yield group, line_item(self._generation, endpoint, model, measure, batch), count * price, quantity, unit
        for (group, item), (usd, quantity) in self._stated.items():
            yield group, item, usd, quantity, "tokens"


def gather(
    org: Organization, low: int, high: int, names: list[str], wanted: Callable[[Part], bool], *, now: int, seen: int
) -> Money:
    """Everything spent in [low, high), by the dimensions `names`.

    Of traffic, what had happened by `seen`; of spend that a control call stated, what had happened by `now`.
    """
    money, made = Money(org.behaviour.generation), made_between(org, low, high)
    traffic = [row for row in made if row.usd is None and row.at <= seen]
    for endpoint in MEASURES:
        for part in everything(org, endpoint, low, high, seen, made=traffic):
            if wanted(part):
                row = part.row
                group = tuple([getattr(row, name) for name in names])
                money.add(group, (endpoint, row.model, row.batch, row.service_tier or "default"), part.measures)
    for stated in made:
        if stated.usd is not None and stated.at <= now:
            part = made_part(org, stated)
            if wanted(part) and part.usd is not None:
                money.state(tuple([getattr(part.row, name) for name in names]), stated.model, part.usd)
    return money


def _day(call: Call, low: int, high: int, groups: list[str]) -> list[Json]:
    org, items = call.org, set(call.query.texts("line_items"))
    names = [name for name in groups if name != "line_item"]
    by_item = "line_item" in groups
    wanted = keep(call, ("project_id", "api_key_id"))
    money = gather(org, low, high, names, wanted, now=call.now, seen=known_at(org, call.now))
    sums: dict[Group, tuple[Decimal, Decimal | int, str | None]] = {}
    for group, item, usd, quantity, unit in money.lines():
        if not items or item in items:
            key = (*group, item) if by_item else group
            before = sums.get(key)
            same = before is None or unit == before[2]
            sums[key] = (before[0] + usd, before[1] + quantity, unit if same else None) if before else (usd, quantity, unit)
    order = [*names, "line_item"] if by_item else names
    known = NEWER_GROUPS if org.behaviour.generation != "2026-08" else OLDER_GROUPS
    blank: Json = dict.fromkeys(known)
    results = []
    for group, (usd, quantity, unit) in sums.items():
        result: Json = {
            "object": "organization.costs.result",
            "amount": {"value": str(usd) if org.behaviour.string_amounts else usd, "currency": "usd"},
            "quantity": quantity if by_item else None,
            "quantity_unit": unit if by_item else None,
            **blank,
        }
        result.update(zip(order, group, strict=True))
        results.append(result)
    return results
