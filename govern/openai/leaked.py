"""Asking OpenAI whose a key is, by using it: the adapter behind `ports.KeyProbe`."""

from __future__ import annotations

from govern.core.crypto import Secret
from govern.core.errors import CredentialRefused
from govern.openai import fields
from govern.openai.client import OpenAIClient
from govern.openai.paths import path
from govern.ports import KeyHolder


class OpenAIProbe:
    """Implements `ports.KeyProbe`. May raise `ProviderError`."""

    def __init__(self, client: OpenAIClient) -> None:
        self._client = client

    def whose(self, value: Secret) -> KeyHolder | None:
        try:
            found = self._client.get_as(path("/me"), value)
        except CredentialRefused as refusal:
            # 401: no such key (any more). 403: it is good, but not for this question, as an admin key's answer is.
            return None if refusal.status == 401 else KeyHolder(None, None, None)
        return KeyHolder(fields.maybe_text(found, "id"), fields.maybe_text(found, "name"), fields.maybe_text(found, "email"))
