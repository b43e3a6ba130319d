"""`/evidence`: the public key that checks evidence. The evidence itself is at `/offboardings/{id}/evidence`."""

from __future__ import annotations

import marshmallow as ma
from flask.views import MethodView

from govern.evidence import queries
from govern.evidence.models import EvidenceKey
from govern.web.access import open_to_all, reads
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.shapes import Schema, instant

blueprint = ApiBlueprint("evidence", "The public key that checks evidence.")


class EvidenceKeyOut(Schema):
    """The public half of the key that signs evidence."""

    id = ma.fields.String(required=True, metadata={"description": "SHA-256 of the public key, in hex; it stands in each file."})
    algorithm = ma.fields.Constant("Ed25519", required=True)
    public_pem = ma.fields.String(required=True)
    created_at = instant(required=True)


@blueprint.route("/key")
class PublicKey(MethodView):
    """The public key."""

    @open_to_all("A public key is for everybody who wants to check a file.")
    @blueprint.doc(security=[])
    @blueprint.response(200, EvidenceKeyOut)
    def get(self) -> EvidenceKey:
        """Show the public key. 404 until the first evidence was signed."""
        return queries.public_key(reads())
