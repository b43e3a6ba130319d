"""What this server keeps of an account, as SCIM describes it, and how it becomes an `Account` and back.

Attributes that are not named here (phone numbers, photos, addresses, a password) are accepted and dropped, as RFC 7644 allows:
what is not kept cannot leak.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, ClassVar, Final, cast

from scim2_models import (
    URN,
    AnyExtension,
    AuthenticationScheme,
    Bulk,
    CaseExact,
    ChangePassword,
    ComplexAttribute,
    Email,
    ETag,
    Extension,
    Filter,
    Meta,
    Name,
    Patch,
    Required,
    Resource,
    ResourceType,
    ScimPolicy,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
    Uniqueness,
)

from govern.provisioning.models import ProvisionedUser
from govern.provisioning.rules import Account

MOST: Final = 200
"""Accounts on one page."""

_SHOWN, _SAID = "userNameShown", "activeSaid"
"""Kept beside the attributes: the user name as it was written, and whether the provider says anything of `active`."""
_COLUMNS: Final = ("schemas", "id", "meta", "userName", "externalId", "active")


class User(Resource[AnyExtension]):
    """An account."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:User")

    user_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    external_id: Annotated[str | None, CaseExact.true] = None
    name: Name | None = None
    Name: ClassVar[type[ComplexAttribute]] = Name
    display_name: str | None = None
    title: str | None = None
    active: bool | None = None
    emails: list[Email] | None = None
    Emails: ClassVar[type[ComplexAttribute]] = Email


class EnterpriseUser(Extension):
    """Where somebody stands in the company."""

    __schema__ = URN("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User")

    employee_number: str | None = None
    cost_center: str | None = None
    organization: str | None = None
    division: str | None = None
    department: str | None = None


@lru_cache(maxsize=1)
def provider() -> ScimProvider:
    """What `/ServiceProviderConfig`, `/Schemas` and `/ResourceTypes` say, and how far a client may stray from the standard."""
    return ScimProvider(
        models=[User, EnterpriseUser],
        resource_types=[ResourceType.from_resource(User[EnterpriseUser])],
        config=ServiceProviderConfig(
            patch=Patch(supported=True),
            bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
            filter=Filter(supported=True, max_results=MOST),
            change_password=ChangePassword(supported=False),
            sort=Sort(supported=False),
            etag=ETag(supported=True),
            authentication_schemes=[
                AuthenticationScheme(
                    type=AuthenticationScheme.Type.oauthbearertoken,
                    name="Bearer token",
                    description="An API token that holds people:provision.",
                    primary=True,
                )
            ],
        ),
        policy=ScimPolicy(
            unknown=ScimPolicy.Unknown.ignore,
            remove_value_as_filter=ScimPolicy.RemoveValue.apply,
            unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
        ),
    )


def account_of(resource: Resource[Any]) -> Account:
    """What the provider wants."""
    user = cast("User[EnterpriseUser]", resource)
    said = user.model_dump()
    emails = sorted(user.emails or [], key=lambda email: (not email.primary, str(email.type) != "work"))
    name = user.display_name or _full_name(user)
    return Account(
        user_name=user.user_name or "",
        external_id=user.external_id,
        active=user.active,
        addresses=[*(str(email.value) for email in emails if email.value), user.user_name or ""],
        name=name,
        document={key: value for key, value in said.items() if key not in _COLUMNS}
        | {_SHOWN: user.user_name, _SAID: user.active is not None},
    )


def _full_name(user: User[EnterpriseUser]) -> str | None:
    if user.name is None:
        return None
    return user.name.formatted or " ".join(filter(None, (user.name.given_name, user.name.family_name))) or None


def resource_of(row: ProvisionedUser) -> Resource[Any]:
    """The account as SCIM shows it."""
    kept = {key: value for key, value in row.document.items() if key not in (_SHOWN, _SAID)}
    model = cast("type[Resource[Any]]", provider().model_for("User"))
    active = row.active if row.document[_SAID] else None
    resource = model.model_validate(kept | {"userName": row.document[_SHOWN], "externalId": row.external_id, "active": active})
    resource.id = row.id
    resource.meta = Meta(
        resource_type="User", created=row.created_at, last_modified=row.modified_at, version=f'W/"{row.version}"'
    )
    return resource
