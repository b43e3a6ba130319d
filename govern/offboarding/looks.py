"""The listings in which something of a person may stand, and how each is read.

A listing has a name such as `keys:proj_1`. Reading it returns what it shows of the person; an empty answer means that the whole
listing, read to its end, shows nothing of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from govern.access_ports import AccessSource, RemoteGroup, RemoteProvider
from govern.core.abreast import abreast
from govern.offboarding import rules
from govern.offboarding.case import Case, Thing
from govern.offboarding.models import Kind
from govern.ports import Directory, RemoteMember, RemoteProject

Seen = Mapping[Thing, str | None]
"""What a listing shows of the person, each with a name for people to read."""

SHOWN_IN: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.KEYS: ("accounts:{}", "keys:{}"),
    Kind.SERVICE_ACCOUNTS: ("accounts:{}", "keys:{}"),
    Kind.ADMIN_KEYS: ("admin_keys",),
    Kind.FEDERATION_RULES: ("rules:{}",),
    Kind.INVITES: ("invites",),
    Kind.PERSONAL_KEYS: ("keys:{}",),
    Kind.ROLES: ("roles:{}",),
    Kind.GROUPS: ("group:{}",),
    Kind.MEMBERSHIPS: ("places:{}",),
    Kind.SEAT: ("members",),
}


def listings_of(thing: Thing) -> list[str]:
    """The listings that would show it, all of which have to be empty of it."""
    return [pattern.format(thing.place) for pattern in SHOWN_IN[thing.kind]]


@dataclass(frozen=True)
class Catalogue:
    """What there is to be read, as OpenAI lists it now."""

    open_projects: Sequence[str]
    archived: frozenset[str]
    groups: Mapping[str, str]
    providers: Mapping[str, RemoteProvider]

    def credentials(self, case: Case) -> list[str]:
        """Where credentials of theirs would stand. Archived projects list keys too, but answer 400 to all else."""
        found = ["invites", *(["admin_keys"] if case.seats else [])]
        if case.accounts or case.seats or case.subjects:
            found += [f"rules:{provider}" for provider in self.providers]
        mine = case.names.keys()
        here = [*self.open_projects, *self.archived]
        found += [f"keys:{project}" for project in here if case.seats or project in mine]
        return found + [f"accounts:{project}" for project in self.open_projects if project in mine]

    def of_keys(self, project: str) -> list[str]:
        """The listings that would show a key of ours in the project."""
        return [f"keys:{project}"] if project in self.archived else [f"keys:{project}", f"accounts:{project}"]

    def places(self, case: Case) -> list[str]:
        """Where they would stand, by their seat. Without one they stand nowhere."""
        if not case.seats:
            return []
        return [f"group:{group}" for group in self.groups] + [f"places:{project}" for project in self.open_projects]

    def roles(self, case: Case) -> list[str]:
        """Roles in the organization and in the projects in which they stood: one listing for each member and place."""
        stood = {thing.place for thing in case.held if thing.kind in (Kind.MEMBERSHIPS, Kind.ROLES)}
        here = [f"roles:{project}" for project in self.open_projects if project in stood]
        return ["roles:", *here] if case.seats else []

    def everything(self, case: Case) -> list[str]:
        """All of it. Invites come before members: what was accepted a moment ago shows as a seat."""
        return [*self.credentials(case), "members", *self.places(case), *self.roles(case)]


@dataclass(frozen=True)
class Looks:
    """Reads listings. Every method may raise ProviderError."""

    directory: Directory
    access: AccessSource

    def catalogue(self) -> Catalogue:
        """Three short listings, side by side."""
        projects: list[RemoteProject] = []
        groups: list[RemoteGroup] = []
        providers: list[RemoteProvider] = []
        found = abreast(
            {
                "projects": lambda: projects.extend(self.directory.projects()),
                "groups": lambda: groups.extend(self.access.groups()),
                "providers": lambda: providers.extend(self.access.providers()),
            }
        )
        for error in found.refusals.values():
            raise error
        return Catalogue(
            [project.id for project in projects if project.archived_at is None],
            frozenset(project.id for project in projects if project.archived_at is not None),
            {group.id: group.name for group in groups},
            {provider.id: provider for provider in providers},
        )

    def read(self, case: Case, catalogue: Catalogue, listing: str) -> Seen:
        """What the listing shows of the person."""
        name, _, place = listing.partition(":")
        readers: Mapping[str, Callable[[], Seen]] = {
            "members": lambda: self._members(case),
            "invites": lambda: self._invites(case),
            "admin_keys": lambda: self._admin_keys(case),
            "rules": lambda: self._rules(case, catalogue.providers[place]),
            "keys": lambda: self._keys(case, place, archived=place in catalogue.archived),
            "accounts": lambda: self._accounts(case, place),
            "group": lambda: self._group(case, place, catalogue.groups[place]),
            "places": lambda: self._places(case, place),
            "roles": lambda: self._roles(case, place),
        }
        return readers[name]()

    def seat(self, email: str) -> RemoteMember | None:
        """The seat that has the address now: it may be another than the one known when the removal began."""
        return self.directory.find_member(email) if "@" in email else None

    def _members(self, case: Case) -> Seen:
        listed = self.directory.members()
        return {
            Thing(Kind.SEAT, "", member.id): member.role
            for member in listed
            if member.id in case.seats or (member.email or "").casefold() == case.email
        }

    def _invites(self, case: Case) -> Seen:
        listed = self.directory.invites()
        mine = [invite for invite in listed if invite.status == "pending" and invite.email.casefold() == case.email]
        return {Thing(Kind.INVITES, "", invite.id): invite.role for invite in mine}

    def _admin_keys(self, case: Case) -> Seen:
        mine = [key for key in self.directory.admin_keys() if key.owner_id in case.seats]
        case.ours = {Thing(Kind.ADMIN_KEYS, "", key.id) for key in mine if key.is_ours}
        return {Thing(Kind.ADMIN_KEYS, "", key.id): key.name for key in mine}

    def _rules(self, case: Case, provider: RemoteProvider) -> Seen:
        """Rules that make them, or a service account of theirs, out of somebody else's token."""
        names = case.seats | {subject for issuer, subject in case.subjects if issuer == provider.issuer}
        return {
            Thing(Kind.FEDERATION_RULES, provider.id, rule.id): rule.name
            for rule in self.access.rules(provider.id)
            if rule.service_account_id in case.accounts or rules.lets_in(rule.matchers, email=case.email, names=names)
        }

    def _keys(self, case: Case, project: str, *, archived: bool) -> Seen:
        seen: dict[Thing, str | None] = {}
        for key in self.directory.keys(project):
            if key.owner_kind == "user" and key.owner_id in case.seats:
                seen[Thing(Kind.PERSONAL_KEYS, project, key.id)] = key.name
            elif key.owner_id is not None and key.owner_id in case.accounts:
                seen[Thing(Kind.KEYS, project, key.owner_id)] = key.owner_name
        # An archived project never comes back and its keys are dead, though it may go on listing them.
        return {thing: name for thing, name in seen.items() if not (archived and thing in case.asked)}

    def _accounts(self, case: Case, project: str) -> Seen:
        seen: dict[Thing, str | None] = {}
        for account in self.directory.service_accounts(project):
            if account.id in case.accounts:
                seen[Thing(Kind.KEYS, project, account.id)] = account.name
            elif account.name in case.names[project]:
                seen[Thing(Kind.SERVICE_ACCOUNTS, project, account.id)] = account.name
        return seen

    def _group(self, case: Case, group: str, name: str) -> Seen:
        here = case.seats & set(self.access.group_members(group))
        return {Thing(Kind.GROUPS, group, member_id): name for member_id in sorted(here)}

    def _places(self, case: Case, project: str) -> Seen:
        listed = self.directory.project_members(project)
        return {Thing(Kind.MEMBERSHIPS, project, place.user_id): place.role for place in listed if place.user_id in case.seats}

    def _roles(self, case: Case, project: str) -> Seen:
        """Roles held directly. One that comes through a group goes with the group; a predefined one of the organization is the
        seat's own word, and goes with the seat."""
        seen: dict[Thing, str | None] = {}
        for member_id in sorted(case.seats):
            for role in self.access.roles("user", member_id, project or None):
                if not role.through and not (role.is_predefined and not project):
                    seen[Thing(Kind.ROLES, project, role.id)] = role.name
        return seen
