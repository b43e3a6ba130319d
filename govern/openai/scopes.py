"""Narrowing a key and widening it again: the adapter behind `ports.KeyScopes`.

`scopes` replaces what was there, and an empty list lifts every restriction (OpenAI's API reference): nothing here sends one
unless "all" was asked for by that word. No answer shows a key's scopes; only the audit log tells what they were set to.
"""

from __future__ import annotations

from typing import Final

from govern.core.errors import CredentialRefused, Missing, Rejected
from govern.openai.client import OpenAIClient
from govern.openai.fields import Fields
from govern.openai.paths import path
from govern.ports import ALL_SCOPES, Scopes

_KEY: Final = "/organization/projects/{}/api_keys/{}"
CANNOT: Final = "This organization's API (generation 2026-08) cannot narrow a key."


class OpenAIScopes:
    """Implements `ports.KeyScopes`. Every method may raise `ProviderError`."""

    def __init__(self, client: OpenAIClient) -> None:
        self._client = client

    def recorded(self, key_id: str, *, changes_only: bool = False) -> Scopes | None:
        kinds = ("api_key.updated",) if changes_only else ("api_key.created", "api_key.updated")
        query = [("resource_ids[]", key_id), *(("event_types[]", kind) for kind in kinds)]
        try:
            events = self._client.listing(path("/organization/audit_logs"), query)
        except (Rejected, Missing, CredentialRefused) as refusal:
            if refusal.status == 401:
                raise  # the key itself is not good, which is another matter
            return None  # an owner has not switched the log on, or our key may not read it
        # They come newest first, but within one second that is no order: the list's own is kept.
        for event in sorted(events, key=lambda event: int(event.get("effective_at") or 0), reverse=True):
            found = _scopes_of(event)
            if found is not None:
                return found
        return None

    def put(self, project_id: str, key_id: str, scopes: Scopes) -> None:
        if not scopes:
            raise ValueError("An empty list of scopes would lift every restriction.")
        if self._client.generation == "2026-08":
            raise Rejected(CANNOT, cannot_narrow=True)
        where = path(_KEY, project_id, key_id)
        try:
            self._client.create(where, {"scopes": [] if scopes == ALL_SCOPES else list(scopes)})
        except Missing:
            self._client.get(where)  # raises Missing again when it is the key that is not there, and not the operation
            raise Rejected(CANNOT, cannot_narrow=True) from None
        except Rejected as error:
            if error.status in (404, 405):  # the address itself is not known
                raise Rejected(CANNOT, status=error.status, request_id=error.request_id, cannot_narrow=True) from None
            raise


def _scopes_of(event: Fields) -> Scopes | None:
    kind = event.get("type")
    details = event.get(str(kind))
    said = details.get("data" if kind == "api_key.created" else "changes_requested") if isinstance(details, dict) else None
    scopes = said.get("scopes") if isinstance(said, dict) else None
    if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
        return None  # an update of something else, such as the expiry
    return tuple(scopes) or ALL_SCOPES
