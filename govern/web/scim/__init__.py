"""SCIM 2.0 (RFC 7643, 7644): how an identity provider says who is here and who is not. The rules are `provisioning`."""

from __future__ import annotations

from flask import Flask

from govern.web.scim import endpoints


def register(app: Flask) -> None:
    """Put the endpoints into the app."""
    app.register_blueprint(endpoints.blueprint)
