"""flask-smorest, bent to our errors: a blueprint per slice, strict bodies, problem+json as documented as it is sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, NoReturn, TypeVar, cast

import marshmallow as ma
from flask import Flask, Request
from flask_smorest import Api, Blueprint
from flask_smorest.spec import APISpecMixin
from webargs.flaskparser import FlaskParser, abort

from govern.web.api import shapes
from govern.web.problems import PROBLEM_JSON

PREFIX: Final = "/api/v1"
View = TypeVar("View")


class StrictParser(FlaskParser):
    """Refuses what is no JSON with 400 and what is another type with 415; unknown names in the query are mistakes too."""

    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": ma.RAISE, "json": ma.RAISE}  # noqa: RUF012

    def _raw_load_json(self, req: Request) -> Any:
        sent = req.get_data(cache=True)
        if not req.is_json:
            if sent:
                abort(415)
            return {}
        try:
            # Decimal, because a limit of 0.1 dollars must not become 0.1000000000000000055.
            return json.loads(sent, parse_float=Decimal, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            abort(400, messages={"json": ["This is not JSON."]})


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


class ApiBlueprint(Blueprint):  # type: ignore[misc]
    """The blueprint of one slice: `ApiBlueprint("keys", …)` answers under `/api/v1/keys`."""

    ARGUMENTS_PARSER = StrictParser()

    def __init__(self, name: str, description: str, *, under: str | None = None) -> None:
        super().__init__(f"api-{name}", __name__, url_prefix=f"{PREFIX}/{under or name}", description=description)

    # The library's decorators have no types; these give the views back theirs.
    def route(self, rule: str, **more: Any) -> Callable[[View], View]:
        return cast("Callable[[View], View]", super().route(rule, **more))

    def arguments(self, schema: Any, **more: Any) -> Callable[[View], View]:
        return cast("Callable[[View], View]", super().arguments(schema, **more))

    def response(self, status_code: Any, schema: Any = None, **more: Any) -> Callable[[View], View]:
        return cast("Callable[[View], View]", super().response(status_code, schema, **more))

    def doc(self, **more: Any) -> Callable[[View], View]:
        return cast("Callable[[View], View]", super().doc(**more))

    def alt_response(self, status_code: Any, response: Any = None, **more: Any) -> Callable[[View], View]:
        return cast("Callable[[View], View]", super().alt_response(status_code, response, **more))


class GovernApi(Api):  # type: ignore[misc]
    """Documents errors as they are (problem+json), and leaves answering them to `web.problems`."""

    ERROR_SCHEMA = shapes.Problem

    def answer(self, blueprint: ApiBlueprint) -> None:
        """Answer what the blueprint answers, without describing it."""
        self._app.extensions["flask-smorest"]["blp_name_to_api"][blueprint.name] = self
        self._app.register_blueprint(blueprint)

    def _register_error_handlers(self) -> None:
        """None of its own: it would answer the dashboard's errors in JSON, and drop Allow and Retry-After."""

    def _register_responses(self) -> None:
        # A private hook of flask-smorest 0.47: the only place where the content type of documented errors can be said.
        keep: str = APISpecMixin.DEFAULT_RESPONSE_CONTENT_TYPE
        self.DEFAULT_RESPONSE_CONTENT_TYPE = PROBLEM_JSON
        try:
            APISpecMixin._register_responses(self)
        finally:
            self.DEFAULT_RESPONSE_CONTENT_TYPE = keep


def make_api(app: Flask, description: str, version: str) -> GovernApi:
    """The API of this app, without any blueprint yet."""
    app.url_map.converters.update(id=shapes.IdConverter, who=shapes.WhoConverter)
    app.config.update(
        API_TITLE="govern",
        API_VERSION=version,
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX=None,  # served by `docs`, which loads nothing from elsewhere
        API_SPEC_OPTIONS={
            "info": {"description": description},
            "security": [{"token": []}],
            "components": {
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "An API token: `gov_…`."}}
            },
        },
    )
    api = GovernApi()
    api.register_converter(shapes.IdConverter, lambda _: {"type": "string", "pattern": f"^{shapes.ID_PATTERN}$"})
    api.register_converter(shapes.WhoConverter, lambda _: {"type": "string", "pattern": f"^{shapes.WHO_PATTERN}$"})
    api.init_app(app)
    return api
