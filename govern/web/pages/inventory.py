"""The inventory: everything at OpenAI that can spend money or administer, and OpenAI's own audit log."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, render_template, url_for

from govern.core.clock import utcnow
from govern.findings import queries as findings
from govern.findings.types import TYPES
from govern.inventory import freshness, items, queries
from govern.inventory.items import Item, Shown
from govern.inventory.listings import LISTINGS
from govern.inventory.models import Verdict
from govern.people import queries as people
from govern.projects import queries as projects
from govern.web import scope
from govern.web.access import reads, requires
from govern.web.pages import forms, words

blueprint = Blueprint("inventory_page", __name__, url_prefix="/inventory")

_TOLD = timedelta(days=7)


@blueprint.get("")
@requires("findings:read")
def index() -> str:
    """What there is of each kind, and how fresh that is."""
    scope.check_anyone("findings:read")
    return render_template(
        "inventory/index.html", listings=LISTINGS, counts=items.counts(reads()), fresh=freshness.of_all(reads()),
        log=queries.log_standing(reads(), utcnow()), verdicts=queries.verdicts(reads(), utcnow() - _TOLD),
    )  # fmt: skip


@blueprint.get("/events")
@requires("findings:read")
def events() -> str:
    """OpenAI's own audit log, each event with whose change it was."""
    scope.check_anyone("findings:read")
    found = queries.find_events(
        reads(), before=forms.query_text("after"), limit=forms.PAGE + 1, verdict=forms.query_state("verdict", Verdict),
        search=forms.query_text("search"), about=forms.query_text("about"), type_=forms.query_text("type"),
    )  # fmt: skip
    return render_template(
        "inventory/events.html", page=forms.paged(found), verdicts=words.states(Verdict),
        log=queries.log_standing(reads(), utcnow()),
    )  # fmt: skip


@blueprint.get("/<string(maxlength=40):kind>")
@requires("findings:read")
def listing(kind: str) -> str:
    """The things of one kind."""
    scope.check_anyone("findings:read")
    described = items.listing_of(kind)
    place, owner = forms.query_text("project"), forms.query_text("owner")
    project = projects.find(reads(), place) if place else None
    person = people.find(reads(), owner) if owner else None
    nobody = bool((place and project is None) or (owner and person is None))
    found = [] if nobody else items.find(
        reads(), kind, after=forms.query_text("after"), limit=forms.PAGE + 1, search=forms.query_text("search"),
        project=project, person_id=person.id if person else None, shown=forms.query_state("show", Shown) or Shown.LISTED,
    )  # fmt: skip
    page = forms.paged(found)
    return render_template(
        "inventory/listing.html", kind=kind, listing=described, page=page, fresh=freshness.of_all(reads())[kind],
        findings=findings.waiting_about(reads(), [item.id for item in page.items]), types=TYPES, listings=LISTINGS,
        projects=projects.open_projects(reads()) if described.project is not None else [], address_of=address_of,
    )  # fmt: skip


@blueprint.get("/<string(maxlength=40):kind>/<string(maxlength=120):item_id>")
@requires("findings:read")
def show(kind: str, item_id: str) -> str:
    """One thing: what is known of it, what was found about it, and what OpenAI's log tells of it."""
    scope.check_anyone("findings:read")
    item = items.get(reads(), kind, item_id)
    about = findings.waiting_about(reads(), [item.id]).get(item.id, ())
    return render_template(
        "inventory/show.html", item=item, listing=LISTINGS[kind], fresh=freshness.of_all(reads())[kind], findings=about,
        types=TYPES, events=queries.events_about(reads(), [item.native])[-20:] if item.native else [], address_of=address_of,
    )  # fmt: skip


def address_of(item: Item) -> str | None:
    """Where more is shown and done about a thing, if there is such a page."""
    if item.kind == "project-keys":
        return url_for("freezes_page.show", observed_id=item.id)
    if item.kind == "members" and item.owner_id:
        return url_for("members_page.show", member=item.owner_id)
    if item.kind == "invites" and item.vanished_at is None:
        return url_for("invites_page.index")
    return None
