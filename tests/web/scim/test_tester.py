"""An independent conformance tester, over every resource and attribute that the server says it has."""

from __future__ import annotations

from typing import Any

import pytest
from scim2_client.engines.wsgi import WSGISCIMClient
from scim2_models import Resource
from scim2_tester import Status, check_server

from tests.web.scim.conftest import READY, Provider


class WithAddresses(WSGISCIMClient):
    """The tester makes up people without an address, whom nobody could invite: their user name becomes one."""

    def create(self, resource: Any, *rest: Any, **more: Any) -> Any:
        if isinstance(resource, Resource):
            resource.user_name = f"{resource.user_name}@acme.example"  # type: ignore[attr-defined]
        return super().create(resource, *rest, **more)


@pytest.mark.one_database
def test_scim2_tester_finds_nothing(provider: Provider) -> None:
    assert provider.secret is not None
    address = f"{provider.door.govern.settings.web.url}{READY}"
    client = WithAddresses(provider.door.app, base_url=address, headers={"Authorization": f"Bearer {provider.secret.reveal()}"})
    client.discover()
    results = check_server(client)
    assert [(result.title, result.reason) for result in results if result.status is not Status.SUCCESS] == []
    assert len(results) > 60
