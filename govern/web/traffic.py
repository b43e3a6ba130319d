"""What every request and response gets: an id, the security headers, one line in the log."""

from __future__ import annotations

import time
from typing import Final, cast

import structlog
from flask import Flask, Response, current_app, g, request

from govern.core.ids import new_id
from govern.web import access, cookies

log = structlog.get_logger("govern.access")

_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_QUIET: Final = ("static", "health.healthz", "health.readyz")


def register(app: Flask) -> None:
    """Put these around every request. Register it first: the request id must be there before anything can go wrong."""
    app.before_request(_begin)
    app.after_request(_end)


def request_id() -> str:
    """The id of this request, as its answer, its log line and its audit events name it."""
    return cast(str, g.request_id)


def _begin() -> None:
    g.request_id = new_id("req")
    g.began = time.perf_counter()


def _end(response: Response) -> Response:
    response.headers["X-Request-Id"] = request_id()
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Content-Security-Policy"] = content_security_policy()
    if cookies.is_secure(access.govern().settings):
        response.headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
    elif "v" not in request.args:
        response.headers["Cache-Control"] = "no-cache"
    _log(response)
    return response


def content_security_policy() -> str:
    """Nothing but our own files, no inline script or style; forms may end at the identity provider (sign-out goes there)."""
    provider = current_app.extensions["oidc"]
    targets = " ".join(["'self'", *sorted(provider.origins if provider else ())])
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; "
        f"manifest-src 'self'; form-action {targets}; frame-ancestors 'none'; base-uri 'none'"
    )


def _log(response: Response) -> None:
    if request.endpoint in _QUIET and response.status_code < 400:
        return
    principal = access.principal_or_none()
    # The route and not the address: query strings hold codes and states, and the set-up link holds a secret in its path.
    log.info(
        "request",
        method=request.method,
        route=request.url_rule.rule if request.url_rule else None,
        status=response.status_code,
        ms=round((time.perf_counter() - g.began) * 1000, 1),
        who=principal.actor_id if principal else None,
        ip=request.remote_addr,
        request_id=request_id(),
    )
