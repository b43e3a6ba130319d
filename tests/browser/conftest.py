"""A browser for the session, and services for it to look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page

from govern.audit import queries as audit
from govern.batches import rules as batch_rules
from govern.batches import service as batches
from govern.batches.models import BatchKind
from govern.batches.plan import Limits as BatchLimits
from govern.bootstrap import key_defaults
from govern.core.clock import utcnow
from govern.core.uow import Actor, ActorKind
from govern.fakes.openai import WorldSpec
from govern.people import directory
from govern.policies import asking
from govern.policies import service as policies
from govern.policies.models import PolicyScope
from govern.policies.rules import Limits
from tests.browser.live import Live, live, with_money
from tests.given import ADMIN, EVE, MAX


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Live]:
    """A service of one's own, to change."""
    with live(tmp_path, WorldSpec(people=12, projects=3, months=0, seed=7)) as service:
        yield service


@dataclass(frozen=True)
class Furnished:
    """A service with something on every page, only to look at."""

    live: Live
    pages: dict[str, str]
    own_pages: dict[str, str]


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Furnished]:
    with live(tmp_path_factory.mktemp("furnished"), WorldSpec(people=60, projects=8, months=1, seed=7)) as service:
        yield furnish(service)


def furnish(service: Live) -> Furnished:
    """Bring something about for every page; name the pages with their addresses."""
    with_money(service)
    world = service.world
    seen, ended = world.requested_key(EVE, name="laptop"), world.requested_key(EVE, name="nightly report")
    service.settled(seen, ended)
    world.revoke(ended)
    invite = world.invite("nora@acme.example", "reader", (world.project().name, "member"))
    removal = world.remove(service.somebody().email or "", "left on Friday")
    service.settled(ended, invite, removal)
    with world.govern.unit_of_work(ADMIN) as uow:
        header, team = "email,team,cost_centre,manager,ends_on,shoe size", "Search and ranking " * 8
        file = f"{header}\n{EVE},{team},4711,{MAX},2099-01-01,38\nx,y,,,,\n"
        done = directory.carry_out(uow, directory.draft(uow, file).id)
        draft = directory.draft(uow, file.replace("4711", "4712"), complete=True)
    with world.govern.unit_of_work(ADMIN) as uow:
        people = batch_rules.read(BatchKind.INVITE, f"{EVE}\nnot an address@\n{EVE}\n" + "a" * 120 + "@acme.example")
        batch = batches.begin(
            uow, BatchKind.INVITE, people, reason="", limits=BatchLimits(0, timedelta(hours=1), timedelta(days=7))
        )
    evidence = world.reload(removal).evidence_id
    assert evidence is not None
    budget, each = service.budgets()[0], service.budgets()[-1]
    policy, asked = a_policy_and_an_asking(service)
    with service.world.govern.unit_of_work.reading() as session:
        event = audit.events(session, audit.Search(action="policy.set"))[0]
    pages = {
        "overview": "/", "people": "/people", "nobody-known": "/people?search=zzz", "person": f"/people/{EVE}",
        "imports": "/people/imports", "import": f"/people/imports/{done.id}", "import-draft": f"/people/imports/{draft.id}",
        "members": "/members", "nobody": "/members?search=zzz", "member": f"/members/{EVE}",
        "removal-preview": f"/members/{EVE}/revoke", "removals": "/offboardings", "removal": f"/offboardings/{removal.id}",
        "invites": "/invites", "invite": "/invites/new", "invite-cancel": f"/invites/{invite.id}/cancel", "projects": "/projects",
        "project": f"/projects/{seen.project_id}", "keys": "/keys", "key-new": "/keys/new", "key": f"/keys/{seen.id}",
        "key-revoke": f"/keys/{seen.id}/revoke", "key-revoked": f"/keys/{ended.id}", "key-rotate": f"/keys/{seen.id}/rotate",
        "usage": "/usage?by=project&range=30",
        "inventory": "/inventory", "inventory-keys": "/inventory/project-keys", "inventory-events": "/inventory/events",
        "usage-key": "/usage?by=key&clock=estimated", "usage-team": "/usage?by=team&step=week&range=90",
        "chargeback": f"/chargeback?month={utcnow():%Y-%m}", "estimates": "/estimates?range=90",
        "budgets": "/budgets", "budget": f"/budgets/{budget.id}", "budget-each": f"/budgets/{each.id}",
        "budget-edit": f"/budgets/{each.id}/edit",
        "budget-new": "/budgets/new", "budget-retire": f"/budgets/{budget.id}/retire", "alerts": "/alerts",
        "audit": "/audit-events?verify=yes", "audit-event": f"/audit-events/{event.id}",
        "audit-nothing": "/audit-events?search=zzz",
        "jobs": "/jobs", "tokens": "/tokens", "token-new": "/tokens/new", "me": "/me",
        "batches": "/batches", "batch": f"/batches/{batch.id}", "remove-many": "/batches/removals/new",
        "invite-many": "/batches/invites/new", "evidence-all": "/evidence", "evidence": f"/evidence/{evidence}",
        "approvals": "/approvals", "approval": f"/approvals/{asked}", "policies": "/policies",
        "policy-edit": "/policies/edit?about=organization", "policy-remove": f"/policies/{policy}/remove",
    }  # fmt: skip
    return Furnished(
        service,
        pages,
        {
            "me": "/me",
            "key-new": "/keys/new",
            "approval": f"/approvals/{asked}",
            "tokens": "/tokens",
            "device": "/device",
            "usage": f"/usage?person={MAX}",
        },
    )


def a_policy_and_an_asking(service: Live) -> tuple[str, str]:
    """A policy of the organization, and a key of Eve's beyond it that waits for an approval; their ids."""
    eve, place = service.world.person(EVE), service.world.project()
    limits = Limits(PolicyScope.ORGANIZATION, "", longest_days=10, scopes=("api.responses.write", "api.files.read"))
    with service.govern.unit_of_work(ADMIN) as uow:
        policy = policies.set_policy(uow, "", limits)
    with service.govern.unit_of_work(Actor(ActorKind.PERSON, eve.id, eve.name)) as uow:
        wish = asking.Wish(eve.id, place.id, "a long project", days=60)
        asked = asking.ask_for_key(uow, wish, key_defaults(service.govern.settings), administers=False, reason="for half a year")
    return policy.id, asked.id


def sign_in(page: Page, service: Live, name: str, to: str = "/") -> None:
    """By the identity provider, as people do."""
    page.goto(f"{service.url}{to}")
    page.get_by_role("link", name="Sign in with Acme sign-in").click()
    page.get_by_role("button", name=name).click()
    page.wait_for_url(f"{service.url}/**")
