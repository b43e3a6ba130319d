"""Making and ending native credentials: the adapter behind `ports.KeyIssuer`.

OpenAI lets nobody make a key for somebody else, so a credential is a service account of its own with the one key that comes
with it: deleting the account ends the key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import structlog

from govern.core.crypto import Secret
from govern.core.errors import Rejected
from govern.openai import archive, fields
from govern.openai.client import OpenAIClient
from govern.openai.directory import service_account
from govern.openai.paths import path
from govern.ports import IssuedCredential, RemoteServiceAccount

_ACCOUNTS: Final = "/organization/projects/{}/service_accounts"
_EXPIRY: Final = "expires_in_seconds"

log = structlog.get_logger("govern.openai")


class OpenAIKeys:
    """Implements `ports.KeyIssuer`. Every method may raise `ProviderError`."""

    def __init__(self, client: OpenAIClient) -> None:
        self._client = client
        self._knows_expiry = client.generation != "2026-08"

    def create(self, project_id: str, name: str, expires_in_seconds: int) -> IssuedCredential:
        """One service account and its key. `expires_at` is None where the organization's API knows no expiry yet.

        Sent once. Raises Unavailable if it is unknown whether it was made: then `find` by name tells.
        """
        where = path(_ACCOUNTS, project_id)
        body: dict[str, Any] = {"name": name}
        if self._knows_expiry:
            try:
                return _credential(self._client.create(where, body | {_EXPIRY: expires_in_seconds}))
            except Rejected as error:
                if self._client.generation != "auto" or not _is_unknown_field(error):
                    raise
                # A refusal made nothing, so asking once more makes one account and not two.
                log.warning("openai.no_expiry", reason="the organization's API does not know expires_in_seconds")
                self._knows_expiry = False
        return _credential(self._client.create(where, body))

    def find(self, project_id: str, name: str) -> Sequence[RemoteServiceAccount]:
        found = archive.listing(self._client, _ACCOUNTS, project_id)
        return tuple(service_account(item, project_id) for item in found if item.get("name") == name)

    def delete(self, project_id: str, service_account_id: str) -> None:
        archive.end(self._client, path(f"{_ACCOUNTS}/{{}}", project_id, service_account_id))


def _is_unknown_field(error: Rejected) -> bool:
    """Whether the refusal means "no such field". A field that is known but has a value that is not liked must not lose its
    expiry by this door, so only the words for an unknown one count."""
    said = error.sentence
    unknown = error.facts.get("provider_code") == "unknown_parameter" or "Unrecognized request argument" in said
    return error.status == 400 and (unknown or "Unknown parameter" in said) and _EXPIRY in f"{error.facts.get('param')} {said}"


def _credential(answer: dict[str, Any]) -> IssuedCredential:
    key = fields.inner(answer, "api_key")
    value = fields.text(key, "value")
    return IssuedCredential(
        service_account_id=fields.text(answer, "id"),
        key_id=fields.text(key, "id"),
        value=Secret(value),
        redacted=fields.maybe_text(key, "redacted_value") or f"{value[:7]}…{value[-4:]}",
        expires_at=fields.maybe_instant(key, "expires_at"),
    )
