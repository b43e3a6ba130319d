"""Reporting a key that got out, and what became of it."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, render_template, request, url_for
from werkzeug.wrappers import Response

from govern.core.crypto import Secret
from govern.core.errors import InvalidInput
from govern.keys import leaks, queries
from govern.keys.models import LeakRemedy, LeakState
from govern.web import scope
from govern.web.access import govern, reads, requires
from govern.web.pages import forms
from govern.web.pages.acting import act, wait_until
from govern.web.pages.forms import Form
from govern.web.pages.going import see
from govern.web.problems import status_of

blueprint = Blueprint("leak_reports_page", __name__, url_prefix="/leak-reports")


@blueprint.get("")
@requires("keys:revoke")
def index() -> str:
    """Reports, the newest first, and the form for another."""
    return _form(Form({"remedy": LeakRemedy.REVOKE.value}))


@blueprint.post("")
@requires("keys:revoke")
def report() -> Response | tuple[str, int]:
    """Trace the key. Whatever goes wrong, what was pasted is not shown again."""
    settings = govern().settings
    value, successor = Secret(request.form.get("value", "").strip()), bool(request.form.get("successor"))
    try:
        chosen = forms.text("remedy")
        if chosen not in {word.value for word in LeakRemedy}:
            raise InvalidInput("Choose what to do with it.", {"remedy": "Choose one."})
        report_id = act(
            lambda uow: (
                leaks.report(
                    uow, value, remedy=LeakRemedy(chosen), successor=successor,
                    overlap=timedelta(hours=settings.keys.overlap_hours), generation=settings.openai.generation,
                ).id
            )
        )  # fmt: skip
    except forms.REFUSALS as error:
        errors = error.fields if isinstance(error, InvalidInput) else {}
        kept = {"remedy": request.form.get("remedy", "")[:20]}
        return _form(Form(kept, {}, error.sentence, errors)), status_of(error)
    wait_until(lambda session: queries.leak_report(session, report_id).state is not LeakState.SEARCHING)
    return see(url_for("leak_reports_page.show", report_id=report_id))


@blueprint.get("/<string(maxlength=60):report_id>")
@requires("keys:revoke")
def show(report_id: str) -> str:
    """What became of it."""
    row = queries.leak_report(reads(), report_id, reported_by=scope.own_unless_anyone("keys:revoke"))
    return render_template("leak_reports/show.html", report=row)


def _form(form: Form) -> str:
    own = scope.own_unless_anyone("keys:revoke")
    page = forms.paged(queries.leak_reports(reads(), reported_by=own, after=forms.query_text("after"), limit=forms.PAGE + 1))
    return render_template("leak_reports/index.html", form=form, page=page, once=forms.once())
