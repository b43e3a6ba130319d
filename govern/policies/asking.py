"""Ask for a key: within policy it is issued at once, beyond it somebody else is asked, and a yes issues it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from sqlalchemy.orm import Session

from govern.approvals import queries as approval_queries
from govern.approvals import rules as approval_rules
from govern.approvals import service as approvals
from govern.approvals.models import Approval
from govern.core.errors import Conflict, PolicyViolation
from govern.core.uow import UnitOfWork
from govern.keys import rules as key_rules
from govern.keys import service as keys
from govern.keys.models import Key, KeyKind
from govern.people import queries as people_queries
from govern.people import service as people
from govern.policies import queries, rules
from govern.policies.rules import Beyond, Effective, Wanted
from govern.ports import ALL_SCOPES, Scopes, read_scopes, stored_scopes
from govern.projects import queries as projects

ISSUE: Final = queries.ISSUE
_NO_LIMIT: Final = 1_000_000


@dataclass(frozen=True)
class Wish:
    """A key that is asked for. Without `days` or `scopes` it gets what is usual and allowed."""

    person_id: str
    project_id: str
    name: str
    kind: KeyKind = KeyKind.PERSONAL
    days: int | None = None
    scopes: Scopes | None = None
    rotate_every_days: int | None = None


@dataclass(frozen=True)
class Defaults:
    """What the settings say. `waits`: how long an asking waits to be decided."""

    days: int
    most_keys: int
    generation: str
    waits: timedelta


@dataclass(frozen=True)
class Outlook:
    """What would become of a wish: with which life and permissions, and what of it is beyond the policy."""

    policy: Effective
    days: int
    scopes: Scopes
    beyond: tuple[Beyond, ...]


def outlook(session: Session, wish: Wish, defaults: Defaults, *, is_self_service: bool) -> Outlook:
    """What would become of the wish. Reads only."""
    policy = queries.effective_for(session, wish.person_id, wish.project_id, usual_most_keys=defaults.most_keys)
    days = wish.days if wish.days is not None else min(defaults.days, policy.longest_days)
    scopes = wish.scopes if wish.scopes is not None else rules.usual_scopes(policy, defaults.generation)
    wanted = Wanted(
        # A shared key is an application's and counts for nobody, unless people serve themselves: else that would be a way around.
        days, scopes, counts=wish.kind is KeyKind.PERSONAL or is_self_service,
        held=queries.owned(session, wish.person_id, wish.kind),
        held_here=queries.owned(session, wish.person_id, wish.kind, wish.project_id), is_self_service=is_self_service,
    )  # fmt: skip
    return Outlook(policy, days, scopes, rules.beyond(policy, wanted))


def ask_for_key(uow: UnitOfWork, wish: Wish, defaults: Defaults, *, administers: bool, reason: str | None) -> Key | Approval:
    """Promise the key, or ask somebody else for it, which needs a reason. Asking the same again changes nothing.

    `administers`: whether the asker may issue keys to anybody; then a key for somebody else is no self-service. Raises
    InvalidInput, NotFound, Conflict, and PolicyViolation: for what no approval can give, and beyond policy without a reason.
    """
    person = people.lock(uow.session, wish.person_id)
    project = projects.get(uow.session, wish.project_id)
    key_rules.check_name(wish.name)
    own = wish.person_id in approval_queries.people_behind(uow.session, uow.actor)
    found = outlook(uow.session, wish, defaults, is_self_service=own or not administers)
    key_rules.check_lifetime(timedelta(days=found.days))
    key_rules.check_may_hold(person, project, held=0, most_per_person=_NO_LIMIT)
    key_rules.check_may_narrow(found.scopes, defaults.generation)
    key_rules.check_rotation(wish.rotate_every_days, timedelta(days=found.days))
    if not found.beyond:
        return keys.request_key(
            uow, person.id, project.id, name=wish.name, lifetime=timedelta(days=found.days), kind=wish.kind,
            most_per_person=found.policy.most_keys, rotate_every_days=wish.rotate_every_days, scopes=found.scopes,
            generation=defaults.generation,
        )  # fmt: skip
    sentences = " ".join(each.sentence for each in found.beyond)
    if reason is None:
        raise PolicyViolation(f"{sentences} Somebody else can approve it: say why you need it.", found.beyond[0].rule)
    facts: dict[str, Any] = {
        "key": wish.name.strip(), "kind": wish.kind.value, "for": f"{person.name} <{person.email}>", "project": project.name,
        "days": found.days, "permissions": stored_scopes(found.scopes), "rotate_every_days": wish.rotate_every_days,
        "beyond": [each.sentence for each in found.beyond], "ids": {"person": person.id, "project": project.id},
    }  # fmt: skip
    named, permission = deciders(uow.session, found.policy.approvers, person.id, uow.now.date())
    mark = f"{person.id}/{project.id}/{wish.kind.value}/{facts['key']}"[:200]
    row = approvals.ask(
        uow, ISSUE, ("people", person.id), facts=facts, reason=reason, lifetime=defaults.waits, approvers=named,
        permission=permission, for_person_id=person.id, mark=mark,
        summary=f"The key “{facts['key']}” for {person.name} in {project.name}, for {found.days} days",
    )  # fmt: skip
    if row.facts != facts and {**row.facts, "beyond": None} != {**facts, "beyond": None}:
        raise Conflict("This key was asked for already, with other limits, and waits for approval. Take that back first.")
    return row


def deciders(session: Session, approvers: tuple[str, ...], person_id: str, on: date) -> tuple[list[str], str | None]:
    """The people whom these words name for a key of this person, and the permission that decides too, if any does."""
    named = [word for word in approvers if word not in (rules.MANAGER, rules.ADMINS)]
    manager = people_queries.manager_of(session, person_id, on) if rules.MANAGER in approvers else None
    permission = approval_rules.DECIDE if rules.ADMINS in approvers else None
    return list(dict.fromkeys([*([manager.id] if manager else []), *named])), permission


def issue_approved(uow: UnitOfWork, row: Approval) -> str:
    """What a yes to an asking carries out: exactly the key that was asked for, for whoever asked. Returns its id.

    Raises PolicyViolation where the person or the project can hold no key any more.
    """
    facts, ids = row.facts, row.facts["ids"]
    key = keys.request_key(
        uow, ids["person"], ids["project"], name=facts["key"], lifetime=timedelta(days=facts["days"]),
        most_per_person=_NO_LIMIT, kind=KeyKind(facts["kind"]), rotate_every_days=facts["rotate_every_days"],
        scopes=read_scopes(facts["permissions"]) or ALL_SCOPES, requested_by=row.requested_by,
    )  # fmt: skip
    return key.id
