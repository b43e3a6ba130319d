"""`/scim/v2/…`. The protocol is scim2-server's, which is loaded when the first request asks for it: it takes a second."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response

from govern.web.access import open_to_all, requires

blueprint = Blueprint("scim", __name__, url_prefix="/scim/v2")

_USER: Final = "/Users/<string(maxlength=60):user_id>"


@blueprint.get("/ServiceProviderConfig")
@open_to_all("Says what this server can do, and nothing about anybody (RFC 7643, section 5).")
def service_provider_config() -> Response:
    """What is supported."""
    return _serve()


@blueprint.get("/ResourceTypes")
@blueprint.get("/Schemas")
@requires("people:provision")
def described() -> Response:
    """What kinds of things there are, and their attributes."""
    return _serve()


@blueprint.get("/ResourceTypes/<string(maxlength=200):named>")
@blueprint.get("/Schemas/<string(maxlength=200):named>")
@requires("people:provision")
def described_one(**_named: str) -> Response:
    """One of them."""
    return _serve()


@blueprint.get("/Users")
@blueprint.post("/Users/.search")
@blueprint.post("/.search")
@requires("people:provision")
def users() -> Response:
    """Find accounts."""
    return _serve()


@blueprint.post("/Users")
@requires("people:provision")
def create_user() -> Response:
    """Take an account in."""
    return _serve(changes=True)


@blueprint.get(_USER)
@requires("people:provision")
def user(**_id: str) -> Response:
    """One account."""
    return _serve()


@blueprint.route(_USER, methods=["PUT", "PATCH", "DELETE"])
@requires("people:provision")
def change_user(**_id: str) -> Response:
    """Change an account, or let it go."""
    return _serve(changes=True)


def _serve(*, changes: bool = False) -> Response:
    from govern.web.scim.serving import serve

    return serve(changes=changes)
