"""Whether a change that OpenAI's audit log tells of is one that we made. Pure: no reads, no writes.

The log is not documented to carry request ids. Where an event does, the id decides; else a call explains an event that was made
with our admin key, near it in time, of its kind, and about something that the call named. A creation whose answer never came
names nothing: it explains one event of its kind.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from urllib.parse import unquote

from govern.access_ports import RemoteEvent
from govern.core.calls import ProviderCall

NEAR: Final = timedelta(minutes=15)
"""How far an event may lie from the call that made it: OpenAI's clock, and changes that take effect late."""

TOLD: Final[Mapping[str, tuple[str, ...]]] = {
    "service_accounts": ("service_account", "api_key"),
    "api_keys": ("api_key",),
    "admin_api_keys": ("api_key",),
    "invites": ("invite",),
    "users": ("user",),
    "projects": ("project",),
    "groups": ("group", "role.assignment"),
    "roles": ("role", "role.assignment"),
    "workload_identity_providers": ("workload_identity_provider",),
    "federation_rules": ("workload_identity_provider_mapping",),
}
"""Collection in the path of a call → kinds of event that it makes. What is not here (limits, alerts) the log does not tell."""
_ENDS: Final = frozenset({"deleted", "removed", "unbound_from_resource"})
_BEGINS: Final = frozenset({"created", "sent", "added"})
_OWNERS: Final = ("service_account_id", "identity_provider_id")
"""Details that name what the thing belonged to: it ends with that."""


class JoinedBy(StrEnum):
    """How a call was found for an event, the surest first."""

    REQUEST = "request_id"
    SUBJECT = "subject"
    KIND = "kind"


@dataclass(frozen=True)
class Explanation:
    """The call that made the event."""

    call_id: str
    by: JoinedBy


@dataclass
class Calls:
    """Calls of ours, looked up by what they named. Give it those that may have happened, near the events in question."""

    calls: Iterable[ProviderCall]
    spent: set[tuple[str, str]] = field(default_factory=set)
    """(call, type of event) that a call has explained already: a nameless creation explains one of a type, and of several calls
    about the same thing each explains an event of its own."""

    def __post_init__(self) -> None:
        self._by_request: dict[str, ProviderCall] = {}
        self._by_subject: dict[str, list[tuple[ProviderCall, frozenset[str]]]] = defaultdict(list)
        self._nameless: list[ProviderCall] = []
        for call in self.calls:
            if not call.may_have_happened:
                continue
            if call.request_id:
                self._by_request[call.request_id] = call
            names = named(call)
            for name in names:
                self._by_subject[name].append((call, names))
            if _is_creation(call) and not call.touched:
                self._nameless.append(call)

    def explain(self, event: RemoteEvent, owner_id: str | None, our_keys: Collection[str]) -> Explanation | None:
        """The call that made the event. `owner_id`: whose it was, because what is owned ends with its owner.

        `our_keys` are OpenAI's ids of the admin keys with which we call; none known: any admin key may be ours.
        """
        if event.request_id and (call := self._by_request.get(event.request_id)):
            return Explanation(call.id, JoinedBy.REQUEST)
        if not _may_be_ours(event, our_keys):
            return None
        principal = event.details.get("principal_id")
        owners = [owner_id, *(event.details.get(name) for name in _OWNERS)] if _is_end(event.type) else []
        for subject in (event.resource_id, *owners):
            about = self._by_subject.get(str(subject), ()) if subject else ()
            meant = [call for call, names in about if _same_deed(call, event) and (principal is None or str(principal) in names)]
            if meant:
                return self._spend(min(meant, key=lambda call: self._unlikely(call, event)), event, JoinedBy.SUBJECT)
        for call in self._nameless if _begins(event.type) else ():
            if (call.id, event.type) not in self.spent and _same_deed(call, event) and _kind(event.type) in _kinds(call):
                return self._spend(call, event, JoinedBy.KIND)
        return None

    def _unlikely(self, call: ProviderCall, event: RemoteEvent) -> tuple[bool, timedelta, str]:
        return (call.id, event.type) in self.spent, abs(event.at - call.at), call.id

    def _spend(self, call: ProviderCall, event: RemoteEvent, by: JoinedBy) -> Explanation:
        self.spent.add((call.id, event.type))
        return Explanation(call.id, by)


def named(call: ProviderCall) -> frozenset[str]:
    """Everything that the call named: what stands in its path, and the ids in its answer."""
    return frozenset(unquote(part) for part in call.path.split("/") if part) | frozenset(call.touched or ())


def should_show(call: ProviderCall, known_from: datetime, until: datetime) -> bool:
    """Whether the log should show an event for the call: it surely happened, is of a kind that is told, and then was known."""
    answered = call.status is not None and call.status < 300
    of_a_group = "groups" in call.path.split("/")  # who stands in a group is not told
    return answered and bool(_kinds(call)) and not of_a_group and known_from <= call.at <= until


def _kinds(call: ProviderCall) -> tuple[str, ...]:
    """What events it makes, by the collection at the end of its path: `…/api_keys`, `…/api_keys/{id}`, `…/{id}/archive`."""
    parts = call.path.split("/")
    places = parts[-3:-2] if parts[-1] == "archive" else parts[:-3:-1]
    return next((TOLD[part] for part in places if part in TOLD), ())


def _is_creation(call: ProviderCall) -> bool:
    return call.method == "POST" and call.path.rpartition("/")[2] in TOLD


def _kind(event_type: str) -> str:
    return event_type.rpartition(".")[0]


def _is_end(event_type: str) -> bool:
    return event_type.rpartition(".")[2] in _ENDS


def _begins(event_type: str) -> bool:
    return event_type.rpartition(".")[2] in _BEGINS


def _may_be_ours(event: RemoteEvent, our_keys: Collection[str]) -> bool:
    if event.actor_kind == "session":
        return False
    return event.actor_key_id is None or not our_keys or event.actor_key_id in our_keys


def _same_deed(call: ProviderCall, event: RemoteEvent) -> bool:
    return (call.method == "DELETE") == _is_end(event.type) and abs(event.at - call.at) <= NEAR
