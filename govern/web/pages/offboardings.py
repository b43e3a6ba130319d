"""Removals: how far each is, and what proves its end."""

from __future__ import annotations

from flask import Blueprint, render_template

from govern.core import outbox
from govern.core.clock import utcnow
from govern.offboarding import queries
from govern.offboarding.rules import STEPS
from govern.offboarding.witnesses import heard
from govern.web import scope
from govern.web.access import reads, requires
from govern.web.pages import counts, forms

blueprint = Blueprint("offboardings_page", __name__, url_prefix="/offboardings")


@blueprint.get("")
@requires("members:read")
def index() -> str:
    """Removals, newest first."""
    scope.check_anyone("members:read")
    page = forms.paged(queries.find(reads(), before=forms.query_text("after"), limit=forms.PAGE + 1))
    proven = queries.proven(reads(), [row.id for row in page.items])
    starters = counts.people(reads(), [row.started_by for row in page.items])
    return render_template("offboardings/index.html", page=page, starters=starters, proven=proven)


@blueprint.get("/<string(maxlength=60):removal_id>")
@requires("members:read")
def show(removal_id: str) -> str:
    """One removal, step by step; while it is under way the page looks again by itself."""
    scope.check_anyone("members:read")
    removal = queries.get(reads(), removal_id)
    effect = outbox.open_effect(reads(), "offboarding.run", removal.id)
    held = queries.holdings(reads(), removal.id)
    return render_template(
        "offboardings/show.html",
        removal=removal,
        trouble=effect.last_error if effect else None,
        witnesses=heard(reads(), removal, utcnow()),
        held=held,
        titles={str(name): title for name, title in STEPS},
        starter=counts.people(reads(), [removal.started_by]).get(removal.started_by),
    )
