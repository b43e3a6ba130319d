"""`/evidence`: what was signed, as JSON and as PDF, and the public key that checks it."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response, request
from flask.views import MethodView

from govern.core.errors import NotFound
from govern.evidence import queries, service
from govern.evidence.models import Evidence, EvidenceKey
from govern.web import scope
from govern.web.access import govern, open_to_all, reads, requires
from govern.web.api import paging
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.shapes import PageQuery, Schema, Text, instant, page_of

blueprint = ApiBlueprint("evidence", "What was signed, and the public key that checks it.")

JSON, PDF = "application/json", "application/pdf"


class EvidenceKeyOut(Schema):
    """The public half of the key that signs evidence."""

    id = ma.fields.String(required=True, metadata={"description": "SHA-256 of the public key, in hex; it stands in each file."})
    algorithm = ma.fields.Constant("Ed25519", required=True)
    public_pem = ma.fields.String(required=True)
    created_at = instant(required=True)


class EvidenceListed(Schema):
    """One signed file. It is at `/evidence/{id}`."""

    id = ma.fields.String(required=True)
    kind = ma.fields.String(required=True, metadata={"example": "removal"})
    subject = ma.fields.String(attribute="subject_id", required=True, metadata={"description": "The id of what it is about."})
    key = ma.fields.String(attribute="key_id", required=True)
    created_at = instant(required=True)


class EvidenceFile(ma.Schema):
    """A signed file. Keep its bytes as they are: `govern evidence verify` checks every one."""

    document = ma.fields.Dict(required=True)
    signature = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.String(), required=True)


class EvidenceQuery(PageQuery):
    """What to list."""

    kind = Text(1, 60, metadata={"example": "removal"})


FILE_OR_PDF = {
    "content": {
        JSON: {"schema": {"$ref": "#/components/schemas/EvidenceFile"}},
        PDF: {"schema": {"type": "string", "format": "binary"}},
    }
}


@blueprint.route("")
class AllEvidence(MethodView):
    """Evidence."""

    @requires("members:read")
    @blueprint.arguments(EvidenceQuery, location="query")
    @blueprint.response(200, page_of(EvidenceListed))
    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """List what was signed, newest first."""
        scope.check_anyone("members:read")
        rows = queries.recent(reads(), before=paging.after_id(args.get("cursor")), limit=args["limit"] + 1, kind=args.get("kind"))
        items, following = paging.page(rows, args["limit"], lambda row: row.id)
        return {"items": items, "next": following}


@blueprint.route("/key")
class PublicKey(MethodView):
    """The public key."""

    @open_to_all("A public key is for everybody who wants to check a file.")
    @blueprint.doc(security=[])
    @blueprint.response(200, EvidenceKeyOut)
    def get(self) -> EvidenceKey:
        """Show the public key. 404 until the first evidence was signed."""
        return queries.public_key(reads())


@blueprint.route("/<id:evidence_id>")
class OneEvidence(MethodView):
    """One signed file."""

    @requires("members:read")
    @blueprint.doc(responses={200: FILE_OR_PDF})
    @blueprint.response(200, EvidenceFile)
    def get(self, evidence_id: str) -> Response:
        """Download evidence: the signed file, or pages for people (`Accept: application/pdf`, or `.pdf` behind the id).

        The PDF has the signed file attached, with its seal where there is one, and all of its bytes are signed too.
        """
        scope.check_anyone("members:read")
        name, dot, kind = evidence_id.rpartition(".")
        if dot and kind not in ("pdf", "json"):
            raise NotFound("There is evidence as .json and as .pdf.")
        return as_asked(queries.get(reads(), name or evidence_id), kind if dot else None)


def as_asked(row: Evidence, kind: str | None) -> Response:
    """The file as `json` or `pdf`; None: as the request prefers, and then as JSON."""
    best = request.accept_mimetypes.best_match([JSON, PDF], default=JSON)
    answer = pdf(row) if kind == "pdf" or (kind is None and best == PDF) else file(row)
    if kind is None:
        answer.vary.add("Accept")
    return answer


def file(row: Evidence) -> Response:
    """The file, byte by byte as it was signed."""
    answer = Response(row.file.encode("utf-8"), content_type=JSON)
    answer.headers["Content-Disposition"] = f'attachment; filename="{row.id}.json"'
    return answer


def pdf(row: Evidence) -> Response:
    """The file and its seal on pages."""
    answer = Response(service.pdf(reads(), govern().box, row.id), content_type=PDF)
    answer.headers["Content-Disposition"] = f'attachment; filename="{row.id}.pdf"'
    return answer
