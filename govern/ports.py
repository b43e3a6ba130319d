"""What we ask of the outside, in our words. Adapters implement these; slices see nothing else of the wire.

Ids here are OpenAI's (`remote_id` in our rows). Every method may raise `core.errors.ProviderError`.
Listings are complete or they raise: a page that cannot be read is an error, never a shorter list, because absence from a
listing is what proves a removal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Protocol

from govern.core.crypto import Secret


@dataclass(frozen=True)
class RemoteMember:
    """A seat in the organization. `role` is `owner` or `reader` (other words are kept as they come)."""

    id: str
    email: str | None
    name: str | None
    role: str
    added_at: datetime
    is_service_account: bool = False
    is_scim_managed: bool = False


@dataclass(frozen=True)
class ProjectGrant:
    """A place in a project that an invite promises: `role` is `member` or `owner`."""

    project_id: str
    role: str


@dataclass(frozen=True)
class RemoteInvite:
    """A seat offered. `status`: pending, accepted or expired; accepted and expired ones stay in OpenAI's list."""

    id: str
    email: str
    role: str
    status: str
    created_at: datetime
    expires_at: datetime | None
    accepted_at: datetime | None
    projects: tuple[ProjectGrant, ...]


@dataclass(frozen=True)
class RemoteProject:
    id: str
    name: str
    created_at: datetime
    archived_at: datetime | None
    is_default: bool = False


@dataclass(frozen=True)
class RemoteProjectMember:
    project_id: str
    user_id: str
    email: str | None
    name: str | None
    role: str
    added_at: datetime


@dataclass(frozen=True)
class RemoteServiceAccount:
    project_id: str
    id: str
    name: str
    role: str
    created_at: datetime


@dataclass(frozen=True)
class RemoteKey:
    """A project API key as OpenAI lists it; the value is never shown again.

    `owner_kind` is `user` or `service_account`. `access` is `active` or `inactive`: inactive means that the owner has lost
    the project while the key still exists.
    """

    project_id: str
    id: str
    name: str
    redacted: str
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    owner_kind: str
    owner_id: str | None
    owner_name: str | None
    owner_email: str | None
    access: str


@dataclass(frozen=True)
class RemoteAdminKey:
    id: str
    name: str | None
    redacted: str
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    owner_id: str | None
    owner_name: str | None
    owner_role: str | None
    is_ours: bool = False  # the key with which we call


@dataclass(frozen=True)
class IssuedCredential:
    """The answer to a creation: the only time that the value exists outside OpenAI."""

    service_account_id: str
    key_id: str
    value: Secret
    redacted: str
    expires_at: datetime | None


class Directory(Protocol):
    """Members, invites, projects and what stands in them."""

    def members(self) -> Sequence[RemoteMember]: ...
    def find_member(self, email: str) -> RemoteMember | None:
        """The member with this address, compared without case."""
        ...

    def remove_member(self, member_id: str) -> None:
        """Ask for the removal. Already gone is success. Raises Rejected for the last owner."""
        ...

    def invites(self) -> Sequence[RemoteInvite]: ...
    def invite(self, email: str, role: str, projects: Sequence[ProjectGrant]) -> RemoteInvite:
        """Offer a seat. Not repeatable: look for a pending invite first. `projects` is always sent, also when empty,
        because leaving it out puts the invitee into the default project."""
        ...

    def cancel_invite(self, invite_id: str) -> None:
        """Already gone is success; an accepted invite raises Rejected."""
        ...

    def projects(self) -> Sequence[RemoteProject]:
        """All of them, archived ones too."""
        ...

    def project_members(self, project_id: str) -> Sequence[RemoteProjectMember]: ...
    def remove_project_member(self, project_id: str, member_id: str) -> None: ...
    def service_accounts(self, project_id: str) -> Sequence[RemoteServiceAccount]: ...
    def keys(self, project_id: str) -> Sequence[RemoteKey]:
        """All project keys, also those whose owner has lost the project (`owner_project_access=any`)."""
        ...

    def delete_key(self, project_id: str, key_id: str) -> None: ...
    def admin_keys(self) -> Sequence[RemoteAdminKey]: ...
    def delete_admin_key(self, key_id: str) -> None: ...


class KeyIssuer(Protocol):
    """Makes and ends native credentials: one service account with one key each."""

    def create(self, project_id: str, name: str, expires_in_seconds: int) -> IssuedCredential:
        """Make one. Never retried inside: a lost answer raises Unavailable and leaves an account that `find` shows."""
        ...

    def find(self, project_id: str, name: str) -> Sequence[RemoteServiceAccount]:
        """Every service account of exactly this name. An archived project has none."""
        ...

    def delete(self, project_id: str, service_account_id: str) -> None:
        """End the account and every key of it. Already gone is success."""
        ...


ALL_SCOPES: Final = "all"
Scopes = tuple[str, ...] | Literal["all"]
"""What a key may do: some permissions by name, or all of them.

On OpenAI's wire an empty list means *all*. Here "all" is a word of its own and an empty tuple is a mistake that is never sent,
so that "we know of none" cannot turn into "everything".
"""


def stored_scopes(scopes: Scopes) -> str | list[str]:
    """As a row keeps it. Raises ValueError for an empty tuple."""
    if not scopes:
        raise ValueError("No scopes at all cannot be said to OpenAI: an empty list means every permission.")
    return scopes if scopes == ALL_SCOPES else list(scopes)


def read_scopes(stored: object) -> Scopes | None:
    """What `stored_scopes` wrote; None where nothing is known. Raises ValueError for anything else."""
    if stored is None:
        return None
    if stored == ALL_SCOPES:
        return ALL_SCOPES
    if isinstance(stored, list) and stored and all(isinstance(scope, str) for scope in stored):
        return tuple(stored)
    raise ValueError("The row holds no scopes.")


class KeyScopes(Protocol):
    """Narrows a native key and widens it again. Only the newer generation of the API can (2026-11)."""

    def recorded(self, key_id: str, *, changes_only: bool = False) -> Scopes | None:
        """The key's scopes by the newest event about them in OpenAI's own audit log; None if it tells of none.

        `changes_only` leaves the key's creation out.
        """
        ...

    def put(self, project_id: str, key_id: str, scopes: Scopes) -> None:
        """Replace the scopes; the same again is the same. Raises Missing for a key that is gone, Rejected (with the fact
        `cannot_narrow`) where the organization's API cannot, ValueError for an empty tuple."""
        ...


@dataclass(frozen=True)
class KeyHolder:
    """Whom OpenAI takes for the holder of a key: a user or a service account."""

    id: str | None
    name: str | None
    email: str | None


class KeyProbe(Protocol):
    """Asks OpenAI about a key by using it, once."""

    def whose(self, value: Secret) -> KeyHolder | None:
        """Whose it is; None when OpenAI does not accept it. The value travels to OpenAI's host and nowhere else."""
        ...


@dataclass(frozen=True)
class Message:
    """Something to tell people. `id` is stable over retries, so that a receiver can drop a duplicate."""

    id: str
    subject: str
    text: str
    html: str | None
    facts: dict[str, object]


class Notifier(Protocol):
    """One way to reach people. The address is a mail address or a URL; `secret` signs a webhook."""

    def send(self, address: str, message: Message, *, secret: Secret | None = None) -> str:
        """Deliver and return a receipt (a message id, a status). Raises Unavailable to be tried again, Rejected if not."""
        ...


@dataclass(frozen=True)
class Signed:
    """Signed checkpoints of the audit log up to the event `seq`, oldest first: lines with their line breaks, to be kept as they
    are. `id` is stable over retries of the same lines."""

    id: str
    seq: int
    at: datetime
    lines: tuple[str, ...]


class Sink(Protocol):
    """A place outside where checkpoints are kept."""

    def push(self, signed: Signed) -> str:
        """Have them kept, and return a receipt. Raises a ProviderError; all of them are tried again."""
        ...
