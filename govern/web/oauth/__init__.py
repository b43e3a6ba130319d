"""OAuth: how a command line comes to act for a person (device authorization), and how that ends."""

from __future__ import annotations

from flask import Flask

from govern.web.oauth import endpoints
from govern.web.oauth.server import make_server


def register(app: Flask) -> None:
    """Put the endpoints into the app."""
    app.extensions["oauth"] = make_server(app)
    app.register_blueprint(endpoints.blueprint)
