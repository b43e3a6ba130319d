"""Commands that an identity provider gives: an account appears, changes, is deactivated, comes back, goes.

None of them grants a role. Whoever is deactivated or deleted is contained in the same transaction.
"""

from __future__ import annotations

import sqlalchemy as sa

from govern.audit import service as audit
from govern.core import outbox
from govern.core.errors import Conflict, InvalidInput
from govern.core.uow import UnitOfWork
from govern.offboarding import service as offboarding
from govern.people import service as people
from govern.people.models import PersonState
from govern.provisioning import queries, rules
from govern.provisioning.models import ProvisionedUser
from govern.provisioning.rules import Account


class StaleVersion(Conflict):
    """The account has changed since it was read."""


def create(uow: UnitOfWork, account: Account) -> ProvisionedUser:
    """Take the account in, for the person with its address (known, or new).

    Raises InvalidInput without a usable address, Conflict where the user name or the person has an account already,
    PolicyViolation where it is inactive and may not be removed.
    """
    rules.check(account)
    person = people.ensure(uow, _address(account), account.name)
    row = ProvisionedUser(
        id=uow.new_id("usr"), person_id=person.id, user_name=rules.user_name_key(account.user_name),
        external_id=account.external_id, active=account.active is not False, version=1, document=account.document,
        created_at=uow.now, modified_at=uow.now,
    )  # fmt: skip
    try:
        with uow.session.begin_nested():
            uow.session.add(row)
    except sa.exc.IntegrityError as error:
        raise Conflict("A user with this userName or address is here already.") from error
    audit.record(uow, "provisioning.user_added", row, person=person.id, active=row.active)
    _follow(uow, row, rules.DEACTIVATED)
    return row


def update(uow: UnitOfWork, user_id: str, account: Account, *, expected_version: int | None = None) -> ProvisionedUser:
    """Make the account so; the same again changes nothing.

    Raises NotFound, StaleVersion, InvalidInput, Conflict, PolicyViolation.
    """
    row = _lock(uow, user_id, expected_version)
    rules.check(account)
    before = {"active": row.active, "externalId": row.external_id, "userName": row.user_name} | row.document
    was_active, key = row.active, rules.user_name_key(account.user_name)
    active = was_active if account.active is None else account.active
    after = {"active": active, "externalId": account.external_id, "userName": key} | account.document
    if before == after:
        return row
    row.user_name, row.external_id, row.active, row.document = key, account.external_id, active, account.document
    row.version, row.modified_at = row.version + 1, uow.now
    try:
        uow.session.flush()
    except sa.exc.IntegrityError as error:
        raise Conflict("A user with this userName is here already.") from error
    audit.record(uow, "provisioning.user_changed", row, changed=rules.changed(before, after), active=row.active)
    if row.active is not was_active:
        _follow(uow, row, rules.DEACTIVATED)
    return row


def delete(uow: UnitOfWork, user_id: str, *, expected_version: int | None = None) -> None:
    """Forget the account; the person is contained and their removal starts. Raises NotFound, StaleVersion, PolicyViolation."""
    row = _lock(uow, user_id, expected_version)
    row.active = False
    audit.record(uow, "provisioning.user_deleted", row, person=row.person_id)
    _follow(uow, row, rules.DELETED)
    uow.session.delete(row)
    uow.session.flush()


def bring_back(uow: UnitOfWork, row: ProvisionedUser) -> bool:
    """Welcome the person back if the provider still says so and their removal is proven. False: it is still under way."""
    person = people.lock(uow.session, row.person_id)
    if row.active and person.state is PersonState.LEFT:
        people.welcome_back(uow, person)
        audit.record(uow, "provisioning.user_returned", row, person=person.id, generation=person.generation)
    return not row.active or person.state is not PersonState.LEAVING


def _follow(uow: UnitOfWork, row: ProvisionedUser, why: str) -> None:
    """Let the person follow the provider's word."""
    if not row.active:
        offboarding.start(uow, row.person_id, reason=why)
    elif not bring_back(uow, row):
        outbox.enqueue(uow, "provisioning.return", row.id)


def _lock(uow: UnitOfWork, user_id: str, expected_version: int | None) -> ProvisionedUser:
    queries.get(uow.session, user_id)
    row = uow.session.get_one(ProvisionedUser, user_id, with_for_update=True, populate_existing=True)
    if expected_version is not None and row.version != expected_version:
        raise StaleVersion("The user has changed since it was read.")
    return row


def _address(account: Account) -> str:
    for address in account.addresses:
        try:
            return people.clean_email(address)
        except InvalidInput:
            continue
    raise InvalidInput("A user needs an e-mail address: in emails, or as the userName.", {"emails": "Send one."})
