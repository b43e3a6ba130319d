"""What larger organizations have besides: groups, invites, limits, policies, a second admin key, and a history."""

from __future__ import annotations

import random

from govern.fakes.openai import names
from govern.fakes.openai.admin_keys import make
from govern.fakes.openai.audit_log import actor_of_session
from govern.fakes.openai.organization import Organization
from govern.fakes.openai.tables import (
    Assignment,
    Event,
    Group,
    Invite,
    Json,
    ProjectGroup,
    Role,
    SpendAlert,
    User,
)
from govern.fakes.openai.traffic import DAY
from govern.fakes.openai.wire import MANAGE_READ

_GROUPS = (("Engineering", 0.4), ("Data science", 0.12), ("Product", 0.15), ("Contractors", 0.0), ("AI champions", 0.05))


def add(org: Organization, dice: random.Random, people: list[User], founded: int, now: int) -> None:
    tables = org.tables
    projects = [p for p in tables.projects.values() if not p.is_default and p.archived_at is None]
    for index, (name, share) in enumerate(_GROUPS):
        group = Group(org.new_id("group", founded + index * DAY), name, founded + index * DAY, is_scim_managed=index < 2)
        for user in people:
            outside = bool(user.email and user.email.endswith("@contractors.example"))
            if outside if name == "Contractors" else dice.random() < share and not outside:
                group.members[user.id] = max(user.added_at, group.created_at)
        tables.groups[group.id] = group
    role = Role(org.new_id("role", founded), "usage-viewer", ["api.usage.read", "api.groups.read"], "api.organization",
                description="Reads usage and groups", created_at=founded, created_by=people[0].id)  # fmt: skip
    tables.roles[role.id] = role
    tables.assignments.append(Assignment("group", list(tables.groups)[2], None, role.id, founded + 9 * DAY))
    if projects:
        tables.project_groups.append(ProjectGroup(projects[-1].id, list(tables.groups)[4], founded + 400 * DAY))
        projects[0].spend_limit = {"threshold_amount": 50_000_000, "currency": "USD", "interval": "month"}
        projects[-1].model_policy = {"mode": "deny_list", "model_ids": ["gpt-4o-2024-08-06"]}
        for project in projects[:4]:
            alert = SpendAlert(org.new_id("alert", founded), project.id, 40_000_000, ["finance@acme.example"], None, founded)
            tables.alerts[alert.id] = alert
    for index in range(3 + len(people) // 100):
        sent = now - dice.randrange(60, 40 * DAY)
        _, local = names.person(len(people) + index)
        places = [{"id": dice.choice(projects).id, "role": "member"}] if projects else []
        invite = Invite(org.new_id("invite", sent), f"{local}@acme.example", "reader", places, sent, sent + 7 * DAY)
        tables.invites[invite.id] = invite
    owners = [user for user in people if user.role == "owner"]
    key, _ = make(org, "terraform", [MANAGE_READ], owners[-1].id)
    key.created_at = org.tables.born[key.id] = founded + 30 * DAY
    if len(people) >= 50:
        id = org.new_id("legacy_service_account", founded)
        tables.users[id] = User(id, None, "legacy-deploy", "reader", founded, is_service_account=True)


def history(org: Organization) -> None:
    """Audit events for what is there, as if it had been made in the dashboard by the first owner, in the order of time."""
    tables = org.tables
    owner = next(iter(tables.users.values()))
    actor, rows = actor_of_session(owner), list[tuple[int, str, str, Json]]()
    rows += [(u.added_at, "user.added", u.id, {"data": {"role": u.role}}) for u in tables.users.values()]
    for project in tables.projects.values():
        rows.append((project.created_at, "project.created", project.id, {"data": {"name": project.name, "title": project.name}}))
        if project.archived_at is not None:
            rows.append((project.archived_at, "project.archived", project.id, {}))
    rows += [
        (a.created_at, "service_account.created", a.id, {"data": {"role": a.role}}) for a in tables.service_accounts.values()
    ]
    rows += [(k.created_at, "api_key.created", k.id, {"data": {"scopes": k.scopes}}) for k in tables.keys.values()]
    rows += [(i.created_at, "invite.sent", i.id, {"data": {"email": i.email, "role": "member"}}) for i in tables.invites.values()]
    rows.sort(key=lambda row: (row[0], row[2]))
    # Ids of events follow from what they tell, so that the same world has the same log.
    for at, type, id, details in rows:
        event = Event(f"audit_log-{id[-12:]}_{type.replace('.', '')}_{at % 100_000}", type, at, actor, {"id": id} | details)
        tables.events.append(event)
        tables.born[event.id] = at
