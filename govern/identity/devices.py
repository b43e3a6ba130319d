"""Commands on devices: somebody signs in on the dashboard and lets a command line act for them (RFC 8628).

Whoever acts on a person's behalf locks the person first and then the code or token: a removal locks in the same order, so
nothing is handed out to somebody who is being contained at that moment.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from govern.audit import service as audit
from govern.core.crypto import Secret, looks_like_token, new_token
from govern.core.errors import NotFound, PolicyViolation
from govern.core.uow import UnitOfWork
from govern.identity import rules
from govern.identity.models import CodeGuess, Device, DeviceCode, DeviceToken
from govern.identity.queries import ACCESS_PREFIX, REFRESH_PREFIX
from govern.identity.rules import DeviceLimits
from govern.people import service as people
from govern.people.models import Person, PersonState

CODE_PREFIX: Final = "govc"
REUSED: Final = "a spent refresh token was used again"


def new_device_code() -> Secret:
    """What the device polls with."""
    return new_token(CODE_PREFIX)


def new_user_code(uow: UnitOfWork) -> str:
    """What a person types: one that nobody else was given lately."""
    while True:
        code = "".join(secrets.choice(rules.CODE_LETTERS) for _ in range(rules.CODE_LENGTH))
        if uow.session.scalar(sa.select(DeviceCode.id).where(DeviceCode.user_hash == _user_hash(uow, code))) is None:
            return code


def begin(
    uow: UnitOfWork,
    limits: DeviceLimits,
    *,
    client_id: str,
    name: str | None,
    permissions: list[str],
    device_code: Secret,
    user_code: str,
) -> DeviceCode:
    """Write down that a device asks, from the actor's address. Raises PolicyViolation when too many ask from there."""
    waiting = sa.select(sa.func.count()).select_from(DeviceCode)
    waiting = waiting.where(DeviceCode.ip == uow.actor.ip, DeviceCode.expires_at > uow.now)
    if (uow.session.scalar(waiting) or 0) >= rules.MOST_CODES_PER_ADDRESS:
        raise PolicyViolation("Too many devices at this address wait for a sign-in. Try again later.", "codes_per_address")
    code = DeviceCode(
        id=uow.new_id("dvc"), hash=_hash(uow, device_code.reveal()), user_hash=_user_hash(uow, user_code), client_id=client_id,
        name=rules.device_name(name), permissions=permissions, ip=uow.actor.ip, created_at=uow.now,
        expires_at=uow.now + limits.code, interval_seconds=int(limits.poll.total_seconds()),
    )  # fmt: skip
    uow.session.add(code)
    uow.session.flush()
    return code


@dataclass(frozen=True)
class Typed:
    """What came of a short code. No `code`: it is not (any more) one that waits. `limited`: none is looked at for a while."""

    code: DeviceCode | None
    limited: bool = False


def look_up(uow: UnitOfWork, person_id: str, typed: str) -> Typed:
    """The waiting request that a person typed the code of. A wrong one is counted, so the door commits whatever comes back.

    Unknown, expired, used and decided codes are all the same: nobody learns which codes there are.
    """
    people.lock(uow.session, person_id)  # so that replicas count one after the other
    lately = sa.select(sa.func.count()).select_from(CodeGuess)
    lately = lately.where(CodeGuess.person_id == person_id, CodeGuess.at > uow.now - rules.GUESSES_WITHIN)
    wrong = uow.session.scalar(lately) or 0
    if wrong >= rules.MOST_GUESSES:
        return Typed(None, limited=True)
    code = _waiting(uow, typed)
    if code is not None and code.approved is None:
        return Typed(code)
    if code is not None and code.person_id == person_id:
        return Typed(code)  # the same person again: a form that was sent twice
    uow.session.add(CodeGuess(id=uow.new_id("gue"), person_id=person_id, at=uow.now))
    if wrong + 1 >= rules.MOST_GUESSES:
        audit.record(uow, "device.guessing_stopped", ("people", person_id), wrong=wrong + 1)
    return Typed(None, limited=wrong + 1 >= rules.MOST_GUESSES)


def _waiting(uow: UnitOfWork, typed: str) -> DeviceCode | None:
    clean = rules.clean_code(typed)
    if not clean:
        return None
    found = sa.select(DeviceCode).where(DeviceCode.user_hash == _user_hash(uow, clean), DeviceCode.expires_at > uow.now)
    return uow.session.scalars(found.with_for_update()).one_or_none()


def decide(uow: UnitOfWork, person_id: str, typed: str, *, approve: bool) -> Typed:
    """Let the device act for this person, or not. Like `look_up` the outcome is to be committed in any case."""
    found = look_up(uow, person_id, typed)
    if found.code is None or found.code.approved is not None:
        return found
    code = found.code
    code.approved, code.person_id, code.decided_at = approve, person_id, uow.now
    action = "device.approved" if approve else "device.denied"
    audit.record(uow, action, code, name=code.name, client=code.client_id, permissions=code.permissions, asked_from=code.ip)
    return found


def code_of(uow: UnitOfWork, value: str) -> DeviceCode | None:
    """The request that polls with this code, locked; None when there is none (any more)."""
    if not looks_like_token(value, CODE_PREFIX):
        return None
    mine = DeviceCode.hash == _hash(uow, value)
    person_id = uow.session.scalar(sa.select(DeviceCode.person_id).where(mine))
    if person_id is not None:
        people.lock(uow.session, person_id)
    return uow.session.scalars(
        sa.select(DeviceCode).where(mine).with_for_update().execution_options(populate_existing=True)
    ).one_or_none()


def polls_too_often(uow: UnitOfWork, code: DeviceCode) -> bool:
    """Note the poll. Whether it came too soon; from then on the device has to wait longer."""
    last, code.polled_at = code.polled_at, uow.now
    too_soon = last is not None and (uow.now - last).total_seconds() < code.interval_seconds
    if too_soon:
        code.interval_seconds += rules.SLOWER_BY
    return too_soon


def holder_of(uow: UnitOfWork, person_id: str | None) -> Person | None:
    """The person, if they may act at all."""
    person = uow.session.get(Person, person_id) if person_id else None
    return person if person is not None and person.state is PersonState.ACTIVE else None


def establish(uow: UnitOfWork, limits: DeviceLimits, code: DeviceCode, *, access: Secret, refresh: Secret) -> Device:
    """Make the device and its first tokens of an approved request, which is used up by it, in the same transaction."""
    if not code.approved or code.person_id is None:
        raise ValueError("Only an approved request becomes a device.")
    device = Device(
        id=uow.new_id("dev"), person_id=code.person_id, client_id=code.client_id, name=code.name,
        permissions=code.permissions, ip=uow.actor.ip, created_at=uow.now, expires_at=uow.now + limits.longest,
    )  # fmt: skip
    uow.session.add(device)
    uow.session.delete(code)
    uow.session.flush()
    _add(uow, limits, device, access=access, refresh=refresh, permissions=device.permissions)
    audit.record(
        uow, "device.signed_in", device, code=code.id, person=device.person_id, name=device.name, client=device.client_id,
        permissions=device.permissions,
    )  # fmt: skip
    return device


@dataclass(frozen=True)
class Refreshing:
    """A refresh token that is good, with its device; both are locked."""

    token: DeviceToken
    device: Device


def refreshing(uow: UnitOfWork, value: str) -> Refreshing | None:
    """The good refresh token of this value. One that was spent already ends the whole device: one of two holders stole it."""
    if not looks_like_token(value, REFRESH_PREFIX):
        return None
    mine = DeviceToken.hash == _hash(uow, value)
    device_id = uow.session.scalar(sa.select(DeviceToken.device_id).where(mine, DeviceToken.refreshes))
    if device_id is None:
        return None
    people.lock(uow.session, uow.session.get_one(Device, device_id).person_id)
    device = uow.session.get_one(Device, device_id, with_for_update=True, populate_existing=True)
    token = uow.session.scalars(sa.select(DeviceToken).where(mine).execution_options(populate_existing=True)).one()
    if token.spent_at is not None:
        _end(uow, device, REUSED)
        return None
    if device.ended_at is not None or min(device.expires_at, token.expires_at) <= uow.now:
        return None
    return Refreshing(token, device)


def rotate(
    uow: UnitOfWork, limits: DeviceLimits, old: Refreshing, *, access: Secret, refresh: Secret, permissions: list[str]
) -> None:
    """New tokens for the spent one. The access token may be narrower than the device; the device itself stays as it is."""
    old.token.spent_at = uow.now
    old.device.used_at, old.device.used_from = uow.now, uow.actor.ip
    _add(uow, limits, old.device, access=access, refresh=refresh, permissions=permissions)
    audit.record(uow, "device.refreshed", old.device)


def _add(
    uow: UnitOfWork, limits: DeviceLimits, device: Device, *, access: Secret, refresh: Secret, permissions: list[str]
) -> None:
    for value, refreshes, words, life in (
        (access, False, permissions, limits.access), (refresh, True, device.permissions, limits.idle),
    ):  # fmt: skip
        uow.session.add(
            DeviceToken(
                hash=_hash(uow, value.reveal()), device_id=device.id, refreshes=refreshes, permissions=words,
                created_at=uow.now, expires_at=min(uow.now + life, device.expires_at),
            )
        )  # fmt: skip
    uow.session.flush()


def note_use(uow: UnitOfWork, device_id: str) -> None:
    """Note when and from where the device was last used. Doors call it at most once in `rules.TOUCH_EVERY`."""
    used = sa.update(Device).where(Device.id == device_id)
    uow.session.execute(used.values(used_at=uow.now, used_from=uow.actor.ip))


def end_device(uow: UnitOfWork, device_id: str, *, reason: str) -> Device:
    """End the device with all its tokens. Repeating it changes nothing. Raises NotFound."""
    device = uow.session.get(Device, device_id, with_for_update=True, populate_existing=True)
    if device is None:
        raise NotFound(f"There is no device {device_id!r}.")
    _end(uow, device, reason)
    return device


def take_back(uow: UnitOfWork, value: str, client_id: str) -> None:
    """The client gives a token back (RFC 7009): a refresh token ends the device, an access token only itself."""
    token = uow.session.get(DeviceToken, _hash(uow, value)) if looks_like_device_token(value) else None
    if token is None:
        return
    device = uow.session.get_one(Device, token.device_id, with_for_update=True, populate_existing=True)
    if device.client_id != client_id:
        return
    if token.refreshes:
        _end(uow, device, "signed out")
    elif token.spent_at is None:
        token.spent_at = uow.now
        audit.record(uow, "device.token_revoked", device)


def looks_like_device_token(value: str) -> bool:
    """Whether the value has the shape and the checksum of an access or refresh token of a device."""
    return looks_like_token(value, ACCESS_PREFIX) or looks_like_token(value, REFRESH_PREFIX)


def _end(uow: UnitOfWork, device: Device, reason: str) -> None:
    if device.ended_at is None:
        device.ended_at, device.ended_by, device.end_reason = uow.now, uow.actor.id, reason[:60]
        audit.record(uow, "device.ended", device, reason=reason[:60], person=device.person_id, name=device.name)


def end_all(uow: UnitOfWork, person_id: str) -> int:
    """End all devices of the person, and drop what they approved and no device has fetched yet; how many devices."""
    uow.session.execute(sa.delete(DeviceCode).where(DeviceCode.person_id == person_id))
    ended = uow.session.execute(
        sa.update(Device)
        .where(Device.person_id == person_id, Device.ended_at.is_(None))
        .values(ended_at=uow.now, ended_by=uow.actor.id, end_reason="contained")
        .execution_options(synchronize_session=False)
    )
    return int(ended.rowcount)  # type: ignore[attr-defined]


def _hash(uow: UnitOfWork, value: str) -> str:
    return uow.box.fingerprint("device", value)


def _user_hash(uow: UnitOfWork, code: str) -> str:
    return uow.box.fingerprint("user-code", code)
