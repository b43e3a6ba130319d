"""What else gives access, as we ask for it: groups, roles, federation, and OpenAI's own audit log.

The same promises as in `ports`: ids are OpenAI's, every method may raise `core.errors.ProviderError`, and listings are complete
or raise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True)
class RemoteGroup:
    """A group of members. `is_scim_managed`: the identity provider owns it."""

    id: str
    name: str
    created_at: datetime
    is_scim_managed: bool


@dataclass(frozen=True)
class RemoteRole:
    """A role that somebody holds. `through` names the groups that it comes through; none: held directly."""

    id: str
    name: str
    permissions: tuple[str, ...]
    is_predefined: bool
    through: tuple[str, ...]


@dataclass(frozen=True)
class RemoteProvider:
    """An identity provider whose tokens can be exchanged for OpenAI's."""

    id: str
    name: str
    issuer: str
    audience: str
    enabled: bool
    created_at: datetime


@dataclass(frozen=True)
class RemoteRule:
    """A federation rule: whose tokens become which service account. `scopes` empty: all that the account may."""

    id: str
    provider_id: str
    project_id: str
    service_account_id: str
    name: str | None
    enabled: bool
    scopes: tuple[str, ...]
    matchers: Mapping[str, Any]
    created_at: datetime


@dataclass(frozen=True)
class RemoteEvent:
    """One event of OpenAI's audit log. `resource_id` is what was changed; `project_id` is often only the default project.

    `actor_kind` is `session` (somebody at OpenAI's dashboard) or `api_key`; `actor_key_id` is the admin key that was used.
    `request_id`: of the request that made it, where the log tells it.
    """

    id: str
    type: str
    at: datetime
    project_id: str | None
    resource_id: str | None
    actor_kind: str | None
    actor_id: str | None
    actor_email: str | None
    actor_key_id: str | None
    request_id: str | None
    details: Mapping[str, Any]


class AccessSource(Protocol):
    """Who has access through what, beside seats and keys."""

    def groups(self) -> Sequence[RemoteGroup]: ...
    def group_members(self, group_id: str) -> Sequence[str]:
        """User ids."""
        ...

    def project_groups(self, project_id: str) -> Sequence[str]:
        """Ids of the groups that stand in the project. An archived project has none."""
        ...

    def roles(self, kind: str, principal_id: str, project_id: str | None) -> Sequence[RemoteRole]:
        """What a `user` or a `group` holds, in the organization or in one project. Nobody of that id holds nothing."""
        ...

    def providers(self) -> Sequence[RemoteProvider]:
        """Where the organization's API knows no federation there is none."""
        ...

    def rules(self, provider_id: str) -> Sequence[RemoteRule]: ...
    def leave_group(self, group_id: str, member_id: str) -> None:
        """Take a member out of a group. Already out is success; a group that the identity provider owns raises Rejected."""
        ...

    def drop_role(self, member_id: str, role_id: str, project_id: str | None) -> None:
        """Take away a role that the member holds directly. Not held is success."""
        ...

    def delete_rule(self, provider_id: str, rule_id: str) -> None:
        """End a federation rule. Already gone is success."""
        ...


class AuditSource(Protocol):
    """OpenAI's own audit log."""

    def events(self, since: datetime) -> Sequence[RemoteEvent] | None:
        """Every event from `since` on. None: the organization's log is not switched on."""
        ...
