"""`/offboardings`: removals and how far they are. They begin with `POST /members/{id}/revoke`."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response
from flask.views import MethodView

from govern.core.clock import utcnow
from govern.evidence import queries as evidence
from govern.offboarding import queries
from govern.offboarding.models import Kind, Offboarding, OffboardingState, Stage
from govern.offboarding.witnesses import WitnessState, heard
from govern.web import scope
from govern.web.access import reads, requires
from govern.web.api import paging
from govern.web.api.acting import Answer
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.evidence import FILE_OR_PDF, EvidenceFile, as_asked
from govern.web.api.shapes import PageQuery, Schema, Usd, instant, maybe_instant, maybe_text, page_of, with_more

blueprint = ApiBlueprint("offboardings", "Removals, and how far they are.")


class OffboardingOut(Schema):
    """A removal. `contained`: cut off here, the ends at OpenAI owed. `done`: proven."""

    id = ma.fields.String(required=True)
    email = ma.fields.String(required=True)
    person = ma.fields.String(attribute="person_id", allow_none=True)
    state = ma.fields.Enum(OffboardingState, by_value=True, required=True)
    reason = ma.fields.String(required=True)
    started_by = ma.fields.String(required=True)
    started_at = instant(required=True)
    steps = ma.fields.List(ma.fields.Dict(keys=ma.fields.String()), required=True)
    waiting_for = maybe_text()
    done_at = maybe_instant()
    stage = ma.fields.Enum(Stage, by_value=True, required=True, metadata={"description": "Finer than `state`."})
    steps_done = ma.fields.Integer(required=True, metadata={"description": "How many of `steps` are through."})
    evidence = ma.fields.String(
        attribute="evidence_id", allow_none=True, metadata={"description": "Its id once signed; `/offboardings/{id}/evidence`."}
    )
    sealed_at = maybe_instant()


class WitnessOut(Schema):
    """One of three: `proven` of `of` things. `silent`: it cannot testify here. `against`: it tells the contrary."""

    name = ma.fields.String(required=True, metadata={"description": "complete_listings, openai_audit_log or no_usage."})
    state = ma.fields.Enum(WitnessState, by_value=True, required=True)
    proven = ma.fields.Integer(required=True)
    of = ma.fields.Integer(required=True)
    sentence = ma.fields.String(required=True)


class HoldingOut(Schema):
    """A thing that they held at OpenAI."""

    kind = ma.fields.Enum(Kind, by_value=True, required=True)
    place = ma.fields.String(required=True, metadata={"description": "The project, group or provider; empty: the organization."})
    remote_id = ma.fields.String(required=True)
    name = maybe_text()
    found_at = instant(required=True)
    asked_at = maybe_instant()
    refusal = maybe_text()
    proven_at = maybe_instant()


class OffboardingWithWitnesses(OffboardingOut):
    """A removal, what they held, and what the three witnesses say now."""

    witnesses = ma.fields.List(ma.fields.Nested(WitnessOut), required=True)
    holdings = ma.fields.List(ma.fields.Nested(HoldingOut), required=True)


class CredentialOut(Schema):
    """A key that would end or be rotated."""

    id = ma.fields.String(required=True)
    remote_id = maybe_text()
    name = ma.fields.String(required=True)
    project = ma.fields.String(required=True)
    last_used_at = maybe_instant()
    used_lately = ma.fields.Boolean(required=True, metadata={"description": "In the last seven days."})


class RemovalPreviewOut(Schema):
    """What a removal would do, from what was last seen. Nothing was done."""

    dry_run = ma.fields.Boolean(required=True)
    email = ma.fields.String(required=True)
    person = ma.fields.String(required=True, allow_none=True)
    seat = ma.fields.String(required=True, allow_none=True, metadata={"description": "The role of the seat, null without one."})
    invite = ma.fields.Boolean(required=True, metadata={"description": "Whether an invite is open."})
    keys = ma.fields.List(ma.fields.Nested(CredentialOut), required=True)
    personal_keys = ma.fields.List(ma.fields.Nested(CredentialOut), required=True)
    shared_keys = ma.fields.List(
        ma.fields.Nested(CredentialOut), required=True, metadata={"description": "Seen by them: rotated, exactly these."}
    )
    projects = ma.fields.List(ma.fields.String(), required=True)
    used_lately = ma.fields.Integer(required=True)
    spend_30_days_usd = Usd(required=True)
    will_break = ma.fields.List(ma.fields.String(), required=True)
    refused = ma.fields.String(required=True, allow_none=True, metadata={"description": "Why it may not be done."})


def shown(row: Offboarding) -> Answer:
    """200 when it is proven, 202 with where to look until then."""
    done = row.state is OffboardingState.DONE
    headers = {} if done else {"Location": f"/api/v1/offboardings/{row.id}"}
    return Answer(OffboardingOut().dump(row), 200 if done else 202, headers, settled=done)


@blueprint.route("")
class Offboardings(MethodView):
    """Removals."""

    @requires("members:read")
    @blueprint.arguments(PageQuery, location="query")
    @blueprint.response(200, page_of(OffboardingOut))
    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """List removals, newest first."""
        scope.check_anyone("members:read")
        rows = queries.find(reads(), before=paging.after_id(args.get("cursor")), limit=args["limit"] + 1)
        items, following = paging.page(rows, args["limit"], lambda row: row.id)
        return {"items": items, "next": following}


@blueprint.route("/<id:offboarding_id>")
class OneOffboarding(MethodView):
    """One removal."""

    @requires("members:read")
    @blueprint.response(200, OffboardingWithWitnesses)
    def get(self, offboarding_id: str) -> dict[str, Any]:
        """Show a removal, thing by thing, and what its three witnesses say."""
        scope.check_anyone("members:read")
        row = queries.get(reads(), offboarding_id)
        return with_more(OffboardingOut, row, witnesses=heard(reads(), row, utcnow()), holdings=queries.holdings(reads(), row.id))


class SealQuery(Schema):
    """Which."""

    seal = ma.fields.Boolean(load_default=False, metadata={"description": "The seal that was signed a day later."})


@blueprint.route("/<id:offboarding_id>/evidence")
class RemovalEvidence(MethodView):
    """Evidence."""

    @requires("members:read")
    @blueprint.doc(responses={200: FILE_OR_PDF})
    @blueprint.arguments(SealQuery, location="query")
    @blueprint.response(200, EvidenceFile)
    def get(self, args: dict[str, Any], offboarding_id: str) -> Response:
        """Download the evidence of a removal, as JSON or (`Accept: application/pdf`) as PDF. 404 until it is proven."""
        scope.check_anyone("members:read")
        removal = queries.get(reads(), offboarding_id)
        return as_asked(evidence.get(reads(), removal.seal_id if args["seal"] else removal.evidence_id), None)
