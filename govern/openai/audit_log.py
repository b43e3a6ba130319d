"""OpenAI's own audit log: the adapter behind `access_ports.AuditSource`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import structlog

from govern.access_ports import RemoteEvent
from govern.core.errors import CredentialRefused, Missing, Rejected
from govern.openai import fields
from govern.openai.client import OpenAIClient
from govern.openai.fields import Fields
from govern.openai.paths import path

_LOGS: Final = "/organization/audit_logs"
_REQUEST: Final = re.compile(r"(?P<request>req_.+?)(_\d{8})?")

log = structlog.get_logger("govern.openai")


class OpenAIAuditLog:
    """Implements `access_ports.AuditSource`."""

    def __init__(self, client: OpenAIClient) -> None:
        self._client = client

    def events(self, since: datetime) -> Sequence[RemoteEvent] | None:
        """Newest first. An owner has to switch the log on once, in OpenAI's dashboard; until then the address refuses."""
        try:
            found = self._client.listing(path(_LOGS), [("effective_at[gte]", str(int(since.timestamp())))])
        except (Rejected, Missing, CredentialRefused) as refusal:
            if refusal.status == 401:
                raise  # the key itself is not good, which is another matter
            log.warning("openai.audit_log_off", status=refusal.status)
            return None
        return tuple(_event(item) for item in found)


def _event(item: Fields) -> RemoteEvent:
    kind = fields.text(item, "type")
    actor = fields.inner(item, "actor")
    how = fields.maybe_text(actor, "type")
    through = fields.inner(actor, how) if how else {}
    user, account = fields.inner(through, "user"), fields.inner(through, "service_account")
    details = fields.inner(item, kind)  # the details stand under the event's own type, dots and all
    return RemoteEvent(
        id=fields.text(item, "id"),
        type=kind,
        at=fields.instant(item, "effective_at"),
        project_id=fields.maybe_text(fields.inner(item, "project"), "id"),
        resource_id=fields.maybe_text(details, "id"),
        actor_kind=how,
        actor_id=fields.maybe_text(user, "id") or fields.maybe_text(account, "id"),
        actor_email=fields.maybe_text(user, "email"),
        actor_key_id=fields.maybe_text(through, "id") if how == "api_key" else None,
        request_id=_request_id(item),
        details=details,
    )


def _request_id(item: Fields) -> str | None:
    """Of the request that made the event. No field is documented; the ids of some events are `req_…_20240101`."""
    told = item.get("request_id")
    if isinstance(told, str) and told:
        return told[:200]
    found = _REQUEST.fullmatch(fields.text(item, "id"))
    return found["request"] if found else None
