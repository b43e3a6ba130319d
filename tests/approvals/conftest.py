"""Approvals are told over the web door's cast."""

from tests.web.conftest import door  # noqa: F401
