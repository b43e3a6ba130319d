"""Chargeback: a month's bill by cost centre and team, to be printed and to be taken along as a file."""

from __future__ import annotations

from datetime import date

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from govern.core.clock import utcnow
from govern.usage import chargeback, exports, queries
from govern.usage.chargeback import Chargeback
from govern.usage.names import Whose
from govern.usage.rules import DAY, following_month
from govern.web import scope
from govern.web.access import reads, requires
from govern.web.api import files
from govern.web.pages import counts, forms

blueprint = Blueprint("chargeback_page", __name__, url_prefix="/chargeback")

_MOST_MONTHS = 36


@blueprint.get("")
@requires("usage:read")
def index() -> str:
    """One month; without a choice the last one that is over."""
    report = _report()
    return render_template(
        "chargeback/index.html",
        report=report,
        months=_months(),
        projects=[line for line in report.lines if line.whose is Whose.PROJECT],
        nobody=[line for line in report.lines if line.whose is Whose.NOBODY],
        people=report.part(Whose.PERSON),
        own=report.part(Whose.PROJECT),
        unattributed=report.part(Whose.NOBODY),
        last=following_month(report.month) - DAY,
        freshness=queries.freshness(reads()),
    )


@blueprint.get("/export")
@requires("usage:read")
def download() -> ResponseReturnValue:
    """The same month as a file."""
    report = _report()
    kind = "xlsx" if forms.query_text("format") == "xlsx" else "csv"
    return files.answer(exports.chargeback(report), kind, f"chargeback-{report.month:%Y-%m}")


def _report() -> Chargeback:
    scope.check_anyone("usage:read")
    try:
        month = date.fromisoformat(f"{forms.query_text('month')}-01")
    except ValueError:
        month = _before(utcnow().date())
    return chargeback.chargeback(reads(), month)


def _months() -> list[date]:
    """The months that may be chosen, newest first: back to the first day of which anything is known."""
    month = utcnow().date().replace(day=1)
    first = counts.first_day_known(reads()) or month
    found = [month, _before(month)]
    while found[-1] > first and len(found) < _MOST_MONTHS:
        found.append(_before(found[-1]))
    return found


def _before(day: date) -> date:
    return (day.replace(day=1) - DAY).replace(day=1)
