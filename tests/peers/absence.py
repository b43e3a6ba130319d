"""What to do when a peer that a test needs is not on the machine."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skip the test on a laptop; fail it in CI (environment variable CI), where nothing may be left out quietly."""
    if os.environ.get("CI"):
        pytest.fail(what, pytrace=False)
    pytest.skip(what)
