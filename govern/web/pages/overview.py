"""Overview: what is spent, what is fresh, what needs somebody."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from flask import Blueprint, redirect, render_template, url_for
from werkzeug.wrappers import Response

from govern.audit import queries as audit
from govern.audit.models import AuditEvent
from govern.budgets import queries as budget_queries
from govern.budgets.models import Alert, AlertState
from govern.budgets.standing import standings
from govern.core.clock import utcnow
from govern.core.uow import ActorKind
from govern.identity.permissions import Reach
from govern.jobs import queries as jobs
from govern.members import queries as members
from govern.members.models import InviteState
from govern.usage import queries as usage
from govern.usage.names import By
from govern.usage.questions import Figure, Only
from govern.web import scope
from govern.web.access import current_principal, govern, reads, requires
from govern.web.pages import alerts, budgets, counts, ranges, spend, words
from govern.web.pages.audit_events import subject_address
from govern.web.pages.ranges import DAY, Range
from govern.web.pages.usage import name_of

blueprint = Blueprint("overview_page", __name__)

LATE: Final = 3
"""A clock is late when it has missed so many of its turns."""


@blueprint.get("/")
@requires("self:read")
def index() -> str | Response:
    """At a glance; who only reaches themself has a page of their own."""
    principal = current_principal()
    if principal.grants.get("members:read", Reach.SELF) < Reach.REPORTS:
        return redirect(url_for("me_page.index"), code=303)
    now = utcnow()
    days = ranges.preset("month", now.date())
    only = Only(person_ids=scope.people_within("usage:read"))
    by = By.PROJECT if only.person_ids is None else By.PERSON
    largest = spend.groups(reads(), spend.Question(days, by, only=only))
    watched = standings(reads(), budgets.visible(limit=200), now)
    everything = principal.is_over_anyone("members:read")
    return render_template(
        "overview/index.html",
        days=days,
        whole=largest.whole,
        before=_before(days, only),
        month_before=f"{days.start - DAY:%B}",
        chart=spend.by_clock(reads(), days, only),
        largest=largest,
        by=by,
        names=[name_of(line, by) for line in largest.lines],
        freshness=usage.freshness(reads()),
        clocks=_clocks(now),
        has_worker=bool(jobs.live_workers(reads(), now)),
        budgets=sorted(watched, key=lambda standing: standing.percent, reverse=True)[:5],
        alerts=_open_alerts(now),
        removals=counts.removals_under_way(reads()) if everything else [],
        seats=members.count_members(reads()),
        invites=len(members.find_invites(reads(), state=InviteState.PENDING, limit=100)),
        live_keys=counts.live_keys(reads()),
        unproven=counts.unproven_keys(reads()),
        everything=everything,
        events=_recent() if principal.is_over_anyone("audit:read") else [],
        words_of=_words_of,
        subject_address=subject_address,
    )


def _before(days: Range, only: Only) -> Figure | None:
    """The same days of the month before, to compare with; None where the figures do not reach back so far."""
    start = (days.start - DAY).replace(day=1)
    end = min(start + (days.end - days.start), days.start)
    known = counts.first_day_known(reads())
    if known is None or known > start:
        return None
    return spend.total(reads(), Range(start, end, ""), only)


def _recent() -> list[AuditEvent]:
    """The last things that somebody would tell of."""
    return [event for event in audit.events(reads(), limit=60) if event.action in words.DEEDS][:8]


def _words_of(event: AuditEvent) -> str:
    """What was done; where nobody in particular did it just then, as a sentence of its own."""
    deed = words.DEEDS[event.action]
    return deed[0].upper() + deed[1:] if event.actor_kind in (ActorKind.EFFECT, ActorKind.JOB) else deed


def _open_alerts(now: datetime) -> list[Alert]:
    """Crossings of this month that nobody has dealt with and nothing undid; of several at one moment the one that speaks."""
    if not current_principal().may("alerts:read"):
        return []
    found = budget_queries.find_alerts(
        reads(), limit=50, budget_ids=alerts.visible_budget_ids(), person_ids=alerts.visible_people(), state=AlertState.OPEN
    )
    month = now - timedelta(days=31)
    return [alert for alert in found if alert.raised_at > month][:6]


def _clocks(now: datetime) -> list[tuple[str, str, datetime | None, bool]]:
    """(job, what it keeps fresh, last success, late?) of the three syncs."""
    sync = govern().settings.sync
    every = (
        ("directory.sync", "Members and keys", sync.directory_minutes),
        ("usage.sync", "Usage (estimated)", sync.usage_minutes),
        ("costs.sync", "Costs (billed)", sync.costs_minutes),
    )
    found = []
    for job, what, minutes in every:
        last = jobs.last_success(reads(), job)
        found.append((job, what, last, last is None or now - last > LATE * timedelta(minutes=minutes)))
    return found
