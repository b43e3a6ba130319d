"""Where a form leads after it did its work."""

from __future__ import annotations

from flask import flash, redirect
from werkzeug.wrappers import Response


def see(address: str, sentence: str | None = None, tone: str = "success") -> Response:
    """Go and look there (303), with a sentence on top."""
    if sentence:
        flash(sentence, tone)
    return redirect(address, code=303)
