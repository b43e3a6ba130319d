"""Evidence: what was signed, as files to take along, and how anybody checks one."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from flask import Blueprint, Response, render_template

from govern.evidence import queries, rules
from govern.evidence.models import Evidence
from govern.web import scope
from govern.web.access import reads, requires
from govern.web.api.evidence import as_asked
from govern.web.pages import counts, forms

blueprint = Blueprint("evidence_page", __name__, url_prefix="/evidence")


@blueprint.get("")
@requires("members:read")
def index() -> str:
    """What was signed, newest first."""
    scope.check_anyone("members:read")
    page = forms.paged(queries.recent(reads(), before=forms.query_text("after"), limit=forms.PAGE + 1))
    return render_template(
        "evidence/index.html", page=page, documents={row.id: _document(row) for row in page.items}, kinds=rules.KINDS
    )


@blueprint.get("/<string(maxlength=60):evidence_id>")
@requires("members:read")
def show(evidence_id: str) -> str:
    """One: what it says in short, its witnesses, its files and how they are checked."""
    scope.check_anyone("members:read")
    row = queries.get(reads(), evidence_id)
    both = queries.with_seal(reads(), row)
    first, seal = both[0], next((each for each in both if each.kind.endswith(queries.SEAL)), None)
    document = _document(first)
    starter = document.get("started_by", "")
    return render_template(
        "evidence/show.html",
        row=row,
        kinds=rules.KINDS,
        document=document,
        heard=rules.heard(document, _document(seal) if seal else None),
        files=[(each, hashlib.sha256(each.file.encode("utf-8")).hexdigest()) for each in both],
        starter=counts.people(reads(), [starter]).get(starter),
        public=queries.public_key(reads()),
    )


@blueprint.get("/<string(maxlength=60):evidence_id>/file.json", defaults={"kind": "json"})
@blueprint.get("/<string(maxlength=60):evidence_id>/file.pdf", defaults={"kind": "pdf"})
@requires("members:read")
def download(evidence_id: str, kind: str) -> Response:
    """The signed file itself, or pages for people with it attached."""
    scope.check_anyone("members:read")
    return as_asked(queries.get(reads(), evidence_id), kind)


@blueprint.get("/key.pem")
@requires("members:read")
def key() -> Response:
    """The public key, as a file."""
    scope.check_anyone("members:read")
    answer = Response(queries.public_key(reads()).public_pem, content_type="application/x-pem-file")
    answer.headers["Content-Disposition"] = 'attachment; filename="evidence-key.pem"'
    return answer


_FIELDS: Final = ("email", "reason", "started_by", "started_by_name", "started_at", "proven_at", "steps", "witnesses")
"""What the pages show where a document has it; those of other kinds, and of earlier releases, may not."""


def _document(row: Evidence) -> dict[str, Any]:
    return dict.fromkeys(_FIELDS) | dict(json.loads(row.file)["document"])
