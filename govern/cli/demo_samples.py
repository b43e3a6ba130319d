"""What makes the demo worth looking at: budgets, one of them over its threshold, and a token for the curl lines."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import ROUND_UP, Decimal
from typing import Final

import httpx
import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.bootstrap import Govern
from govern.budgets import service as budgets
from govern.budgets.models import Budget, Scope
from govern.cli.demo_peers import CAST
from govern.cli.host import host_actor
from govern.core.clock import utcnow
from govern.identity import queries as identity
from govern.identity import tokens
from govern.identity.permissions import Role
from govern.members import queries as members
from govern.people import directory
from govern.people.models import Person, PersonState
from govern.projects import queries as projects
from govern.projects.models import Project
from govern.usage import queries as usage
from govern.usage.names import By
from govern.usage.questions import Figure

TOKEN_NAME = "demo"  # noqa: S105 - its name


def admin_token(govern: Govern, earlier: str | None) -> str:
    """An API token that may do everything: the one of the last start while it is good, else a new one."""
    if earlier:
        with govern.unit_of_work.reading() as session:
            if identity.principal_of_token(session, govern.box, earlier, utcnow()) is not None:
                return earlier
    with govern.unit_of_work(host_actor()) as uow:
        _, value = tokens.create_system_token(uow, name=TOKEN_NAME, role=Role.ADMIN, lifetime=timedelta(days=365))
    return value.reveal()


def has_budgets(govern: Govern) -> bool:
    """Whether the samples were made before."""
    with govern.unit_of_work.reading() as session:
        return session.scalar(sa.select(Budget.id).limit(1)) is not None


TEAMS: Final = (
    ("Platform", "CC-100"), ("Search", "CC-100"), ("Support", "CC-210"), ("Sales", "CC-210"), ("Research", "CC-340"),
)  # fmt: skip
_KNOWN_SINCE: Final = timedelta(days=400)


def give_places(govern: Govern) -> None:
    """Put everybody into a team by importing a directory, as an administrator would; a few changed teams lately."""
    today = utcnow().date()
    with govern.unit_of_work.reading() as session:
        seated = members.find_members(session, limit=100_000)
        emails = sorted(member.email for member in seated if member.email and member.vanished_at is None)
    named = dict(zip((person.email for person, _ in CAST), ("Platform", "Search", "Platform", "Search"), strict=True))
    manager = CAST[1][0].email
    rows = []
    for at, email in enumerate(emails):
        team = named.get(email, TEAMS[at % len(TEAMS)][0])
        rows.append((email, team, manager if team == named[manager] and email != manager else ""))
    centres = dict(TEAMS)
    for effective_on, part in ((today - _KNOWN_SINCE, rows), (today - timedelta(days=12), rows[4::9])):
        moved = part is not rows
        lines = ["email,team,cost_centre,manager"]
        for at, (email, team, above) in enumerate(part):
            if moved and email in named:
                continue
            place = TEAMS[(at + 1) % len(TEAMS)][0] if moved else team
            lines.append(f"{email},{place},{centres[place]},{'' if moved else above}")
        if len(lines) == 1:  # an organization so small that nobody moved
            continue
        with govern.unit_of_work(host_actor()) as uow:
            row = directory.draft(uow, "\n".join(lines), file_name="directory.csv", complete=False, effective_on=effective_on)
            directory.carry_out(uow, row.id)


def make_budgets(govern: Govern) -> str:
    """Three budgets that fit what was spent; the name of the project whose budget is nearly used up."""
    with govern.unit_of_work.reading() as session:
        project, spent = _busiest(session)
        whole = sum((figure.amount for figure in _this_month(session).values()), Decimal(0))
    with govern.unit_of_work(host_actor()) as uow:
        budgets.create_budget(
            uow, name="The whole organization", scope=Scope.ORGANIZATION, amount_usd=_round(whole * 3),
            thresholds=[50, 80, 100],
        )  # fmt: skip
        budgets.create_budget(
            uow, name=project.name, scope=Scope.PROJECT, scope_id=project.id, amount_usd=_round(spent / Decimal("0.86")),
            thresholds=[50, 80, 100],
        )  # fmt: skip
        eve = members.find_member(uow.session, CAST[3][0].email)
        if eve is not None and eve.person_id is not None:
            budgets.create_budget(
                uow, name="Eve's experiments", scope=Scope.PERSON, scope_id=eve.person_id, amount_usd=Decimal(50),
                thresholds=[80, 100],
            )  # fmt: skip
    return project.name


def needs_spend(govern: Govern) -> bool:
    """Whether this month has too little spend to show an alert, as on the first day of a month."""
    with govern.unit_of_work.reading() as session:
        return _busiest(session)[1] < 10


def add_spend(govern: Govern, openai_url: str) -> None:
    """Have the fake organization spend something today."""
    with govern.unit_of_work.reading() as session:
        project, _ = _busiest(session)
    body = {"usd": "86.40", "project": project.remote_id}
    httpx.post(f"{openai_url}/_control/spend", json=body, timeout=10, trust_env=False).raise_for_status()


def _busiest(session: Session) -> tuple[Project, Decimal]:
    spent = _this_month(session)
    open_ones = projects.open_projects(session)
    amounts = [(spent[project.remote_id].amount if project.remote_id in spent else Decimal(0), project) for project in open_ones]
    amount, project = max(amounts, key=lambda pair: pair[0])
    return project, amount


def _this_month(session: Session) -> dict[str, Figure]:
    today = utcnow().date()
    return usage.spent(session, date(today.year, today.month, 1), today + timedelta(days=1), By.PROJECT)


def _round(amount: Decimal) -> Decimal:
    return max(Decimal(10), amount.quantize(Decimal(1), rounding=ROUND_UP))


def somebody(govern: Govern) -> tuple[str, str, str] | None:
    """Address of a member to try the curl lines on, and a project (id and name) for a key of theirs."""
    with govern.unit_of_work.reading() as session:
        project = next(iter(projects.open_projects(session)), None)
        spared = {person.email for person, _ in CAST[:3]}
        listed = [members.find_member(session, CAST[3][0].email), *members.find_members(session, role="reader", limit=500)]
        for member in listed:
            if member is None or member.vanished_at is not None or member.email is None or member.email in spared:
                continue
            person = session.get(Person, member.person_id) if member.person_id else None
            if project is not None and person is not None and person.state is PersonState.ACTIVE:
                return member.email, project.remote_id, project.name
    return None
