"""Bring a directory file in: upload, see what it would change, confirm."""

from __future__ import annotations

from contextlib import closing
from typing import Any, Final

from flask import Blueprint, render_template, request, url_for
from werkzeug.wrappers import Response

from govern.core.clock import utcnow
from govern.core.errors import Conflict, InvalidInput
from govern.people import directory, queries
from govern.people.models import ImportState
from govern.people.plan import told
from govern.web import scope
from govern.web.access import reads, requires
from govern.web.pages import forms
from govern.web.pages.acting import act
from govern.web.pages.forms import Form
from govern.web.pages.going import see
from govern.web.problems import status_of

blueprint = Blueprint("people_imports_page", __name__, url_prefix="/people/imports")

MOST_BYTES: Final = 900_000
"""A request may hold little more; larger files go by `govern people import`."""
SHOWN: Final = 500
"""Rows of a page; a longer outcome is told by REST and the command line."""


@blueprint.get("")
@requires("people:write")
def index() -> str:
    """Earlier imports, and the form for a new one."""
    scope.check_anyone("people:write")
    return _index(Form({"effective_on": str(utcnow().date())}))


@blueprint.post("")
@requires("people:write")
def upload() -> Response | tuple[str, int]:
    """Keep the file as a draft, and show what it would change."""
    scope.check_anyone("people:write")
    try:
        name, data = _sent()
        complete, day = forms.text("complete") == "yes", forms.day("effective_on")
        import_id = act(
            lambda uow: directory.draft(uow, data, file_name=name, complete=complete, effective_on=day).id
        )  # fmt: skip
    except forms.REFUSALS as error:
        return _index(forms.refused(error)), status_of(error)
    return see(url_for("people_imports_page.show", import_id=import_id))


@blueprint.get("/<string(maxlength=60):import_id>")
@requires("people:write")
def show(import_id: str) -> str:
    """A draft with what it would change, or an import with what became of it."""
    scope.check_anyone("people:write")
    return _show(import_id, None)


@blueprint.post("/<string(maxlength=60):import_id>")
@requires("people:write")
def confirm(import_id: str) -> Response | tuple[str, int]:
    """Carry the draft out as it was shown, or discard it."""
    scope.check_anyone("people:write")
    queries.get_import(reads(), import_id)
    if forms.text("act") == "discard":
        act(lambda uow: directory.discard(uow, import_id))
        return see(url_for("people_imports_page.index"), "The draft is discarded; nothing was changed.")
    digest = forms.text("digest", most=64)
    try:
        act(lambda uow: directory.carry_out(uow, import_id, digest=digest).id)
    except Conflict as error:
        return _show(import_id, error.sentence), status_of(error)
    return see(url_for("people_imports_page.show", import_id=import_id), "The directory is up to date with the file.")


def _sent() -> tuple[str, bytes]:
    """The name and the bytes of the file that was sent. Raises InvalidInput."""
    sent = request.files.get("file")
    if sent is None:
        raise InvalidInput("Choose a file.", {"file": "A CSV file, with headings in its first line."})
    with closing(sent):
        name, data = sent.filename or "directory.csv", sent.read(MOST_BYTES + 1)
    if not data:
        raise InvalidInput("Choose a file.", {"file": "It has to hold headings in its first line, and rows."})
    if len(data) > MOST_BYTES:
        raise InvalidInput("The file is too large.", {"file": "At most 900 kB; `govern people import` takes larger ones."})
    return name, data


def _index(form: Form) -> str:
    rows = queries.find_imports(reads(), before=forms.query_text("after"), limit=forms.PAGE + 1)
    return render_template("people_imports/index.html", page=forms.paged(rows), form=form, once=forms.once())


def _show(import_id: str, problem: str | None) -> str:
    row = queries.get_import(reads(), import_id)
    found = directory.plan_of(reads(), row) if row.state is ImportState.DRAFT else None
    outcome: dict[str, Any] = (
        told(found) if found else {"counts": row.counts, "rows": row.rows, "missing": row.missing, "notes": row.notes}
    )
    return render_template(
        "people_imports/show.html",
        row=row,
        plan=found,
        outcome=outcome,
        shown=outcome["rows"][:SHOWN],
        problem=problem,
    )
