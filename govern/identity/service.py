"""Commands of signing in and out: sessions, set-up links, and the end of everything that a person holds here."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session as Database

from govern.audit import service as audit
from govern.core.crypto import Place, Secret, looks_like_token, new_token
from govern.core.errors import Conflict, Gone, NotAllowed
from govern.core.uow import UnitOfWork
from govern.identity import devices, rules
from govern.identity.models import (
    ApiToken,
    CodeGuess,
    Device,
    DeviceCode,
    DeviceToken,
    Request,
    Session,
    SetupLink,
    SignIn,
    SpentLogoutToken,
    Standing,
)
from govern.identity.permissions import Role
from govern.identity.queries import SESSION_PREFIX, id_token_place
from govern.identity.rules import ProvenIdentity, SignInPolicy
from govern.people import queries as people_queries
from govern.people import service as people
from govern.people.models import Identity, Person, PersonState

LINK_PREFIX = "govl"
_SETUP = "setup link"


def sign_in(
    uow: UnitOfWork,
    identity: ProvenIdentity,
    policy: SignInPolicy,
    *,
    id_token: Secret | None = None,
    agent: str | None = None,
    replaces: str | None = None,
) -> Secret:
    """Begin a session for whom the provider vouched, and return the cookie's value; it is never shown again.

    The person is found by issuer and subject. Only the first sign-in may link by address, see `rules.check_may_link`.
    `replaces` is the id of the session that this browser had: it ends, so that nobody who knew it gains by the sign-in.
    Raises NotAllowed with a sentence that says what the provider sent and what was expected.
    """
    person = _person_of(uow, identity, policy)
    rules.check_may_enter(person.state)
    role = rules.role_of(policy, identity.role_values)
    _stand(uow, person, [role.value], identity.issuer)
    return _begin(uow, person, [role.value], identity=identity, id_token=id_token, agent=agent, replaces=replaces)


def _person_of(uow: UnitOfWork, identity: ProvenIdentity, policy: SignInPolicy) -> Person:
    known = people_queries.by_identity(uow.session, identity.issuer, identity.subject)
    if known is not None:
        person, link = known
        if link.blocked_at is not None:
            raise NotAllowed("Your access here has ended. If you are back, ask an administrator to welcome you back.")
        return person
    email = rules.check_may_link(policy, identity)
    rules.role_of(policy, identity.role_values)  # who has no role here is not written down either
    person = people.ensure(uow, email, identity.name)
    if person.state is not PersonState.ACTIVE:
        return person
    other = sa.select(Identity.id).where(Identity.person_id == person.id, Identity.issuer == identity.issuer)
    if uow.session.scalar(other) is not None:
        # The address was given to somebody else, or the account was made anew. An address proves neither.
        raise NotAllowed(
            f"The address {email} belongs here to another account of the same identity provider. "
            "If it was given to you, ask an administrator to tell the two apart."
        )
    people.link_identity(uow, person, identity.issuer, identity.subject)
    return person


def note_refusal(uow: UnitOfWork, identity: ProvenIdentity, sentence: str) -> None:
    """Record that the provider vouched for somebody who was not let in."""
    audit.record(uow, "session.refused", ("identities", identity.subject[:120]), reason=sentence[:500], issuer=identity.issuer)


def _stand(uow: UnitOfWork, person: Person, roles: list[str], source: str) -> None:
    standing = uow.session.get(Standing, person.id)
    if standing is None:
        uow.session.add(Standing(person_id=person.id, roles=roles, source=source, decided_at=uow.now))
        audit.record(uow, "person.roles_changed", person, before=[], after=roles, source=source)
        return
    if standing.roles != roles:
        audit.record(uow, "person.roles_changed", person, before=standing.roles, after=roles, source=source)
    standing.roles, standing.source, standing.decided_at = roles, source, uow.now


def _begin(
    uow: UnitOfWork,
    person: Person,
    roles: list[str],
    *,
    identity: ProvenIdentity | None = None,
    id_token: Secret | None = None,
    agent: str | None = None,
    replaces: str | None = None,
) -> Secret:
    if replaces is not None:
        _end(uow, Session.id == replaces, "signed in again")
    cookie = new_token(SESSION_PREFIX)
    row = Session(
        id=uow.new_id("ses"), hash=uow.box.fingerprint("session", cookie.reveal()), person_id=person.id, roles=roles,
        issuer=identity.issuer if identity else None, subject=identity.subject if identity else None,
        sid=identity.sid if identity else None, created_at=uow.now, seen_at=uow.now,
        auth_at=min(identity.auth_at, uow.now) if identity and identity.auth_at else uow.now,
        ip=uow.actor.ip, agent=agent[:200] if agent else None,
    )  # fmt: skip
    if id_token is not None:
        row.id_token_sealed = uow.box.seal(id_token, id_token_place(row.id))
    uow.session.add(row)
    uow.session.flush()
    audit.record(uow, "session.started", row, person=person.email, roles=roles, issuer=row.issuer or _SETUP)
    return cookie


def touch(uow: UnitOfWork, session_id: str) -> None:
    """Note that the session is in use. Doors call it at most once in `rules.TOUCH_EVERY`."""
    uow.session.execute(sa.update(Session).where(Session.id == session_id, Session.ended_at.is_(None)).values(seen_at=uow.now))


def sign_out(uow: UnitOfWork, session_id: str) -> None:
    """End this session."""
    if _end(uow, Session.id == session_id, "signed out"):
        audit.record(uow, "session.ended", ("sessions", session_id), how="signed out")


def end_by_provider(
    uow: UnitOfWork, issuer: str, *, sid: str | None, subject: str | None, token_id: str, good_until: timedelta
) -> int:
    """The provider says that a sign-in is over (back-channel logout): end what belongs to it; how many sessions.

    With a `sid` only that sign-in ends, without one all of the subject. Raises Conflict when this token was used before.
    """
    spent = uow.box.fingerprint("logout-token", f"{issuer}|{token_id}")
    if uow.session.get(SpentLogoutToken, spent) is not None:
        raise Conflict("This logout token was used before.")
    uow.session.add(SpentLogoutToken(hash=spent, expires_at=uow.now + good_until))
    which = [Session.issuer == issuer]
    if sid is not None:
        which.append(Session.sid == sid)
    if subject is not None:
        which.append(Session.subject == subject)
    ended = _end(uow, sa.and_(*which), "ended by the identity provider")
    if ended:
        audit.record(uow, "session.ended", ("sessions", sid or subject or ""), how="identity provider", count=ended)
    return ended


def end_everything(uow: UnitOfWork, person_id: str) -> dict[str, int]:
    """End all sessions and devices of the person, and all tokens that act for them or that they made.

    Part of containing somebody. Returns how many of each.
    """
    sessions = _end(uow, Session.person_id == person_id, "contained")
    theirs = sa.or_(ApiToken.person_id == person_id, ApiToken.maker_id == person_id)
    made = sa.select(ApiToken.id).where(theirs)
    ended = uow.session.execute(
        sa.update(ApiToken)
        .where(sa.or_(theirs, ApiToken.parent_id.in_(made)), ApiToken.revoked_at.is_(None))
        .values(revoked_at=uow.now, revoked_by=uow.actor.id)
        .execution_options(synchronize_session=False)
    )
    ended_devices = devices.end_all(uow, person_id)
    email = uow.session.get_one(Person, person_id).email
    uow.session.execute(sa.update(SetupLink).where(SetupLink.email == email, SetupLink.used_at.is_(None)).values(used_at=uow.now))
    counts = {"sessions": sessions, "tokens": int(ended.rowcount), "devices": ended_devices}  # type: ignore[attr-defined]
    audit.record(
        uow, "person.access_ended", ("people", person_id), sessions=sessions, tokens=counts["tokens"], devices=ended_devices
    )
    return counts


def _end(uow: UnitOfWork, which: sa.ColumnElement[bool], why: str) -> int:
    ended = uow.session.execute(
        sa.update(Session)
        .where(which, Session.ended_at.is_(None))
        .values(ended_at=uow.now, end_reason=why, id_token_sealed=None)
        .execution_options(synchronize_session=False)
    )
    return int(ended.rowcount)  # type: ignore[attr-defined]


def remember_sign_in(uow: UnitOfWork, state: str, browser: str, kept: dict[str, str]) -> None:
    """Keep what a sign-in under way needs (nonce, code verifier, where to go), bound to its state and to this browser."""
    key = uow.box.fingerprint("sign-in", state)
    sealed = uow.box.seal(Secret(json.dumps(kept)), Place("sign_ins", "sealed", key))
    row = SignIn(
        hash=key, browser_hash=uow.box.fingerprint("browser", browser), sealed=sealed, expires_at=uow.now + rules.SIGN_IN_LIFE
    )
    uow.session.add(row)


def recall_sign_in(uow: UnitOfWork, state: str, browser: str | None) -> dict[str, str]:
    """What was kept for this state, once, and only to the browser that began. Raises NotAllowed."""
    row = uow.session.get(SignIn, uow.box.fingerprint("sign-in", state), with_for_update=True)
    if row is None or row.expires_at <= uow.now:
        raise NotAllowed("This sign-in is unknown, was used already, or took longer than ten minutes. Please start again.")
    if browser is None or uow.box.fingerprint("browser", browser) != row.browser_hash:
        raise NotAllowed("This sign-in was begun in another browser. Please start again.")
    kept: dict[str, str] = json.loads(uow.box.open(row.sealed, Place("sign_ins", "sealed", row.hash)).reveal())
    uow.session.delete(row)
    return kept


def create_setup_link(uow: UnitOfWork, email: str, name: str | None = None, *, role: Role = Role.ADMIN) -> Secret:
    """A secret for `/auth/setup/<secret>` that signs this person in once within 15 minutes. Loud in the audit log."""
    email = people.clean_email(email)
    secret = new_token(LINK_PREFIX)
    link = SetupLink(
        id=uow.new_id("lnk"), hash=uow.box.fingerprint("setup-link", secret.reveal()), email=email,
        name=(name or "").strip()[:200] or email.partition("@")[0], roles=[role.value], created_at=uow.now,
        expires_at=uow.now + rules.SETUP_LINK_LIFE,
    )  # fmt: skip
    uow.session.add(link)
    audit.record(uow, "setup_link.created", link, email=email, roles=link.roles)
    return secret


def find_setup_link(session: Database, fingerprint: str) -> SetupLink | None:
    """The link with this fingerprint (`box.fingerprint("setup-link", …)`), used or not."""
    return session.scalars(sa.select(SetupLink).where(SetupLink.hash == fingerprint)).one_or_none()


def check_setup_link(link: SetupLink | None, now: datetime) -> SetupLink:
    """Raise Gone unless the link is good."""
    if link is None or link.used_at is not None or link.expires_at <= now:
        raise Gone("This link is unknown, was used already, or is older than 15 minutes. Run `govern init` for a new one.")
    return link


def use_setup_link(uow: UnitOfWork, value: str, *, agent: str | None = None, replaces: str | None = None) -> Secret:
    """Spend the link and begin the session; returns the cookie's value. Raises Gone, NotAllowed."""
    found = None
    if looks_like_token(value, LINK_PREFIX):
        query = sa.select(SetupLink).where(SetupLink.hash == uow.box.fingerprint("setup-link", value)).with_for_update()
        found = uow.session.scalars(query).one_or_none()
    link = check_setup_link(found, uow.now)
    person = people.ensure(uow, link.email, link.name)
    rules.check_may_enter(person.state)
    link.used_at = uow.now
    _stand(uow, person, link.roles, _SETUP)
    audit.record(uow, "setup_link.used", link, email=link.email)
    return _begin(uow, person, link.roles, agent=agent, replaces=replaces)


def forget_old(
    uow: UnitOfWork, *, sessions_after: timedelta = timedelta(days=90), requests_after: timedelta = timedelta(hours=72)
) -> dict[str, int]:
    """Delete what nobody needs any more: sessions and devices long over, sign-ins that ran out, answered requests.

    A spent refresh token stays as long as its device, so that a copy of it is noticed.
    """
    over = sa.or_(Device.expires_at < uow.now - sessions_after, Device.ended_at < uow.now - sessions_after)
    old = {
        "sessions": sa.delete(Session).where(Session.created_at < uow.now - sessions_after),
        "sign_ins": sa.delete(SignIn).where(SignIn.expires_at < uow.now),
        "logout_tokens": sa.delete(SpentLogoutToken).where(SpentLogoutToken.expires_at < uow.now),
        "requests": sa.delete(Request).where(Request.created_at < uow.now - requests_after),
        "device_codes": sa.delete(DeviceCode).where(DeviceCode.expires_at < uow.now - timedelta(hours=1)),
        "code_guesses": sa.delete(CodeGuess).where(CodeGuess.at < uow.now - rules.GUESSES_WITHIN),
        "device_tokens": sa.delete(DeviceToken).where(
            sa.or_(
                sa.and_(DeviceToken.refreshes.is_(False), DeviceToken.expires_at < uow.now),
                DeviceToken.device_id.in_(sa.select(Device.id).where(over)),
            )
        ),
        "devices": sa.delete(Device).where(over),
    }
    return {name: int(uow.session.execute(statement).rowcount) for name, statement in old.items()}  # type: ignore[attr-defined]
