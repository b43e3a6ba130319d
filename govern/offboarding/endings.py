"""Ask OpenAI to end one thing, whatever it is. Its answer proves nothing; complete listings do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from govern.access_ports import AccessSource
from govern.core.crashpoints import crashpoint
from govern.offboarding.case import Thing
from govern.offboarding.models import Kind
from govern.ports import Directory, KeyIssuer


@dataclass(frozen=True)
class Endings:
    """`end(thing)`. Already gone is success. Raises ProviderError."""

    directory: Directory
    issuer: KeyIssuer
    access: AccessSource

    def end(self, thing: Thing, seats: set[str]) -> None:
        """End it. What stands in a group, a project or a role does so by the member, so each of their `seats` is asked for."""
        acts: Mapping[Kind, Callable[[], None]] = {
            Kind.KEYS: lambda: self.issuer.delete(thing.place, thing.remote_id),
            Kind.SERVICE_ACCOUNTS: lambda: self.issuer.delete(thing.place, thing.remote_id),
            Kind.ADMIN_KEYS: lambda: self.directory.delete_admin_key(thing.remote_id),
            Kind.FEDERATION_RULES: lambda: self.access.delete_rule(thing.place, thing.remote_id),
            Kind.INVITES: lambda: self.directory.cancel_invite(thing.remote_id),
            Kind.PERSONAL_KEYS: lambda: self.directory.delete_key(thing.place, thing.remote_id),
            Kind.ROLES: lambda: self._drop_role(thing, seats),
            Kind.GROUPS: lambda: self.access.leave_group(thing.place, thing.remote_id),
            Kind.MEMBERSHIPS: lambda: self.directory.remove_project_member(thing.place, thing.remote_id),
            Kind.SEAT: lambda: self.directory.remove_member(thing.remote_id),
        }
        crashpoint("offboarding.end.before")
        acts[thing.kind]()
        crashpoint("offboarding.end.after")

    def _drop_role(self, thing: Thing, seats: set[str]) -> None:
        for member_id in sorted(seats):
            self.access.drop_role(member_id, thing.remote_id, thing.place or None)
