"""`/oauth/…` and what describes it. The protocol is Authlib's; the rules are `identity.devices`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError
from flask import Blueprint, Response, current_app, g, jsonify, make_response, request

from govern.core.errors import GovernError, InvalidInput, PolicyViolation
from govern.identity.permissions import DEVICE_PERMISSIONS
from govern.web import access
from govern.web.access import govern, open_to_all
from govern.web.oauth.clients import GRANT_TYPES
from govern.web.oauth.server import Server

blueprint = Blueprint("oauth", __name__)
_OPEN: Final = "A device has nobody signed in; the code or the token that it sends is the proof."


@blueprint.post("/oauth/device_authorization")
@open_to_all("A device that nobody is signed in on begins here.", csrf=False)
def device_authorization() -> Response:
    """Ask for a code that somebody approves on the dashboard (RFC 8628)."""
    return _answer(lambda server: server.create_endpoint_response("device_authorization"))


@blueprint.post("/oauth/token")
@open_to_all(_OPEN, csrf=False)
def token() -> Response:
    """Fetch the tokens of an approved code, or new ones for a refresh token."""
    return _answer(lambda server: server.create_token_response())


@blueprint.post("/oauth/revoke")
@open_to_all(_OPEN, csrf=False)
def revoke() -> Response:
    """Give a token back (RFC 7009)."""
    return _answer(lambda server: server.create_endpoint_response("revocation"))


@blueprint.post("/oauth/introspect")
@open_to_all("Asks for a bearer token itself and answers in OAuth's way when there is none.", csrf=False)
def introspect() -> Response:
    """Ask what a token is good for (RFC 7662)."""
    # Before the unit of work begins: looking at the bearer may write that it was used, in one of its own.
    g.caller = access.principal_of_bearer_or_none()
    return _answer(lambda server: server.create_endpoint_response("introspection"))


@blueprint.get("/.well-known/oauth-authorization-server")
@open_to_all("Says where the endpoints are, and nothing about anybody.")
def metadata() -> Response:
    """What this authorization server can do (RFC 8414)."""
    issuer = govern().settings.web.url
    return jsonify(
        issuer=issuer,
        device_authorization_endpoint=f"{issuer}/oauth/device_authorization",
        token_endpoint=f"{issuer}/oauth/token",
        revocation_endpoint=f"{issuer}/oauth/revoke",
        introspection_endpoint=f"{issuer}/oauth/introspect",
        grant_types_supported=list(GRANT_TYPES),
        response_types_supported=[],
        scopes_supported=list(DEVICE_PERMISSIONS),
        token_endpoint_auth_methods_supported=["none"],
        revocation_endpoint_auth_methods_supported=["none"],
        introspection_endpoint_auth_methods_supported=["Bearer"],
        service_documentation=f"{issuer}/api/docs",
    )


def _answer(act: Callable[[Server], Any]) -> Response:
    server: Server = current_app.extensions["oauth"]
    access.release_reads()
    try:
        _check_form()
        with govern().unit_of_work(access.anonymous_actor("device")) as uow:
            g.uow = uow
            return make_response(act(server))
    except OAuth2Error as error:
        return make_response(server.handle_response(*error()))
    finally:
        g.pop("uow", None)


def _check_form() -> None:
    """RFC 6749, section 3.2: parameters stand in the body, each once."""
    if request.args:
        raise InvalidRequestError("Send the parameters in the body; an address is logged on its way.")
    if any(len(values) > 1 for _, values in request.form.lists()):
        raise InvalidRequestError("A parameter is there more than once.")


@blueprint.errorhandler(GovernError)
def _refused(error: GovernError) -> Response:
    """Errors of ours in OAuth's shape."""
    name = "temporarily_unavailable" if isinstance(error, PolicyViolation) else "invalid_request"
    response = jsonify(error=name, error_description=error.sentence)
    response.status_code = 429 if isinstance(error, PolicyViolation) else 400 if isinstance(error, InvalidInput) else 503
    if response.status_code != 400:
        response.headers["Retry-After"] = "60"
    return response
