"""The REST API, `/api/v1`: one file per slice, under the slice's name."""

from __future__ import annotations

from flask import Flask


def register(app: Flask) -> None:
    """Put the API into the app."""
