"""`/api/openapi.json`, and the same as a page for people that loads nothing from elsewhere."""

from __future__ import annotations

import copy
import json
from typing import Any, Final, cast

from flask import Blueprint, Response, current_app, render_template

from govern.web.access import open_to_all
from govern.web.api.acting import HEADER

blueprint = Blueprint("api-docs", __name__, url_prefix="/api")

_METHODS: Final = ("get", "post", "patch", "put", "delete")
_KEY_PARAMETER: Final = {
    "name": HEADER, "in": "header", "required": False,
    "description": "Sent again with the same key, the request is not carried out twice. Kept for 72 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}  # fmt: skip


def finish(spec: dict[str, Any]) -> dict[str, Any]:
    """The specification with what holds for every operation of a kind, said at each of them."""
    done = copy.deepcopy(spec)
    for address, path in done["paths"].items():
        for method in _METHODS:
            if method not in path:
                continue
            operation = path[method]
            name = address.removeprefix("/api/v1/").replace("{", "").replace("}", "").replace("/", "-")
            operation["operationId"] = f"{method}-{name}"
            operation["tags"] = [address.split("/")[3]]
            if method == "post":
                operation.setdefault("parameters", []).append(_KEY_PARAMETER)
    done["tags"] = [{**tag, "name": tag["name"].removeprefix("api-")} for tag in done.get("tags", [])]
    return done


def specification() -> dict[str, Any]:
    """What this app answers to, OpenAPI 3.1."""
    return cast("dict[str, Any]", current_app.extensions["openapi"]())


@blueprint.get("/openapi.json")
@open_to_all("How to call it is no secret; calling it needs a token.")
def openapi() -> Response:
    """The specification."""
    return Response(json.dumps(specification(), indent=1, ensure_ascii=False), content_type="application/json")


@blueprint.get("/docs")
@open_to_all("How to call it is no secret; calling it needs a token.")
def docs() -> str:
    """The specification, readable."""
    spec = specification()
    groups: dict[str, list[dict[str, Any]]] = {}
    for address, path in spec["paths"].items():
        shared = path.get("parameters", [])
        for method in _METHODS:
            if method in path:
                operation = path[method]
                shown = {**operation, "method": method.upper(), "address": address}
                shown["parameters"] = [*shared, *operation.get("parameters", [])]
                groups.setdefault(operation["tags"][0], []).append(shown)
    about = {tag["name"]: tag.get("description", "") for tag in spec["tags"]}
    return render_template("api/docs.html", spec=spec, groups=groups, about=about, reading=_Reading(spec))


class _Reading:
    """What the page needs to know of schemas."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self._schemas = spec["components"]["schemas"]

    def fields(self, schema: dict[str, Any]) -> list[dict[str, Any]]:
        """The fields of an object: name, type, whether it must be there, what it means."""
        found = self._resolved(schema)
        required = found.get("required", [])
        return [
            {
                "name": name,
                "type": self.kind(field),
                "required": name in required,
                "about": self._resolved(field).get("description", ""),
            }
            for name, field in found.get("properties", {}).items()
        ]

    def kind(self, schema: dict[str, Any]) -> str:
        """The type in a few words."""
        if "$ref" in schema:
            return str(schema["$ref"].rsplit("/", 1)[1])
        for word in ("anyOf", "oneOf", "allOf"):
            if word in schema:
                return " or ".join(self.kind(each) for each in schema[word])
        if "enum" in schema:
            return " | ".join(str(value) for value in schema["enum"])
        kinds = schema.get("type", "any")
        if isinstance(kinds, list):
            return " or ".join(kinds)
        if kinds == "array":
            return f"list of {self.kind(schema.get('items', {}))}"
        return f"{kinds} ({schema['format']})" if "format" in schema else str(kinds)

    def name(self, content: dict[str, Any]) -> str:
        """The schema's name in a response's or request's content, if it has one."""
        schema = _first(content).get("schema", {})
        return self.kind(schema) if "$ref" in schema else ""

    def schema(self, content: dict[str, Any]) -> dict[str, Any]:
        """The schema of a content."""
        return cast("dict[str, Any]", _first(content).get("schema", {}))

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        return cast("dict[str, Any]", self._schemas[self.kind(schema)]) if "$ref" in schema else schema


def _first(content: dict[str, Any]) -> dict[str, Any]:
    return cast("dict[str, Any]", next(iter(content.values()))) if content else {}
