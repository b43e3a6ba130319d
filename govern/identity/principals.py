"""Principal: who is asking, and what they may do right now."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from govern.core.errors import NotAllowed
from govern.core.uow import Actor, ActorKind
from govern.identity.permissions import PERMISSIONS, Grants, Reach


@dataclass(frozen=True)
class Principal:
    """A signed-in person or an API token. `id` is the session's or the token's, `person_id` for whom it acts (a system: None)."""

    kind: ActorKind
    id: str
    label: str
    person_id: str | None
    person_name: str | None
    person_email: str | None
    roles: tuple[str, ...]
    grants: Grants = field(repr=False)
    auth_at: datetime | None = None
    expires_at: datetime | None = None
    issuer: str | None = None

    def may(self, permission: str) -> bool:
        """Whether the permission is held at all, over whomever."""
        return permission in self.grants

    def reach(self, permission: str) -> Reach:
        """Over whom the permission holds. Raises NotAllowed when it is not held."""
        try:
            return self.grants[permission]
        except KeyError:
            raise NotAllowed(
                f"This needs the permission {permission}: {PERMISSIONS[permission]}", permission=permission
            ) from None

    def is_over_anyone(self, permission: str) -> bool:
        """Whether the permission is held without limit."""
        return self.grants.get(permission) is Reach.ANYONE

    @property
    def actor_id(self) -> str:
        """The person's id where it acts for one (through a token too), else the token's own."""
        return self.person_id or self.id

    def actor(self, *, ip: str | None = None, request_id: str | None = None) -> Actor:
        """As the audit log names it; the kind and the label tell a person's token from the person."""
        through = self.id if self.kind is ActorKind.TOKEN else None
        return Actor(self.kind, self.actor_id, self.label, ip, request_id, through)
