"""What an alert says, in words: the same for every attempt, since it is made from the alert's row alone."""

from __future__ import annotations

from decimal import Decimal

from govern.budgets.models import Alert, Budget, Note, Scope
from govern.budgets.rules import dollars, percent
from govern.budgets.windows import DAY, Window, window_of
from govern.notices.words import Words, message, one_line
from govern.ports import Message

LINK = "Open the alert"


def compose(alert: Alert, budget: Budget, note: Note, *, message_id: str, web_url: str) -> Message:
    """The message about this alert. `message_id` stays the same over retries; links begin with `web_url`."""
    tell = _withdrawn if note is Note.WITHDRAWN else _foreseen if alert.on_forecast else _crossed
    words = tell(alert, budget, web_url)
    return message(words, message_id, _facts(alert, budget, note, words.link))


def _crossed(alert: Alert, budget: Budget, web_url: str) -> Words:
    window = window_of(alert.window, budget.zone)
    label = one_line(alert.label)
    used = percent(alert.spent_usd, alert.limit_usd)
    lead = (
        f"{_whose(budget, label)} has used {used} % of its {window.name} budget “{budget.name}”: "
        f"{dollars(alert.spent_usd)} of {dollars(alert.limit_usd)}. The threshold of {alert.reached.words} is reached."
    )
    details = [
        f"Of this, {dollars(alert.billed_usd)} is billed by OpenAI and {dollars(alert.estimated_usd)} is estimated from usage. "
        "A day that is settled counts as billed; on any other day the higher of the two counts, project by project, "
        "so the figure may still change.",
        f"It counts {_days(window, budget.zone)}.",
    ]
    if alert.late:
        details.insert(0, f"This is late data: {window.short} was over when it arrived.")
    return Words(f"{label} has used {used} % of its {window.short} budget", lead, tuple(details), _link(alert, web_url), LINK)


def _foreseen(alert: Alert, budget: Budget, web_url: str) -> Words:
    window = window_of(alert.window, budget.zone)
    label, likely = one_line(alert.label), alert.forecast_usd or Decimal(0)
    used = percent(likely, alert.limit_usd)
    lead = (
        f"{_whose(budget, label)} will likely have used {used} % of its {window.name} budget “{budget.name}” when the window "
        f"ends: {dollars(likely)} of {dollars(alert.limit_usd)}. The threshold of {alert.reached.words} is reached."
    )
    details = (
        f"So far {dollars(alert.spent_usd)} are spent. The forecast goes by the habits of the last weeks; a budget's page says "
        "in which band it lies, and how often that band held.",
        f"It counts {_days(window, budget.zone)}. This is told once, also if the forecast falls and rises again.",
    )
    subject = f"Forecast: {label} will use {used} % of its {window.short} budget"
    return Words(subject, lead, details, _link(alert, web_url), LINK)


def _withdrawn(alert: Alert, budget: Budget, web_url: str) -> Words:
    window = window_of(alert.window, budget.zone)
    label, now = one_line(alert.label), alert.withdrawn_usd or Decimal(0)
    used = percent(now, alert.limit_usd)
    lead = (
        f"A correction took the spend of {_whose(budget, label, start=False)} back to {used} % of its {window.name} "
        f"budget “{budget.name}”: {dollars(now)} of {dollars(alert.limit_usd)}. "
        f"The alert for {alert.reached.words} said {dollars(alert.spent_usd)}."
    )
    details = (f"It will not be raised again for {window.short}, even if the threshold is reached once more.",)
    subject = f"Correction: {label} has used {used} % of its {window.short} budget"
    return Words(subject, lead, details, _link(alert, web_url), LINK)


def _whose(budget: Budget, label: str, *, start: bool = True) -> str:
    if budget.per_person:
        return label
    match budget.scope:
        case Scope.PROJECT:
            return f"{'The' if start else 'the'} project {label}"
        case Scope.PERSON:
            return label
        case _:  # "The organization", "Team Search"
            return label if start else label[:1].lower() + label[1:]


def _days(window: Window, zone: str) -> str:
    """Which days are counted, and in whose time."""
    last = window.end_day - DAY
    days = f"{window.first_day} to {last}" if last != window.first_day else f"{last}"
    return f"{days} ({zone}, in whole UTC days as OpenAI bills them)"


def _link(alert: Alert, web_url: str) -> str:
    """The alert's page, and not the budget's: whoever a budget for each person is about may see only the former."""
    return f"{web_url}/alerts/{alert.id}"


def _facts(alert: Alert, budget: Budget, note: Note, link: str) -> dict[str, object]:
    facts: dict[str, object] = {
        "type": f"budget.threshold_{note.value}", "at": (alert.withdrawn_at if note is Note.WITHDRAWN else alert.raised_at),
        "alert_id": alert.id, "budget_id": budget.id, "budget": budget.name, "scope": budget.scope.value,
        "scope_id": budget.scope_id, "label": one_line(alert.label), "window": alert.window,
        "person_id": alert.person_id or None, "zone": budget.zone,
        "threshold": alert.reached.percent or None,
        "threshold_usd": alert.reached.usd or None, "limit_usd": alert.limit_usd, "spent_usd": alert.spent_usd,
        "billed_usd": alert.billed_usd, "estimated_usd": alert.estimated_usd, "late": alert.late, "url": link,
        "on_forecast": alert.on_forecast, "forecast_usd": alert.forecast_usd,
    }  # fmt: skip
    return facts | {"corrected_usd": alert.withdrawn_usd} if note is Note.WITHDRAWN else facts
