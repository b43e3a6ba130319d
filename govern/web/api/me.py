"""`/me`: whom the token in use stands for, what it may do, and where its holder may have a key."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask.views import MethodView

from govern.core.errors import NotAllowed
from govern.projects import queries as projects
from govern.web import scope
from govern.web.access import current_principal, reads, requires
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.shapes import Schema, maybe_instant, maybe_text

blueprint = ApiBlueprint("me", "Whoever asks.")


class OpenProjectOut(Schema):
    """A project in which one may have a key."""

    id = ma.fields.String(required=True)
    remote_id = ma.fields.String(required=True, metadata={"description": "OpenAI's id."})
    name = ma.fields.String(required=True)


class MeOut(Schema):
    """Who asks. A token of the system is no person."""

    kind = ma.fields.String(required=True, metadata={"description": "token or device."})
    id = ma.fields.String(required=True, metadata={"description": "The token's or the device's."})
    person = maybe_text()
    email = maybe_text()
    name = maybe_text()
    expires_at = maybe_instant()
    permissions = ma.fields.Dict(
        keys=ma.fields.String(),
        values=ma.fields.String(),
        required=True,
        metadata={"description": "Permission → over whom: self, reports or anyone. As it is now."},
    )
    projects = ma.fields.List(ma.fields.Nested(OpenProjectOut), required=True)


@blueprint.route("")
class Me(MethodView):
    """Whoever asks."""

    @requires("self:read")
    @blueprint.response(200, MeOut)
    def get(self) -> dict[str, Any]:
        """Say for whom the token acts, what it may do now, and in which projects it may ask for a key."""
        principal = current_principal()
        return {
            "kind": principal.kind.value,
            "id": principal.id,
            "person": principal.person_id,
            "email": principal.person_email,
            "name": principal.person_name,
            "expires_at": principal.expires_at,
            "permissions": {word: reach.name.lower() for word, reach in principal.grants.items()},
            "projects": _places(),
        }


def _places() -> list[Any]:
    try:
        within = scope.projects_within("keys:issue")
    except NotAllowed:
        return []
    return [project for project in projects.open_projects(reads()) if within is None or project.id in within]
