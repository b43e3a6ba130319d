"""Every operation that is served, of both planes."""

from __future__ import annotations

from typing import Final

from govern.fakes.openai import (
    admin_keys,
    audit_log,
    costs,
    data_plane,
    invites,
    project_keys,
    project_users,
    projects,
    roles,
    service_accounts,
    usage,
    users,
)
from govern.fakes.openai.wire import Operation

_MODULES: Final = (
    admin_keys, audit_log, costs, data_plane, invites, project_keys, project_users, projects, roles, service_accounts, usage, users,
)  # fmt: skip
OPERATIONS: Final[tuple[Operation, ...]] = tuple(operation for module in _MODULES for operation in module.routes.operations)
