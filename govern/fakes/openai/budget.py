"""What stops a call on the data plane, or makes a mail: rate limits, model permissions, spend limits and spend alerts.

Spend is counted from usage and the price table, not from costs, since the first day of the UTC month. It is known to
the limits only after `spend_limit_lag_seconds`, so they let a little too much through, as the real ones do.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from govern.fakes.openai.catalogue import Model, find_model
from govern.fakes.openai.costs import gather
from govern.fakes.openai.organization import Organization
from govern.fakes.openai.problems import refusal
from govern.fakes.openai.traffic import DAY, Part


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
    """Dollars since the month began. Seeded traffic is counted up to the last full minute and remembered until the next."""
    start = int(datetime.fromtimestamp(at, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp())
    total = Decimal(0)
    for low in range(start, at + 1, DAY):
        total += _day(org, project_id, low, min(low + DAY, at + 1), at)
    return total


def _day(org: Organization, project_id: str | None, low: int, high: int, at: int) -> Decimal:
    def wanted(part: Part) -> bool:
        return project_id is None or part.row.project_id == project_id

    return sum((line[2] for line in gather(org, low, high, [], wanted, now=at, seen=at + 1).lines()), Decimal(0))
