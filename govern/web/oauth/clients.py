"""The programs that may ask to act for a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc8628 import DEVICE_CODE_GRANT_TYPE

GRANT_TYPES: Final = (DEVICE_CODE_GRANT_TYPE, "refresh_token")


@dataclass(frozen=True)
class Client(ClientMixin):  # type: ignore[misc]
    """A public client: it has no secret, because whatever ships in a program is known to everybody."""

    id: str
    label: str

    def get_client_id(self) -> str:
        return self.id

    def get_default_redirect_uri(self) -> None:
        return None

    def get_allowed_scope(self, scope: str | None) -> str:
        return scope or ""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return False

    def check_client_secret(self, client_secret: str) -> bool:
        return False

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "none"

    def check_response_type(self, response_type: str) -> bool:
        return False

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in GRANT_TYPES


CLIENTS: Final = {client.id: client for client in (Client("govern-cli", "The govern command line"),)}


def label_of(client_id: str) -> str:
    """The program's name, for people."""
    client = CLIENTS.get(client_id)
    return client.label if client else client_id
