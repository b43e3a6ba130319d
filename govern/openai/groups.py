"""Groups, roles and federation, as OpenAI tells: the adapter behind `access_ports.AccessSource`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from govern.access_ports import RemoteGroup, RemoteProvider, RemoteRole, RemoteRule
from govern.core.errors import Missing, Rejected
from govern.openai import archive, fields
from govern.openai.client import OpenAIClient
from govern.openai.fields import Fields
from govern.openai.pages import Paging, collect
from govern.openai.paths import Path, path

_GROUPS: Final = "/organization/groups"
_PROVIDERS: Final = "/organization/workload_identity_providers"
# Roles inside a project live at an address without `/organization`.
_ROLES: Final = {
    ("user", False): "/organization/users/{}/roles",
    ("group", False): "/organization/groups/{}/roles",
    ("user", True): "/projects/{}/users/{}/roles",
    ("group", True): "/projects/{}/groups/{}/roles",
}


class OpenAIAccess:
    """Implements `access_ports.AccessSource`."""

    def __init__(self, client: OpenAIClient) -> None:
        self._client = client

    def groups(self) -> Sequence[RemoteGroup]:
        found = self._client.listing(path(_GROUPS), paging=Paging.NEXT)
        return tuple(
            RemoteGroup(
                fields.text(item, "id"), fields.maybe_text(item, "name") or "", fields.instant(item, "created_at"),
                fields.truth(item, "is_scim_managed"),
            )
            for item in found
        )  # fmt: skip

    def group_members(self, group_id: str) -> Sequence[str]:
        try:
            found = self._client.listing(path(f"{_GROUPS}/{{}}/users", group_id), [("order", "asc")], paging=Paging.NEXT)
        except Missing:  # the group ended since it was listed
            return ()
        return tuple(fields.text(item, "id") for item in found)

    def project_groups(self, project_id: str) -> Sequence[str]:
        where = path("/organization/projects/{}/groups", project_id)
        try:
            found = collect(lambda cursor: self._named(where, cursor), Paging.NEXT)
        except Rejected as error:
            if error.status == 400 and archive.is_archived(self._client, project_id):
                return ()
            raise
        return tuple(fields.text(item, "group_id") for item in found)

    def _named(self, where: Path, cursor: str | None) -> dict[str, object]:
        """A page whose items carry `group_id` where other lists have `id`."""
        answer = self._client.get(where, [("limit", "100"), *([("after", cursor)] if cursor else [])])
        return answer | {"data": [{**item, "id": item.get("group_id")} for item in fields.items(answer, "data")]}

    def roles(self, kind: str, principal_id: str, project_id: str | None) -> Sequence[RemoteRole]:
        template = _ROLES[kind, project_id is not None]
        where = path(template, principal_id) if project_id is None else path(template, project_id, principal_id)
        try:
            found = self._client.listing(where, paging=Paging.NEXT)
        except Missing:
            return ()
        except Rejected as error:
            if error.status == 400 and project_id is not None and archive.is_archived(self._client, project_id):
                return ()
            raise
        return tuple(_role(item) for item in found)

    def providers(self) -> Sequence[RemoteProvider]:
        if self._client.generation == "2026-08":
            return ()
        try:
            found = self._client.listing(path(_PROVIDERS))
        except (Missing, Rejected) as refusal:
            if refusal.status == 404:  # the address itself is unknown to an organization on the older API
                return ()
            raise
        return tuple(
            RemoteProvider(
                fields.text(item, "id"), fields.maybe_text(item, "name") or "", fields.maybe_text(item, "issuer") or "",
                fields.maybe_text(item, "audience") or "", fields.truth(item, "enabled"), fields.instant(item, "created_at"),
            )
            for item in found
        )  # fmt: skip

    def rules(self, provider_id: str) -> Sequence[RemoteRule]:
        try:
            found = self._client.listing(path(f"{_PROVIDERS}/{{}}/federation_rules", provider_id))
        except Missing:
            return ()
        return tuple(_rule(item, provider_id) for item in found)

    def leave_group(self, group_id: str, member_id: str) -> None:
        self._end(path(f"{_GROUPS}/{{}}/users/{{}}", group_id, member_id))

    def drop_role(self, member_id: str, role_id: str, project_id: str | None) -> None:
        template = f"{_ROLES['user', project_id is not None]}/{{}}"
        if project_id is None:
            self._end(path(template, member_id, role_id))
        else:
            archive.end(self._client, path(template, project_id, member_id, role_id))

    def delete_rule(self, provider_id: str, rule_id: str) -> None:
        self._end(path(f"{_PROVIDERS}/{{}}/federation_rules/{{}}", provider_id, rule_id))

    def _end(self, where: Path) -> None:
        try:
            self._client.delete(where)
        except Missing:
            return


def _texts(item: Fields, field: str) -> tuple[str, ...]:
    value = item.get(field)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise fields.malformed(field)
    return tuple(value)


def _role(item: Fields) -> RemoteRole:
    sources = fields.items(item, "assignment_sources") if item.get("assignment_sources") is not None else ()
    return RemoteRole(
        fields.text(item, "id"), fields.maybe_text(item, "name") or "", _texts(item, "permissions"),
        fields.truth(item, "predefined_role"), tuple(fields.text(source, "principal_id") for source in sources),
    )  # fmt: skip


def _rule(item: Fields, provider_id: str) -> RemoteRule:
    allowed = fields.inner(item, "permissions")
    return RemoteRule(
        fields.text(item, "id"), provider_id, fields.text(item, "project_id"), fields.text(item, "service_account_id"),
        fields.maybe_text(item, "name"), fields.truth(item, "enabled"), _texts(allowed, "scopes"),
        dict(fields.inner(item, "attribute_matchers")), fields.instant(item, "created_at"),
    )  # fmt: skip
