"""Commands on policies: say what holds, or no longer."""

from __future__ import annotations

from govern.audit import service as audit
from govern.core.uow import UnitOfWork
from govern.policies import queries
from govern.policies.models import Policy
from govern.policies.rules import Limits
from govern.ports import stored_scopes


def set_policy(uow: UnitOfWork, scope_id: str, limits: Limits, *, reason: str | None = None) -> Policy:
    """Let this hold from now on for `limits.scope`, in place of what held before. Existing keys stay as they are.

    `scope_id` is a project's or a group's id (ours or OpenAI's), empty for the organization. Raises InvalidInput, NotFound.
    """
    scope_id, limits = queries.resolve(uow.session, scope_id, limits)
    rows = queries.in_force(uow.session, limits.scope, scope_id)
    before = _facts(queries.limits_of(rows[0], "")) if rows else None
    row = rows[0] if rows else Policy(id=uow.new_id("pol"), scope=limits.scope, scope_id=scope_id)
    queries.fill(row, limits)
    row.changed_by, row.changed_at = uow.actor.id, uow.now
    uow.session.add(row)
    uow.session.flush()
    audit.record(
        uow, "policy.set", row, reason=reason, about=f"{row.scope.value} {scope_id}".strip(), before=before, after=_facts(limits)
    )
    return row


def remove_policy(uow: UnitOfWork, policy_id: str, *, reason: str | None = None) -> Policy:
    """It holds no longer. Repeating it changes nothing. Raises NotFound."""
    row = queries.get(uow.session, policy_id)
    if row.removed_at is None:
        row.removed_at, row.changed_by, row.changed_at = uow.now, uow.actor.id, uow.now
        about = f"{row.scope.value} {row.scope_id}".strip()
        audit.record(uow, "policy.removed", row, reason=reason, about=about, before=_facts(queries.limits_of(row, "")))
    return row


def _facts(limits: Limits) -> dict[str, object]:
    """What of it is said, for the audit log."""
    said = {
        "longest_days": limits.longest_days, "most_keys": limits.most_keys,
        "scopes": stored_scopes(limits.scopes) if limits.scopes is not None else None, "self_service": limits.self_service,
        "approvers": list(limits.approvers) if limits.approvers else None,
    }  # fmt: skip
    return {name: value for name, value in said.items() if value is not None}
