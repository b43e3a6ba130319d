"""The accounts as scim2-server asks for them: reads are queries, changes are commands of `provisioning`."""

from __future__ import annotations

import re
from typing import Any

from scim2_models import (
    NotFoundException,
    NotImplementedException,
    PreconditionFailedException,
    Resource,
    ResourceType,
    ResponseParameters,
    SearchRequest,
    UniquenessException,
)
from scim2_server.storage import ScimStorage, SearchPage
from sqlalchemy.orm import Session

from govern.core.errors import Conflict, NotFound
from govern.core.uow import UnitOfWork
from govern.provisioning import queries, service
from govern.provisioning.service import StaleVersion
from govern.web.scim.filters import ToSQL
from govern.web.scim.shapes import MOST, account_of, resource_of


class Accounts(ScimStorage):
    """For one request: over its read session, or over its unit of work where something changes."""

    def __init__(self, session: Session, uow: UnitOfWork | None) -> None:
        self._session = session
        self._uow = uow

    def get(
        self, resource_type: ResourceType, resource_id: str, *, response_parameters: ResponseParameters[Any] | None = None
    ) -> Resource[Any]:
        try:
            return resource_of(queries.get(self._session, resource_id))
        except NotFound as error:
            raise NotFoundException(detail=error.sentence) from error

    def search(
        self, resource_types: list[ResourceType], search_request: SearchRequest[Any], *, position: Any = None
    ) -> SearchPage:
        where = ToSQL().visit(search_request.filter.ast) if search_request.filter is not None else None
        limit = MOST if search_request.count is None else min(search_request.count, MOST)
        total, rows = queries.page(self._session, where, skip=search_request.start_index_0 or 0, limit=limit)
        return SearchPage(total, [resource_of(row) for row in rows])

    def create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        try:
            return resource_of(service.create(self._changes, account_of(resource)))
        except Conflict as error:
            raise UniquenessException(detail=error.sentence) from error

    def update(
        self, resource_type: ResourceType, resource: Resource[Any], *, expected_version: str | None = None
    ) -> Resource[Any]:
        assert resource.id is not None  # it was read from here a moment ago
        try:
            wanted = account_of(resource)
            return resource_of(service.update(self._changes, resource.id, wanted, expected_version=_number(expected_version)))
        except NotFound as error:
            raise NotFoundException(detail=error.sentence) from error
        except StaleVersion as error:
            raise PreconditionFailedException(detail=error.sentence) from error
        except Conflict as error:
            raise UniquenessException(detail=error.sentence) from error

    def delete(self, resource_type: ResourceType, resource_id: str, *, expected_version: str | None = None) -> None:
        try:
            service.delete(self._changes, resource_id, expected_version=_number(expected_version))
        except NotFound as error:
            raise NotFoundException(detail=error.sentence) from error
        except StaleVersion as error:
            raise PreconditionFailedException(detail=error.sentence) from error

    @property
    def _changes(self) -> UnitOfWork:
        if self._uow is None:  # a search by POST came where only reads are expected
            raise NotImplementedException(detail="This address changes nothing.")
        return self._uow


def _number(version: str | None) -> int | None:
    """The number in an entity tag of ours; 0, which no account has, for any other."""
    if version is None:
        return None
    found = re.fullmatch(r'(?:W/)?"?(\d{1,9})"?', version)
    return int(found[1]) if found else 0
