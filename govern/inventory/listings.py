"""The kinds of thing in the inventory on one page: what each is, where it stands, whose it is, and what tells about one.

Every door lists all of them through `find` in `items`; a new kind is a new line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import sqlalchemy as sa

from govern.inventory.models import (
    AdminKey,
    Adoption,
    FederationProvider,
    FederationRule,
    Group,
    GroupMember,
    ProjectGroup,
    RoleAssignment,
)
from govern.keys.models import Key, KeyVersion, ObservedKey
from govern.members.models import Invite, InviteState, Member
from govern.people.models import Person
from govern.projects.models import Project, ProjectMember, ServiceAccount


@dataclass(frozen=True)
class Listing:
    """A kind of thing.

    `subject`: the word by which findings and the audit log name it. `search`: columns to look into. `project`: the column that
    holds our id of the project, or OpenAI's (`project_is_remote`). `holder`: the column with OpenAI's id of the user whose it is.
    `native`: OpenAI's id of the thing, where it has one. `facts`: word → column.
    """

    title: str
    meaning: str
    table: Any
    subject: str
    search: tuple[Any, ...]
    facts: Mapping[str, Any]
    native: Any = None
    label: Any = None
    project: Any = None
    project_is_remote: bool = False
    holder: Any = None


LISTINGS: Final[Mapping[str, Listing]] = MappingProxyType(
    {
        "project-keys": Listing(
            "Project keys", "Keys of users and of service accounts, ours or not, also in archived projects.", ObservedKey,
            "observed_keys", (ObservedKey.name, ObservedKey.redacted, ObservedKey.owner_name, ObservedKey.remote_id),
            {
                "value": ObservedKey.redacted, "owner_kind": ObservedKey.owner_kind, "belongs_to": ObservedKey.owner_name,
                "access": ObservedKey.access, "version": ObservedKey.version_id, "created_at": ObservedKey.created_at,
                "last_used_at": ObservedKey.last_used_at, "expires_at": ObservedKey.expires_at,
            },
            ObservedKey.remote_id, ObservedKey.name, ObservedKey.project_id,
        ),
        "service-accounts": Listing(
            "Service accounts", "Accounts of programs. What one may do, every key of it may.", ServiceAccount, "service_accounts",
            (ServiceAccount.name, ServiceAccount.remote_id),
            {"role": ServiceAccount.role, "created_at": ServiceAccount.created_at},
            ServiceAccount.remote_id, ServiceAccount.name, ServiceAccount.project_id,
        ),
        "admin-keys": Listing(
            "Admin keys", "Keys to the whole organization.", AdminKey, "admin_keys",
            (AdminKey.name, AdminKey.redacted, AdminKey.owner_name, AdminKey.remote_id),
            {
                "value": AdminKey.redacted, "of_this_service": AdminKey.is_ours, "belongs_to": AdminKey.owner_name,
                "created_at": AdminKey.created_at, "last_used_at": AdminKey.last_used_at, "expires_at": AdminKey.expires_at,
            },
            AdminKey.remote_id, AdminKey.name, holder=AdminKey.owner_remote_id,
        ),
        "members": Listing(
            "Members", "Seats in the organization.", Member, "members", (Member.email, Member.name, Member.remote_id),
            {
                "email": Member.email, "role": Member.role, "service_account": Member.is_service_account,
                "scim": Member.is_scim_managed, "added_at": Member.added_at,
            },
            Member.remote_id, sa.func.coalesce(Member.email, Member.name), holder=Member.remote_id,
        ),
        "invites": Listing(
            "Invites", "Seats that are offered.", Invite, "invites", (Invite.email, Invite.remote_id),
            {
                "role": Invite.role, "state": Invite.state, "from_here": Invite.issued_by_us, "created_at": Invite.created_at,
                "expires_at": Invite.expires_at,
            },
            Invite.remote_id, Invite.email,
        ),
        "project-members": Listing(
            "Project members", "Who stands in which project, and as what.", ProjectMember, "project_members",
            (ProjectMember.member_remote_id,), {"role": ProjectMember.role}, project=ProjectMember.project_id,
            holder=ProjectMember.member_remote_id,
        ),
        "groups": Listing(
            "Groups", "Groups of members; a group may hold roles and stand in projects.", Group, "groups",
            (Group.name, Group.remote_id), {"scim": Group.is_scim_managed, "created_at": Group.created_at}, Group.remote_id,
            Group.name,
        ),
        "group-members": Listing(
            "Group members", "Who stands in which group.", GroupMember, "group_members", (GroupMember.member_remote_id,),
            {"group": GroupMember.group_id}, holder=GroupMember.member_remote_id,
        ),
        "project-groups": Listing(
            "Project groups", "Which group stands in which project.", ProjectGroup, "project_groups",
            (ProjectGroup.group_remote_id,), {"group": ProjectGroup.group_remote_id}, project=ProjectGroup.project_id,
        ),
        "roles": Listing(
            "Roles", "Which role a member or a group holds, in the organization or in a project.", RoleAssignment,
            "role_assignments", (RoleAssignment.role, RoleAssignment.principal_remote_id, RoleAssignment.role_remote_id),
            {
                "role": RoleAssignment.role, "principal_kind": RoleAssignment.principal_kind,
                "principal": RoleAssignment.principal_remote_id, "through": RoleAssignment.through,
                "predefined": RoleAssignment.is_predefined, "permissions": RoleAssignment.permissions,
            },
            label=RoleAssignment.role, project=RoleAssignment.project_remote_id, project_is_remote=True,
            holder=RoleAssignment.principal_remote_id,
        ),
        "federation-providers": Listing(
            "Federation providers", "Identity providers whose tokens become OpenAI's.", FederationProvider,
            "federation_providers", (FederationProvider.name, FederationProvider.issuer, FederationProvider.remote_id),
            {
                "issuer": FederationProvider.issuer, "audience": FederationProvider.audience,
                "enabled": FederationProvider.enabled, "created_at": FederationProvider.created_at,
            },
            FederationProvider.remote_id, FederationProvider.name,
        ),
        "federation-rules": Listing(
            "Federation rules", "Whose tokens become which service account.", FederationRule, "federation_rules",
            (FederationRule.name, FederationRule.service_account_remote_id, FederationRule.remote_id),
            {
                "service_account": FederationRule.service_account_remote_id, "enabled": FederationRule.enabled,
                "scopes": FederationRule.scopes, "matchers": FederationRule.matchers, "provider": FederationRule.provider_id,
                "created_at": FederationRule.created_at,
            },
            FederationRule.remote_id, FederationRule.name, FederationRule.project_remote_id, project_is_remote=True,
        ),
    }
)  # fmt: skip
"""By the word that stands in addresses and on the command line."""


def is_listed(listing: Listing) -> sa.ColumnElement[bool]:
    """Whether OpenAI's listing shows the row now."""
    if listing.table is Invite:
        return Invite.state.in_((InviteState.PENDING, InviteState.CANCELLING))
    listed: sa.ColumnElement[bool] = listing.table.vanished_at.is_(None)
    return listed


def owned_by(listing: Listing, person_id: str) -> sa.ColumnElement[bool]:
    """Whether the person answers for the row, as far as that is known."""
    seats = sa.select(Member.remote_id).where(Member.person_id == person_id)
    if listing.table is ObservedKey:
        own = sa.select(KeyVersion.id).join(Key, Key.id == KeyVersion.key_id).where(Key.person_id == person_id)
        adopted = sa.select(Adoption.key_remote_id).where(Adoption.person_id == person_id)
        made = sa.and_(ObservedKey.owner_kind == "user", ObservedKey.owner_remote_id.in_(seats))
        return sa.or_(ObservedKey.version_id.in_(own), ObservedKey.remote_id.in_(adopted), made)
    if listing.table is ServiceAccount:
        made_for = sa.select(KeyVersion.service_account_remote_id).join(Key, Key.id == KeyVersion.key_id)
        return ServiceAccount.remote_id.in_(made_for.where(Key.person_id == person_id))
    if listing.table is Invite:
        return Invite.email.in_(sa.select(Person.email).where(Person.id == person_id))
    if listing.holder is not None:
        held: sa.ColumnElement[bool] = listing.holder.in_(seats)
        return held
    return sa.false()


def in_project(listing: Listing, project: Project) -> sa.ColumnElement[bool]:
    """Whether the row stands in the project."""
    if listing.project is None:
        return sa.false()
    here: sa.ColumnElement[bool] = listing.project == (project.remote_id if listing.project_is_remote else project.id)
    return here


def matches(listing: Listing, text: str) -> sa.ColumnElement[bool]:
    """Whether the text is found in what tells about the row, without case; for a member's place also in the member's address."""
    found = [column.icontains(text, autoescape=True) for column in listing.search]
    if listing.holder is not None and listing.table is not Member:
        people = sa.select(Member.remote_id).where(
            sa.or_(Member.email.icontains(text, autoescape=True), Member.name.icontains(text, autoescape=True))
        )
        found.append(listing.holder.in_(people))
    if listing.table is GroupMember:
        named = sa.select(Group.id).where(Group.name.icontains(text, autoescape=True))
        found.append(GroupMember.group_id.in_(named))
    if listing.table is ProjectGroup:
        groups = sa.select(Group.remote_id).where(Group.name.icontains(text, autoescape=True))
        found.append(ProjectGroup.group_remote_id.in_(groups))
    return sa.or_(*found)
