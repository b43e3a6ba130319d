"""What happens to an organization from outside its admin API: people at the dashboard, traffic, corrections, time."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

from govern.fakes.openai import admin_keys, budget, invites
from govern.fakes.openai.audit_log import actor_of_session, append
from govern.fakes.openai.catalogue import find_model, unit_prices
from govern.fakes.openai.organization import Organization, digest_of, redact
from govern.fakes.openai.tables import Key, Metered, Project, Restatement, User
from govern.fakes.openai.traffic import DAY
from govern.fakes.openai.wire import ALL_SCOPES

DEFAULT_MODEL = "gpt-5.4-2026-03-05"


def find_project(org: Organization, wanted: str) -> Project:
    """By id, or by name without regard to case. Unknown: `LookupError`."""
    if found := org.tables.projects.get(wanted):
        return found
    for project in org.tables.projects.values():
        if project.name.casefold() == wanted.casefold():
            return project
    raise LookupError(f"no project {wanted!r}")


def find_user(org: Organization, wanted: str) -> User:
    """By id or e-mail. Unknown: `LookupError`."""
    found = org.tables.users.get(wanted) or org.user_by_email(wanted)
    if found is None:
        raise LookupError(f"no user {wanted!r}")
    return found


def spend(
    org: Organization,
    usd: Decimal,
    *,
    project: str | None = None,
    on: date | None = None,
    api_key_id: str | None = None,
    user_id: str | None = None,
    model: str | None = None,
) -> None:
    """Add exactly that much money, visible in usage and costs at once: at noon of the day, or now where that is
    still to come today.
    """
    key = org.tables.keys[api_key_id] if api_key_id else None
    if project:
        place = find_project(org, project).id
    elif key:
        place = key.project_id
    else:
        assert org.default_project is not None
        place = org.default_project.id
    found = find_model(model or DEFAULT_MODEL)
    name = found.name if found and found.endpoint == "completions" else model or DEFAULT_MODEL
    now = org.clock.seconds()
    at = now if on is None else int(datetime(on.year, on.month, on.day, 12, tzinfo=UTC).timestamp())
    if on is not None and at > now and at // DAY == now // DAY:
        at = now
    tokens = int(usd / unit_prices("completions", name, False, "default")[3])
    owner = user_id or (key.owner_user_id if key else None)
    measures, requests = [0, 0, 0, tokens], max(1, tokens // 1_000)
    org.tables.metered.append(Metered(at, "completions", place, owner, api_key_id, name, measures, requests, usd=str(usd)))
    if key:
        key.last_used_at = max(key.last_used_at or 0, at)
    budget.mail_alerts(org)
    org.changed()


def restate(org: Organization, day: date, factor: Decimal, project: str | None = None) -> None:
    """Correct a day: its usage and its costs become `factor` times what they are, for one project or for all."""
    exact = Fraction(factor)
    if exact < 0:
        raise ValueError("a day cannot be restated below nothing")
    number = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) // DAY
    place = find_project(org, project).id if project else None
    org.tables.restatements.append(Restatement(number, exact.numerator, exact.denominator, place))
    org.changed()


def accept_invite(org: Organization, email: str) -> User:
    """The invited person signs in."""
    user = invites.accept(org, email)
    org.changed()
    return user


def make_personal_key(org: Organization, user: str, project: str, name: str = "my key") -> tuple[str, str]:
    """A person makes a key in the dashboard; the API itself offers no way to. Gives (id, value)."""
    owner, place = find_user(org, user), find_project(org, project)
    if not org.has_access(owner.id, place.id):
        raise LookupError(f"{user} has no access to {project}")
    secret, now = org.new_secret("sk-proj-"), org.clock.seconds()
    key = Key(org.new_id("key"), place.id, name, digest_of(secret), redact(secret), now, owner_user_id=owner.id)
    org.add_key(key)
    append(org, "api_key.created", actor_of_session(owner), now, key.id, data={"scopes": []})
    org.changed()
    return key.id, secret


def disable_key(org: Organization, api_key_id: str) -> None:
    """OpenAI itself ends a key, as it does with one that it finds in public. Unknown: `LookupError`."""
    key = org.tables.keys.get(api_key_id)
    if key is None or key.deleted_at is not None:
        raise LookupError(f"no key {api_key_id!r}")
    key.deleted_at = org.clock.instant()
    org.changed()


def meddle(org: Organization, word: str, name: str) -> None:
    """What the faults of that word bring about: the newest account's key is ended, or the newest account renamed."""
    if word == "rename_sa":
        for account in list(org.tables.service_accounts.values())[-1:]:
            account.name = name
        org.changed()
        return
    live = [key.id for key in org.tables.keys.values() if key.owner_account_id and key.deleted_at is None]
    if live:
        disable_key(org, live[-1])


def make_admin_key(org: Organization, scopes: list[str] | None, name: str = "made at the dashboard") -> str:
    """An admin key with just these scopes (None: all)."""
    owner = next(user for user in org.tables.users.values() if user.role == "owner")
    _, secret = admin_keys.make(org, name, list(ALL_SCOPES) if scopes is None else list(scopes), owner.id)
    org.changed()
    return secret


def main_admin_key(org: Organization, owner: User, value: str | None) -> str:
    """The full-scope key that the caller of the fake is given; with a fixed value it is found again after a restart."""
    if value and digest_of(value) in org.admin_by_digest:
        return value
    return admin_keys.make(org, "govern", list(ALL_SCOPES), owner.id, value=value)[1]
