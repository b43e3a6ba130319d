"""Members, invites, projects and what stands in them, as OpenAI tells: the adapter behind `ports.Directory`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from govern.core.errors import Missing, Rejected
from govern.openai import archive, fields
from govern.openai.client import OpenAIClient
from govern.openai.fields import Fields
from govern.openai.pages import Paging
from govern.openai.paths import path
from govern.ports import (
    ProjectGrant,
    RemoteAdminKey,
    RemoteInvite,
    RemoteKey,
    RemoteMember,
    RemoteProject,
    RemoteProjectMember,
    RemoteServiceAccount,
)

_USERS: Final = "/organization/users"
_INVITES: Final = "/organization/invites"
_PROJECT: Final = "/organization/projects/{}"
_ADMIN_KEYS: Final = "/organization/admin_api_keys"
_UNKNOWN: Final = "unknown"


class OpenAIDirectory:
    """Implements `ports.Directory`. Every method may raise `ProviderError`."""

    def __init__(self, client: OpenAIClient) -> None:
        self._client = client

    def members(self) -> Sequence[RemoteMember]:
        return tuple(_member(item) for item in self._client.listing(path(_USERS)))

    def find_member(self, email: str) -> RemoteMember | None:
        """The member with this address, compared without case.

        How OpenAI's own filter compares is not documented, so it is asked for both spellings and its answer is compared again.
        """
        spellings = sorted({email, email.lower()})
        found = self._client.listing(path(_USERS), [("emails[]", spelling) for spelling in spellings])
        wanted = email.casefold()
        return next((member for member in map(_member, found) if member.email and member.email.casefold() == wanted), None)

    def remove_member(self, member_id: str) -> None:
        try:
            self._client.delete(path(f"{_USERS}/{{}}", member_id))
        except Missing:
            return

    def invites(self) -> Sequence[RemoteInvite]:
        return tuple(_invite(item) for item in self._client.listing(path(_INVITES)))

    def invite(self, email: str, role: str, projects: Sequence[ProjectGrant]) -> RemoteInvite:
        grants = [{"id": grant.project_id, "role": grant.role} for grant in projects]
        return _invite(self._client.create(path(_INVITES), {"email": email, "role": role, "projects": grants}))

    def cancel_invite(self, invite_id: str) -> None:
        try:
            self._client.delete(path(f"{_INVITES}/{{}}", invite_id))
        except Missing:
            return

    def projects(self) -> Sequence[RemoteProject]:
        found = self._client.listing(path("/organization/projects"), [("include_archived", "true")])
        return tuple(_project(item) for item in found)

    def project_members(self, project_id: str) -> Sequence[RemoteProjectMember]:
        found = archive.listing(self._client, f"{_PROJECT}/users", project_id)
        return tuple(_project_member(item, project_id) for item in found)

    def remove_project_member(self, project_id: str, member_id: str) -> None:
        archive.end(self._client, path(f"{_PROJECT}/users/{{}}", project_id, member_id))

    def service_accounts(self, project_id: str) -> Sequence[RemoteServiceAccount]:
        found = archive.listing(self._client, f"{_PROJECT}/service_accounts", project_id)
        return tuple(service_account(item, project_id) for item in found)

    def keys(self, project_id: str) -> Sequence[RemoteKey]:
        # Without `any`, keys of people who lost the project are left out while they can still come back to life.
        found = archive.listing(self._client, f"{_PROJECT}/api_keys", project_id, [("owner_project_access", "any")])
        return tuple(_key(item, project_id) for item in found)

    def delete_key(self, project_id: str, key_id: str) -> None:
        """Ask for the end of one key. Raises Rejected for a service account's key where the API does not allow that yet:
        then delete the account."""
        archive.end(self._client, path(f"{_PROJECT}/api_keys/{{}}", project_id, key_id))

    def admin_keys(self) -> Sequence[RemoteAdminKey]:
        found = self._client.listing(path(_ADMIN_KEYS), [("order", "asc")], paging=Paging.LAST_ITEM)
        return tuple(replace(key, is_ours=self._client.is_own_key(key.redacted)) for key in map(_admin_key, found))

    def delete_admin_key(self, key_id: str) -> None:
        """Ask for the end of an admin key. Raises Rejected for the one with which we call: after it nothing more could be
        ended or proven, and OpenAI itself does not stop anybody from deleting it."""
        where = path(f"{_ADMIN_KEYS}/{{}}", key_id)
        try:
            if self._client.is_own_key(fields.maybe_text(self._client.get(where), "redacted_value") or ""):
                raise Rejected("This is the admin key that this service uses itself. Give it another one first.")
            self._client.delete(where)
        except Missing:
            return


def service_account(item: Fields, project_id: str) -> RemoteServiceAccount:
    """A service account of a list, in our words."""
    return RemoteServiceAccount(
        project_id, fields.text(item, "id"), fields.maybe_text(item, "name") or "",
        fields.maybe_text(item, "role") or _UNKNOWN, fields.instant(item, "created_at"),
    )  # fmt: skip


def _member(item: Fields) -> RemoteMember:
    user = fields.inner(item, "user")  # newer answers carry name and address here as well
    return RemoteMember(
        id=fields.text(item, "id"),
        email=fields.maybe_text(item, "email") or fields.maybe_text(user, "email"),
        name=fields.maybe_text(item, "name") or fields.maybe_text(user, "name"),
        role=fields.maybe_text(item, "role") or _UNKNOWN,
        added_at=fields.instant(item, "added_at"),
        is_service_account=fields.truth(item, "is_service_account"),
        is_scim_managed=fields.truth(item, "is_scim_managed"),
    )


def _invite(item: Fields) -> RemoteInvite:
    grants = fields.items(item, "projects") if item.get("projects") is not None else ()
    return RemoteInvite(
        id=fields.text(item, "id"),
        email=fields.text(item, "email"),
        role=fields.maybe_text(item, "role") or _UNKNOWN,
        status=fields.text(item, "status"),
        created_at=fields.instant(item, "created_at"),
        expires_at=fields.maybe_instant(item, "expires_at"),
        accepted_at=fields.maybe_instant(item, "accepted_at"),
        projects=tuple(ProjectGrant(fields.text(grant, "id"), fields.text(grant, "role")) for grant in grants),
    )


def _project(item: Fields) -> RemoteProject:
    id_, created_at = fields.text(item, "id"), fields.instant(item, "created_at")
    name = fields.maybe_text(item, "name") or id_
    archived_at = fields.maybe_instant(item, "archived_at")
    if archived_at is None and item.get("status") == "archived":
        archived_at = created_at  # archived at a time that is not told: any time in the past says what matters
    # The API has no mark for the default project; its name is what the dashboard gives it. A guess for display only.
    return RemoteProject(id_, name, created_at, archived_at, is_default=name.casefold() == "default project")


def _project_member(item: Fields, project_id: str) -> RemoteProjectMember:
    return RemoteProjectMember(
        project_id, fields.text(item, "id"), fields.maybe_text(item, "email"), fields.maybe_text(item, "name"),
        fields.maybe_text(item, "role") or _UNKNOWN, fields.instant(item, "added_at"),
    )  # fmt: skip


def _key(item: Fields, project_id: str) -> RemoteKey:
    whose = fields.inner(item, "owner")
    user, account = fields.inner(whose, "user"), fields.inner(whose, "service_account")
    owner = account or user
    kind = fields.maybe_text(whose, "type") or ("service_account" if account else "user" if user else _UNKNOWN)
    return RemoteKey(
        project_id=project_id,
        id=fields.text(item, "id"),
        name=fields.maybe_text(item, "name") or "",
        redacted=fields.maybe_text(item, "redacted_value") or "",
        created_at=fields.instant(item, "created_at"),
        last_used_at=fields.maybe_instant(item, "last_used_at"),
        expires_at=fields.maybe_instant(item, "expires_at"),
        owner_kind=kind,
        owner_id=fields.maybe_text(owner, "id"),
        owner_name=fields.maybe_text(owner, "name"),
        owner_email=fields.maybe_text(user, "email"),
        access=fields.maybe_text(item, "owner_project_access") or _UNKNOWN,
    )


def _admin_key(item: Fields) -> RemoteAdminKey:
    owner = fields.inner(item, "owner")
    return RemoteAdminKey(
        id=fields.text(item, "id"),
        name=fields.maybe_text(item, "name"),
        redacted=fields.maybe_text(item, "redacted_value") or "",
        created_at=fields.instant(item, "created_at"),
        last_used_at=fields.maybe_instant(item, "last_used_at"),
        expires_at=fields.maybe_instant(item, "expires_at"),
        owner_id=fields.maybe_text(owner, "id"),
        owner_name=fields.maybe_text(owner, "name"),
        owner_role=fields.maybe_text(owner, "role"),
    )
