"""What stops a call on the data plane, or makes a mail: rate limits, model permissions, spend limits and spend alerts.

Spend is counted from usage and the price table, not from costs, since the first day of the UTC month. It is known to
the limits only after `spend_limit_lag_seconds`, so they let a little too much through, as the real ones do.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from govern.fakes.openai.catalogue import MEASURES, Model, find_model, unit_prices
from govern.fakes.openai.ledger import made_between, made_part
from govern.fakes.openai.organization import Organization
from govern.fakes.openai.problems import refusal
from govern.fakes.openai.traffic import DAY, Part, parts, seeded_factor


def model_allowed(org: Organization, project_id: str, name: str) -> bool:
    policy = org.tables.projects[project_id].model_policy
    if policy is None:
        return True
    found = find_model(name)
    names = {name} | ({found.name, found.alias or found.name} if found else set())
    listed = bool(names & set(policy["model_ids"]))
    return listed if policy["mode"] == "allow_list" else not listed


def check_rate(org: Organization, project_id: str, model: Model) -> None:
    """The project's requests a minute for this model. Only limits that somebody set are watched."""
    limit = org.tables.projects[project_id].rate_limits.get(model.name, {}).get("max_requests_per_1_minute")
    if limit is None:
        return
    since = org.clock.seconds() - 60
    recent = 0
    for row in reversed(org.tables.metered[-10_000:]):
        recent += row.usd is None and row.at > since and row.project_id == project_id and row.model == model.name
    if recent >= limit:
        raise refusal(
            429,
            f"Rate limit reached for {model.name} in project {project_id} on requests per min: Limit {limit}.",
            kind="requests",
            code="rate_limit_exceeded",
            headers={"x-ratelimit-limit-requests": str(limit), "x-ratelimit-remaining-requests": "0", "Retry-After": "20"},
        )


def check_spend(org: Organization, project_id: str) -> None:
    at = org.clock.seconds() - int(org.behaviour.spend_limit_lag_seconds)
    for limit, scope, code in (
        (org.tables.spend_limit, None, "organization_spend_limit_exceeded"),
        (org.tables.projects[project_id].spend_limit, project_id, "project_spend_limit_exceeded"),
    ):
        if limit and month_to_date(org, scope, at) * 100 >= limit["threshold_amount"]:
            raise refusal(429, "You exceeded your spend limit for this month.", kind="insufficient_quota", code=code)


def mail_alerts(org: Organization) -> None:
    """Write down a mail for each alert whose threshold this month's spend has passed, once a month. Alerts never block."""
    at = org.clock.seconds() - int(org.behaviour.spend_limit_lag_seconds)
    month = datetime.fromtimestamp(at, UTC).strftime("%Y-%m")
    for alert in org.tables.alerts.values():
        if month not in alert.mailed_months and month_to_date(org, alert.project_id, at) * 100 >= alert.threshold_amount:
            alert.mailed_months.append(month)
            mail = {"alert_id": alert.id, "project_id": alert.project_id, "month": month, "recipients": alert.recipients}
            org.tables.alert_mails.append(mail)


def month_to_date(org: Organization, project_id: str | None, at: int) -> Decimal:
    """Dollars since the month began. Of today's seeded traffic, what had happened by the last full minute."""
    start = int(datetime.fromtimestamp(at, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp())
    seeded = (_seeded_day(org, project_id, low, min(low + DAY, at // 60 * 60)) for low in range(start, at, DAY))
    made = (
        part.usd if part.usd is not None else _price(part)
        for part in (made_part(org, row) for row in made_between(org, start, at + 1))
        if project_id in {None, part.row.project_id}
    )
    return sum(seeded, Decimal(0)) + sum(made, Decimal(0))


def _seeded_day(org: Organization, project_id: str | None, low: int, high: int) -> Decimal:
    """Each answer is remembered: a limit is asked at every call, and the past changes only when a day is restated."""
    known_at = org.clock.seconds() // 60 * 60
    wanted = (project_id, high, len(org.tables.restatements), seeded_factor(org, low // DAY, known_at))
    if wanted not in org.spend_cache:
        found = (part for endpoint in MEASURES for part in parts(org, endpoint, low, high, known_at))
        org.spend_cache[wanted] = sum((_price(p) for p in found if project_id in {None, p.row.project_id}), Decimal(0))
    return org.spend_cache[wanted]


def _price(part: Part) -> Decimal:
    prices = unit_prices(part.row.endpoint, part.row.model, part.row.batch, part.row.service_tier or "default")
    return sum((count * price for count, price in zip(part.measures, prices, strict=True)), Decimal(0))
