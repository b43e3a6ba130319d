"""The rules of signing in: which role claims give, which address may be linked, how long a session lasts. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from govern.core.crypto import redact
from govern.core.errors import NotAllowed
from govern.identity.permissions import RANKING, Role
from govern.people.models import PersonState

IDLE: Final = timedelta(minutes=30)
"""A session that was not used for so long is over."""
ABSOLUTE: Final = timedelta(hours=12)
"""No session lasts longer, used or not."""
TOUCH_EVERY: Final = timedelta(minutes=1)
"""How exact "last seen" is: writing it at every request would make each read a write."""
LONGEST_TOKEN: Final = timedelta(days=365)
SETUP_LINK_LIFE: Final = timedelta(minutes=15)
SIGN_IN_LIFE: Final = timedelta(minutes=10)
"""How long somebody may take at the identity provider."""
EVERYBODY: Final = "*"
CODE_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""Of what a device's short code is made: no vowels, so that it spells nothing, and nothing that is misread for a digit."""
CODE_LENGTH: Final = 8
MOST_GUESSES: Final = 5
"""Wrong codes that one person may type within GUESSES_WITHIN; then none is looked at, not even a right one."""
GUESSES_WITHIN: Final = timedelta(minutes=15)
MOST_CODES_PER_ADDRESS: Final = 60
"""Devices at one address that may wait for a decision at once: more than an office has, less than a flood."""
SLOWER_BY: Final = 5
"""Seconds by which a device that polls too often has to slow down (RFC 8628, section 3.5)."""


@dataclass(frozen=True)
class ProvenIdentity:
    """What an identity provider vouched for, after its ID token was verified. `sid` is its own name of the sign-in."""

    issuer: str
    subject: str
    sid: str | None
    email: str | None
    email_verified: bool
    name: str | None
    role_values: tuple[str, ...]
    """The words of the claim that decides the role; empty when the provider sent none."""
    auth_at: datetime | None = None
    """When the person last proved who they are, if the provider said so."""


@dataclass(frozen=True)
class SignInPolicy:
    """What the settings say about signing in. `values` maps each role to the words that give it."""

    claim: str
    values: Mapping[Role, Sequence[str]]
    allowed_domains: Sequence[str]


def role_of(policy: SignInPolicy, values: Sequence[str]) -> Role:
    """The highest role that a value gives. Raises NotAllowed, with what was sent and what would have done."""
    for role in RANKING:
        wanted = policy.values.get(role, ())
        if EVERYBODY in wanted or any(value in wanted for value in values):
            return role
    expected = (
        ", ".join(sorted({value for wanted in policy.values.values() for value in wanted})) or "nothing, so nobody has a role"
    )
    sent = ", ".join(values[:20]) if values else "nothing"
    raise NotAllowed(
        f"Your identity provider sent {sent} in the claim “{policy.claim}”. The roles here are given for: {expected}. "
        "Ask your administrator to put you into one of these groups."
    )


def check_may_link(policy: SignInPolicy, identity: ProvenIdentity) -> str:
    """The case-folded address by which this identity may be linked to a person for the first time. Raises NotAllowed."""
    if not identity.email:
        raise NotAllowed("Your identity provider sent no e-mail address. The first sign-in needs one (scope “email”).")
    if not identity.email_verified:
        raise NotAllowed(
            f"Your identity provider did not mark {identity.email} as verified (claim “email_verified”). "
            "Only a verified address can be linked to a person."
        )
    if not policy.allowed_domains:
        raise NotAllowed(
            "No domain is allowed to sign in yet. An administrator sets [oidc] allowed_domains (GOVERN_OIDC_ALLOWED_DOMAINS), "
            "because any provider can verify any address, and only yours is to be believed about your domain."
        )
    local, _, domain = identity.email.casefold().strip().rpartition("@")
    allowed = {entry.casefold().removeprefix("@") for entry in policy.allowed_domains}
    if not local or domain not in allowed:
        raise NotAllowed(f"The address {identity.email} is not in a domain that may sign in here: {', '.join(sorted(allowed))}.")
    return f"{local}@{domain}"


@dataclass(frozen=True)
class DeviceLimits:
    """What the settings say about devices. `idle`: how long one stays signed in unused; `longest`: however much it is used."""

    code: timedelta
    poll: timedelta
    access: timedelta
    idle: timedelta
    longest: timedelta


def clean_code(typed: str) -> str:
    """A short code as it is compared: however it was typed. Empty when it cannot be one."""
    code = "".join(char for char in typed[:40].upper() if char.isalnum())
    return code if len(code) == CODE_LENGTH and set(code) <= set(CODE_LETTERS) else ""


def shown_code(code: str) -> str:
    """A short code as it is read: `BCDF-GHJK`."""
    return f"{code[:4]}-{code[4:]}"


def device_name(said: str | None) -> str:
    """What a device calls itself, made fit to be shown. It is a claim and nothing more."""
    name = "".join(char for char in (said or "")[:200] if char.isprintable())
    return redact(name).strip()[:80] or "unnamed"


def is_over(*, created_at: datetime, seen_at: datetime, ended_at: datetime | None, now: datetime) -> bool:
    """Whether a session no longer counts."""
    return ended_at is not None or now - created_at >= ABSOLUTE or now - seen_at >= IDLE


def check_may_enter(state: PersonState) -> None:
    """Raise NotAllowed unless the person is with the company and not suspended, in words for themselves."""
    if state is PersonState.SUSPENDED:
        raise NotAllowed(
            "Your access here is suspended. An administrator can resume it; your keys and places are kept until then."
        )
    if state is not PersonState.ACTIVE:
        raise NotAllowed("Your access here has ended. If you are back, ask an administrator to welcome you back.")
