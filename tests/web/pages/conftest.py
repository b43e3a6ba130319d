"""Readers and writers of pages, as browsers without a script are."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.web.conftest import Door


@dataclass
class Reader:
    """A signed-in browser. `get` fetches a page; `send` fills in the form that a page holds and posts it."""

    client: FlaskClient

    def get(self, address: str, **more: Any) -> TestResponse:
        return self.client.get(address, **more)

    def send(
        self, page: str, address: str | None = None, values: Mapping[str, Any] | None = None, *, follow: bool = True
    ) -> TestResponse:
        """Post to `address` (by default the page's own) with the page's hidden fields and these values."""
        shown = self.client.get(page)
        assert shown.status_code == 200, shown.text
        hidden = dict(re.findall(r'<input type="hidden" name="(csrf_token|once)" value="([^"]+)"', shown.text))
        data = {name: html.unescape(value) for name, value in hidden.items()} | dict(values or {})
        return self.client.post(address or page, data=data, follow_redirects=follow)


def value_of(page: TestResponse, field: str) -> str:
    """What the page's input shows."""
    found = re.search(rf'<input[^>]*name="{field}"[^>]*value="([^"]*)"', page.text)
    assert found, f"no field {field}"
    return html.unescape(found[1])


def secret_of(page: TestResponse) -> str:
    """The value that a page shows once."""
    found = re.search(r'<input[^>]*id="value"[^>]*value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


@pytest.fixture
def readers(door: Door) -> dict[str, Reader]:
    """A browser per role."""
    return {role: Reader(door.browser(role)) for role in ("admin", "manager", "auditor", "employee")}


@pytest.fixture
def admin(readers: dict[str, Reader]) -> Reader:
    return readers["admin"]
