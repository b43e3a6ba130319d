"""What an alert says, in words: the same for every attempt, since it is made from the alert's row alone."""

from __future__ import annotations

import html
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from govern.budgets.models import Alert, Budget, Note, Scope
from govern.budgets.rules import percent, window_of
from govern.ports import Message


@dataclass(frozen=True)
class _Words:
    """The pieces of a message."""

    subject: str
    lead: str
    details: tuple[str, ...]
    link: str


def compose(alert: Alert, budget: Budget, note: Note, *, message_id: str, web_url: str) -> Message:
    """The message about this alert. `message_id` stays the same over retries; links begin with `web_url`."""
    words = _crossed(alert, budget, web_url) if note is Note.CROSSED else _withdrawn(alert, budget, web_url)
    text = "\n\n".join([words.lead, *words.details, f"Details: {words.link}"]) + "\n"
    return Message(message_id, words.subject, text, _page(words), _facts(alert, budget, note, words.link))


def _crossed(alert: Alert, budget: Budget, web_url: str) -> _Words:
    window = window_of(alert.window, budget.zone)
    label = _one_line(alert.label)
    used = percent(alert.spent_usd, alert.limit_usd)
    last = window.end_day - timedelta(days=1)
    lead = (
        f"{_whose(budget, label)} has used {used} % of its {window.month} {window.year} budget “{budget.name}”: "
        f"{dollars(alert.spent_usd)} of {dollars(alert.limit_usd)}. The threshold of {alert.threshold} % is reached."
    )
    details = [
        f"Of this, {dollars(alert.billed_usd)} is billed by OpenAI and {dollars(alert.estimated_usd)} is estimated from usage. "
        "A day that is settled counts as billed; on any other day the higher of the two counts, project by project, "
        "so the figure may still change.",
        f"The month runs from {window.first_day} to {last} ({budget.zone}, in whole UTC days as OpenAI bills them).",
    ]
    if alert.late:
        details.insert(0, f"This is late data: {window.month} was over when it arrived.")
    return _Words(f"{label} has used {used} % of its {window.month} budget", lead, tuple(details), _link(budget, web_url))


def _withdrawn(alert: Alert, budget: Budget, web_url: str) -> _Words:
    window = window_of(alert.window, budget.zone)
    label, now = _one_line(alert.label), alert.withdrawn_usd or Decimal(0)
    used = percent(now, alert.limit_usd)
    lead = (
        f"A correction took the spend of {_whose(budget, label, start=False)} back to {used} % of its {window.month} "
        f"{window.year} budget “{budget.name}”: {dollars(now)} of {dollars(alert.limit_usd)}. "
        f"The alert for {alert.threshold} % said {dollars(alert.spent_usd)}."
    )
    details = ("It will not be raised again for this month, even if the threshold is reached once more.",)
    subject = f"Correction: {label} has used {used} % of its {window.month} budget"
    return _Words(subject, lead, details, _link(budget, web_url))


def _whose(budget: Budget, label: str, *, start: bool = True) -> str:
    match budget.scope:
        case Scope.PROJECT:
            return f"{'The' if start else 'the'} project {label}"
        case Scope.ORGANIZATION:
            return label if start else label[:1].lower() + label[1:]
        case Scope.PERSON:
            return label


def _link(budget: Budget, web_url: str) -> str:
    return f"{web_url}/budgets/{budget.id}"


def _facts(alert: Alert, budget: Budget, note: Note, link: str) -> dict[str, object]:
    facts: dict[str, object] = {
        "type": f"budget.threshold_{note.value}", "at": (alert.withdrawn_at if note is Note.WITHDRAWN else alert.raised_at),
        "alert_id": alert.id, "budget_id": budget.id, "budget": budget.name, "scope": budget.scope.value,
        "scope_id": budget.scope_id, "label": _one_line(alert.label), "window": alert.window, "zone": budget.zone,
        "threshold": alert.threshold, "limit_usd": alert.limit_usd, "spent_usd": alert.spent_usd,
        "billed_usd": alert.billed_usd, "estimated_usd": alert.estimated_usd, "late": alert.late, "url": link,
    }  # fmt: skip
    return facts | {"corrected_usd": alert.withdrawn_usd} if note is Note.WITHDRAWN else facts


def dollars(amount: Decimal) -> str:
    """For people: two decimals, rounded for display only; a cost below a cent does not read as nothing."""
    if amount and abs(amount) < Decimal("0.01"):
        return "less than $0.01"
    sign = "-" if amount < 0 else ""
    return f"{sign}${abs(amount):,.2f}"


def _one_line(text: str) -> str:
    """Names come from outside: no line breaks or control characters in a subject."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _page(words: _Words) -> str:
    paragraphs = "".join(f'<p style="margin:0 0 12px">{html.escape(detail)}</p>' for detail in words.details)
    link = html.escape(words.link, quote=True)
    return (
        '<!doctype html><html lang="en">'
        '<body style="font-family:system-ui,sans-serif;font-size:15px;line-height:1.5;color:#182433">'
        f'<h1 style="font-size:18px;margin:0 0 12px">{html.escape(words.subject)}</h1>'
        f'<p style="margin:0 0 12px">{html.escape(words.lead)}</p>{paragraphs}'
        f'<p style="margin:0"><a href="{link}">Open the budget</a></p></body></html>'
    )
