"""Errors as each door shows them: problem+json (RFC 9457) for the API, a page or a flashed sentence for people."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import structlog
from flask import Flask, Response, flash, g, jsonify, make_response, redirect, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from govern.core import errors
from govern.core.crypto import redact
from govern.identity.idempotency import InFlight
from govern.web.access import is_api, is_for_programs, is_scim, origin_of

log = structlog.get_logger("govern.web")

STATUS: Final[Mapping[type[errors.GovernError], int]] = {
    errors.InvalidInput: 422,
    errors.NotAuthenticated: 401,
    errors.NotAllowed: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.PolicyViolation: 409,
    errors.Gone: 410,
    errors.Unavailable: 503,
    errors.Throttled: 503,
    errors.Rejected: 502,
    errors.Missing: 502,
    errors.ProviderError: 502,
}
_FLASHED: Final = (
    errors.Conflict,
    errors.PolicyViolation,
    errors.NotFound,
    errors.InvalidInput,
    errors.Gone,
    errors.ProviderError,
)
PROBLEM_JSON: Final = "application/problem+json"


def register(app: Flask) -> None:
    """Answer every error in the way of the door that it came in by."""
    app.register_error_handler(errors.GovernError, _govern_error)
    app.register_error_handler(CSRFError, _csrf_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _bug)


def status_of(error: errors.GovernError) -> int:
    """The HTTP status of an error, by its nearest ancestor in the table."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def problem(status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> Response:
    """A problem+json answer."""
    if is_scim():
        return _scim_error(status, detail, headers)
    body = {
        "type": f"urn:govern:problem:{code}", "title": HTTPStatus(status).phrase, "status": status, "detail": detail,
        "code": code, "request_id": g.get("request_id"),
    } | more  # fmt: skip
    response = jsonify(body)
    response.status_code, response.content_type = status, PROBLEM_JSON
    response.headers.update(dict(headers or {}))
    return response


def _scim_error(status: int, detail: str, headers: Mapping[str, str] | None) -> Response:
    """An error as RFC 7644, section 3.12 writes it; it knows no 422."""
    status = 400 if status == 422 else status
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": str(status), "detail": detail}
    if status == 400:
        body["scimType"] = "invalidValue"
    response = jsonify(body)
    response.status_code, response.content_type = status, "application/scim+json"
    response.headers.update(dict(headers or {}))
    return response


def _govern_error(error: errors.GovernError) -> Response:
    status, headers = status_of(error), _headers(error)
    if not is_for_programs():
        return _for_people(error, status, headers)
    more: dict[str, Any] = {}
    if isinstance(error, errors.InvalidInput):
        more["errors"] = {name: [sentence] for name, sentence in error.fields.items()}
    if isinstance(error, errors.PolicyViolation):
        more["rule"] = error.rule
    return problem(status, error.code, redact(error.sentence), headers=headers, **more)


def _headers(error: errors.GovernError) -> dict[str, str]:
    if isinstance(error, errors.NotAuthenticated):
        told = ', error="invalid_token"' if error.facts.get("token") else ""
        return {"WWW-Authenticate": f'Bearer realm="govern"{told}'} if is_api() or is_scim() else {}
    if isinstance(error, errors.Throttled) and error.retry_after is not None:
        return {"Retry-After": str(max(1, round(error.retry_after)))}
    if isinstance(error, InFlight):
        return {"Retry-After": "1"}
    return {"Retry-After": "5"} if isinstance(error, errors.Unavailable) else {}


def _for_people(error: errors.GovernError, status: int, headers: Mapping[str, str]) -> Response:
    if isinstance(error, errors.NotAuthenticated):
        return _to_sign_in()
    unsafe = request.method not in ("GET", "HEAD", "OPTIONS")
    back = request.referrer
    if unsafe and isinstance(error, _FLASHED) and back and origin_of(back) == origin_of(request.host_url):
        flash(redact(error.sentence), "danger")
        return make_response(redirect(back, code=303))
    return page(status, redact(error.sentence), headers)


def _to_sign_in() -> Response:
    from govern.web.auth import sign_in_address

    address = sign_in_address(request.full_path.removesuffix("?") if request.method == "GET" else None)
    if request.headers.get("HX-Request"):  # a fragment must not be replaced by a whole sign-in page
        response = make_response("", 401)
        response.headers["HX-Redirect"] = address
        return response
    return make_response(redirect(address, code=303))


def page(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error as a page."""
    shown = render_template("errors/problem.html", status=status, title=HTTPStatus(status).phrase, sentence=sentence)
    response = make_response(shown, status)
    response.headers.update(dict(headers or {}))
    return response


def _csrf_error(_error: CSRFError) -> Response:
    sentence = "The form was open too long or came from elsewhere, so nothing was done. Please go back, reload and try again."
    return problem(403, "form_expired", sentence) if is_for_programs() else page(403, sentence)


_SENTENCES: Final = {
    400: "The request could not be understood.",
    404: "There is nothing at this address.",
    405: "This address does not take that method.",
    413: "What was sent is too large.",
    415: "Send the body as application/json.",
    422: "The request has values that cannot be used.",
}


def _http_error(error: HTTPException) -> Response:
    if error.response is not None:  # a redirect of the router
        return make_response(error.get_response(request.environ))
    status = error.code or 500
    if status >= 500:
        return _bug(error)
    dropped = ("content-type", "content-length")
    headers = {name: value for name, value in error.get_headers(request.environ) if name.lower() not in dropped}
    sentence = _SENTENCES.get(status, HTTPStatus(status).phrase + ".")
    if not is_for_programs():
        if 300 <= status < 400:
            return make_response(error.get_response(request.environ))
        return page(status, sentence, headers)
    more: dict[str, Any] = {}
    found = getattr(error, "data", None) or {}
    if "messages" in found or "errors" in found:
        more["errors"] = _flat(found.get("errors") or found["messages"])
        sentence = _SENTENCES[422]
    headers.update(found.get("headers") or {})
    code = "invalid_input" if status == 422 else HTTPStatus(status).name.lower()
    return problem(status, code, sentence, headers=headers, **more)


def _flat(messages: Mapping[str, Any]) -> dict[str, list[str]]:
    """marshmallow's nested messages as `field.inner` → sentences, without the place (json, query) in front."""
    flat: dict[str, list[str]] = {}

    def walk(prefix: str, value: object) -> None:
        if isinstance(value, Mapping):
            for name, inner in value.items():
                walk(f"{prefix}.{name}" if prefix else str(name), inner)
        else:
            flat[prefix] = [str(item) for item in value] if isinstance(value, list) else [str(value)]

    for place, value in messages.items():
        walk("" if place in ("json", "query", "headers", "path") and isinstance(value, Mapping) else str(place), value)
    return flat


def _bug(error: Exception) -> Response:
    log.error(
        "bug",
        request_id=g.get("request_id"),
        route=str(request.url_rule),
        trace=redact("".join(traceback.format_exception(error))),
    )
    sentence = "Something went wrong on our side. It was logged; name the request id when you ask about it."
    if is_api():
        return problem(500, "internal", sentence)
    try:
        return page(500, sentence)
    except Exception:  # the page itself may be what is broken, and then nothing else would answer
        return make_response(f"{sentence} Request id: {g.get('request_id')}", 500, {"Content-Type": "text/plain; charset=utf-8"})
