"""Every operation that is served, of both planes."""

from __future__ import annotations

from typing import Final

from govern.fakes.openai import (
    admin_keys,
    assignments,
    audit_log,
    certificates,
    costs,
    data_plane,
    federation,
    groups,
    invites,
    policies,
    project_keys,
    project_users,
    projects,
    roles,
    service_accounts,
    spend,
    token_exchange,
    usage,
    users,
)
from govern.fakes.openai.wire import Operation

_MODULES: Final = (
    admin_keys,
    assignments,
    audit_log,
    certificates,
    costs,
    data_plane,
    federation,
    groups,
    invites,
    policies,
    project_keys,
    project_users,
    projects,
    roles,
    service_accounts,
    spend,
    token_exchange,
    usage,
    users,
)
OPERATIONS: Final[tuple[Operation, ...]] = tuple(operation for module in _MODULES for operation in module.routes.operations)
