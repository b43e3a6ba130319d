"""The rows of the organization. Only values that JSON can hold, so that the whole of it can be written to a file and
read back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(slots=True)
class User:
    """A member of the organization. `legacy_service_account` rows appear in listings although nobody sits behind them."""

    id: str
    email: str | None
    name: str
    role: str
    added_at: int
    is_service_account: bool = False
    is_scim_managed: bool = False
    technical_level: str | None = None
    developer_persona: str | None = None


@dataclass(slots=True)
class Invite:
    id: str
    email: str
    role: str
    projects: list[dict[str, str]]
    created_at: int
    expires_at: int
    accepted_at: int | None = None


@dataclass(slots=True)
class Project:
    id: str
    name: str
    created_at: int
    is_default: bool = False
    archived_at: int | None = None
    residency: str = "GLOBAL"
    external_key_id: str | None = None
    model_policy: Json | None = None
    tools: dict[str, bool] = field(default_factory=dict)
    tiers: Json = field(default_factory=lambda: {"default": "standard", "enabled_tiers": "all"})
    retention: str = "organization_default"
    rate_limits: dict[str, dict[str, int]] = field(default_factory=dict)
    spend_limit: Json | None = None


@dataclass(slots=True)
class Membership:
    """A person's own place in a project. `removed_at` keeps the data plane's memory while a removal spreads."""

    project_id: str
    user_id: str
    role: str
    added_at: int
    removed_at: float | None = None


@dataclass(slots=True)
class ServiceAccount:
    id: str
    project_id: str
    name: str
    role: str
    created_at: int


@dataclass(slots=True)
class Key:
    """A project key. Its value is known to its holder alone: here are only a digest and the redacted form.

    `habit` and `volume` describe seeded traffic (see traffic.py). `before` is what the data plane still believes after an update:
    the scopes and the expiry before it, and when it was made.
    """

    id: str
    project_id: str
    name: str
    digest: str
    redacted: str
    created_at: int
    owner_user_id: str | None = None
    owner_account_id: str | None = None
    scopes: list[str] = field(default_factory=list)
    expires_at: int | None = None
    last_used_at: int | None = None
    deleted_at: float | None = None
    before: Json | None = None
    habit: str = ""
    volume: int = 0
    quiet_from: int | None = None


@dataclass(slots=True)
class AdminKey:
    id: str
    name: str
    digest: str
    redacted: str
    scopes: list[str]
    owner_user_id: str
    created_at: int
    expires_at: int | None = None
    last_used_at: int | None = None


@dataclass(slots=True)
class Group:
    id: str
    name: str
    created_at: int
    is_scim_managed: bool = False
    members: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class ProjectGroup:
    project_id: str
    group_id: str
    created_at: int


@dataclass(slots=True)
class Role:
    id: str
    name: str
    permissions: list[str]
    resource_type: str
    project_id: str | None = None
    predefined: bool = False
    description: str | None = None
    created_at: int | None = None
    updated_at: int | None = None
    created_by: str | None = None


@dataclass(slots=True)
class Assignment:
    """A role held by a user or a group, in the organization (`project_id` None) or in one project."""

    principal_kind: str
    principal_id: str
    project_id: str | None
    role_id: str
    created_at: int


@dataclass(slots=True)
class SpendAlert:
    id: str
    project_id: str | None
    threshold_amount: int
    recipients: list[str]
    subject_prefix: str | None
    created_at: int
    mailed_months: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Certificate:
    id: str
    name: str | None
    content: str
    created_at: int
    valid_at: int
    expires_at: int
    active: bool = False
    active_projects: list[str] = field(default_factory=list)


@dataclass(slots=True)
class IdentityProvider:
    id: str
    name: str
    issuer: str
    audience: str
    verification: Json
    attribute_transformations: list[dict[str, str]]
    description: str | None
    enabled: bool
    created_at: int
    updated_at: int


@dataclass(slots=True)
class FederationRule:
    id: str
    provider_id: str
    project_id: str
    service_account_id: str
    attribute_matchers: Json
    permissions: Json
    name: str | None
    description: str | None
    enabled: bool
    created_at: int
    updated_at: int


@dataclass(slots=True)
class FederatedToken:
    digest: str
    service_account_id: str
    scopes: list[str]
    created_at: int
    expires_at: int


@dataclass(slots=True)
class Event:
    """An audit event as it is served, without `project`."""

    id: str
    type: str
    effective_at: int
    actor: Json
    details: Json


@dataclass(slots=True)
class Metered:
    """Traffic that was made, not seeded: a call on the data plane, or spend added by a control call (`usd` says how much).

    `measures` are those of the endpoint, in the order of catalogue.MEASURES.
    """

    at: int
    endpoint: str
    project_id: str
    user_id: str | None
    api_key_id: str | None
    model: str
    measures: list[int]
    requests: int = 1
    tier: str = "default"
    usd: str | None = None
    source: str | None = None
    size: str | None = None


@dataclass(slots=True)
class Restatement:
    """A day (days since 1970) whose records were corrected: all its measures and money times `numerator / denominator`."""

    day: int
    numerator: int
    denominator: int
    project_id: str | None = None
