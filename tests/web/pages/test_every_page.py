"""Each page for each role: it renders, or refuses; nothing inline; headings in order; hostile names stay text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from werkzeug.test import TestResponse

from govern.approvals import service as approvals
from govern.audit import queries as audit
from govern.batches import rules as batch_rules
from govern.batches import service as batches
from govern.batches.models import BatchKind
from govern.batches.plan import limits as batch_limits
from govern.budgets import service as budgets
from govern.budgets.models import Alert
from govern.core.uow import Actor, ActorKind
from govern.findings import queries as findings
from govern.identity import queries as identity
from govern.inventory.listings import LISTINGS
from govern.keys import queries as key_queries
from govern.people import directory
from govern.policies import service as policies
from govern.policies.models import PolicyScope
from govern.policies.rules import Limits
from govern.worker.runner import run_job
from tests.given import EVE, MAL, OLA
from tests.web.conftest import CLI, Door
from tests.web.pages.conftest import Reader

SEEN, REFUSED, HIDDEN, MOVED = 200, 403, 404, 303

# Address, then what admin, manager, auditor and employee get. The things belong to Eve, who reports to the manager.
TABLE = {
    "/": (SEEN, SEEN, SEEN, MOVED),
    "/people": (SEEN, SEEN, SEEN, SEEN),
    "/people?search=e&team=Search&state=active&directory=named&ending=yes": (SEEN, SEEN, SEEN, SEEN),
    "/people/{eve}": (SEEN, SEEN, SEEN, SEEN),
    "/people/{other}": (SEEN, HIDDEN, SEEN, HIDDEN),
    "/people/imports": (SEEN, REFUSED, REFUSED, REFUSED),
    "/people/imports/{import}": (SEEN, REFUSED, REFUSED, REFUSED),
    "/members": (SEEN, SEEN, SEEN, SEEN),
    "/members/{eve}": (SEEN, SEEN, SEEN, SEEN),
    "/members/{other}": (SEEN, HIDDEN, SEEN, HIDDEN),
    "/members/{eve}/revoke": (SEEN, REFUSED, REFUSED, REFUSED),
    "/members/{eve}/suspend": (SEEN, REFUSED, REFUSED, REFUSED),
    "/invites": (SEEN, REFUSED, SEEN, REFUSED),
    "/invites/new": (SEEN, REFUSED, REFUSED, REFUSED),
    "/invites/{invite}/cancel": (SEEN, REFUSED, REFUSED, REFUSED),
    "/offboardings": (SEEN, REFUSED, SEEN, REFUSED),
    "/offboardings/{removal}": (SEEN, REFUSED, SEEN, REFUSED),
    "/batches": (SEEN, REFUSED, SEEN, REFUSED),
    "/batches/removals/new": (SEEN, REFUSED, REFUSED, REFUSED),
    "/batches/invites/new": (SEEN, REFUSED, REFUSED, REFUSED),
    "/batches/{batch}": (SEEN, REFUSED, SEEN, REFUSED),
    "/batches/{removal}/outcome.csv": (HIDDEN, REFUSED, HIDDEN, REFUSED),
    "/evidence": (SEEN, REFUSED, SEEN, REFUSED),
    "/evidence/{removal}": (HIDDEN, REFUSED, HIDDEN, REFUSED),
    "/evidence/{removal}/file.json": (HIDDEN, REFUSED, HIDDEN, REFUSED),
    "/evidence/{removal}/file.pdf": (HIDDEN, REFUSED, HIDDEN, REFUSED),
    "/evidence/key.pem": (HIDDEN, REFUSED, HIDDEN, REFUSED),
    "/projects": (SEEN, SEEN, SEEN, SEEN),
    "/projects/{project}": (SEEN, SEEN, SEEN, SEEN),
    "/keys": (SEEN, SEEN, SEEN, SEEN),
    "/keys/new": (SEEN, SEEN, REFUSED, SEEN),
    "/keys/{key}": (SEEN, SEEN, SEEN, SEEN),
    "/keys/{key}/revoke": (SEEN, SEEN, REFUSED, SEEN),
    "/keys/{key}/rotate": (SEEN, SEEN, REFUSED, SEEN),
    "/keys/{key}/freeze": (SEEN, SEEN, REFUSED, SEEN),
    "/keys/{key}/thaw": (SEEN, SEEN, REFUSED, SEEN),
    "/leak-reports": (SEEN, SEEN, REFUSED, SEEN),
    "/leak-reports/{key}": (HIDDEN, HIDDEN, REFUSED, HIDDEN),
    "/observed-keys": (SEEN, REFUSED, SEEN, REFUSED),
    "/observed-keys/{observed}": (SEEN, REFUSED, SEEN, REFUSED),
    "/observed-keys/{observed}/freeze": (SEEN, REFUSED, REFUSED, REFUSED),
    "/observed-keys/{observed}/thaw": (SEEN, REFUSED, REFUSED, REFUSED),
    "/findings": (SEEN, REFUSED, SEEN, REFUSED),
    "/findings?type=orphan&state=open": (SEEN, REFUSED, SEEN, REFUSED),
    "/findings/{finding}": (SEEN, REFUSED, SEEN, REFUSED),
    "/inventory": (SEEN, REFUSED, SEEN, REFUSED),
    "/inventory/events": (SEEN, REFUSED, SEEN, REFUSED),
    "/inventory/events?verdict=ours&search=key&type=api_key.": (SEEN, REFUSED, SEEN, REFUSED),
    "/inventory/nothing": (HIDDEN, REFUSED, HIDDEN, REFUSED),
    "/inventory/project-keys?project={project}&owner={eve}&show=all&search=e": (SEEN, REFUSED, SEEN, REFUSED),
    "/inventory/{kind}/{observed}": (SEEN, REFUSED, SEEN, REFUSED),
    "/inventory/{kind}": (SEEN, REFUSED, SEEN, REFUSED),
    **{f"/inventory/{kind}": (SEEN, REFUSED, SEEN, REFUSED) for kind in LISTINGS},
    "/usage": (SEEN, SEEN, SEEN, SEEN),
    "/usage?by=project&clock=billed&range=90": (SEEN, SEEN, SEEN, SEEN),
    "/usage?by=line_item&team=none&step=week&movers=yes": (SEEN, SEEN, SEEN, SEEN),
    "/usage?by=team&step=hour&from=2026-03-09&to=2026-03-10&after=%5B%220%22%2C%22x%22%5D": (SEEN, SEEN, SEEN, SEEN),
    "/usage?by=reason&reason=unknown_key&whose=project": (SEEN, SEEN, SEEN, SEEN),
    "/usage?by=reason&reason=none&line_item=x": (SEEN, SEEN, SEEN, SEEN),
    "/usage?by=month&whose=unattributed&endpoint=completions&range=90": (SEEN, SEEN, SEEN, SEEN),
    "/chargeback": (SEEN, REFUSED, SEEN, REFUSED),
    "/chargeback?month=2026-03": (SEEN, REFUSED, SEEN, REFUSED),
    "/estimates": (SEEN, REFUSED, SEEN, REFUSED),
    "/budgets": (SEEN, SEEN, SEEN, SEEN),
    "/budgets/new": (SEEN, REFUSED, REFUSED, REFUSED),
    "/budgets/{budget}": (SEEN, SEEN, SEEN, SEEN),
    "/budgets/{whole}": (SEEN, HIDDEN, SEEN, HIDDEN),
    "/budgets/{budget}/edit": (SEEN, REFUSED, REFUSED, REFUSED),
    "/budgets/{budget}/retire": (SEEN, REFUSED, REFUSED, REFUSED),
    "/alerts": (SEEN, SEEN, SEEN, SEEN),
    "/alerts/{alert}": (SEEN, SEEN, SEEN, SEEN),
    "/audit-events": (SEEN, REFUSED, SEEN, REFUSED),
    "/audit-events?verify=yes": (SEEN, REFUSED, SEEN, REFUSED),
    "/audit-events?search=eve&outcome=asked&from=2026-01-01&to=nonsense": (SEEN, REFUSED, SEEN, REFUSED),
    "/audit-events/{event}": (SEEN, REFUSED, SEEN, REFUSED),
    "/jobs": (SEEN, REFUSED, SEEN, REFUSED),
    "/tokens": (SEEN, SEEN, SEEN, SEEN),
    "/tokens/new": (SEEN, SEEN, SEEN, SEEN),
    "/tokens/{token}/revoke": (SEEN, HIDDEN, HIDDEN, SEEN),
    "/approvals": (SEEN, SEEN, SEEN, SEEN),
    "/approvals?state=pending": (SEEN, SEEN, SEEN, SEEN),
    "/approvals/{approval}": (SEEN, SEEN, SEEN, SEEN),
    "/policies": (SEEN, REFUSED, SEEN, REFUSED),
    "/policies/edit": (SEEN, REFUSED, REFUSED, REFUSED),
    "/policies/edit?about=organization": (SEEN, REFUSED, REFUSED, REFUSED),
    "/policies/{policy}/remove": (SEEN, REFUSED, REFUSED, REFUSED),
    "/keys/new?project={project}": (SEEN, SEEN, REFUSED, SEEN),
    "/me": (SEEN, SEEN, SEEN, SEEN),
}
NO_PAGES = dict.fromkeys(
    ("audit_events_page.download", "people_page.download", "usage_page.download", "chargeback_page.download"), "a file"
)
ROLES = ("admin", "manager", "auditor", "employee")


@dataclass
class Things:
    """Ids to put into addresses."""

    names: dict[str, str]

    def address(self, pattern: str) -> str:
        return pattern.format(**self.names)


def add_things(door: Door) -> Things:
    """One of everything, mostly Eve's."""
    world = door.world
    eve = world.person(EVE)
    key = world.key(EVE)
    invite = world.invite("new@acme.example")
    run_job(door.govern, "directory.sync")
    removal = world.remove(MAL)
    with world.govern.unit_of_work(CLI) as uow:
        limits = Limits(PolicyScope.ORGANIZATION, "", longest_days=30, scopes=("api.responses.write",), approvers=("manager",))
        policy = policies.set_policy(uow, "", limits)
        budget = budgets.create_budget(uow, name="Eve", scope="person", scope_id=eve.id, amount_usd=Decimal(10))
        uow.session.flush()
        ten = Decimal(10)
        alert = Alert(
            id=uow.new_id("alr"), budget_id=budget.id, window="2026-03", threshold=80, generation=1, label="Eve", limit_usd=ten,
            spent_usd=ten, billed_usd=ten, estimated_usd=Decimal(0), late=False, superseded=False, raised_at=uow.now,
        )  # fmt: skip
        uow.session.add(alert)
        file = f"email,team,manager\n{EVE},Search,{OLA}\nnobody,x,\n"
        draft = directory.draft(uow, file, complete=True)
        whole = budgets.create_budget(uow, name="All", scope="organization", amount_usd=Decimal(100))
    with world.govern.unit_of_work(Actor(ActorKind.PERSON, eve.id, eve.name)) as uow:
        asked = {"summary": "A key", "facts": {"days": 90}, "reason": "for work", "lifetime": timedelta(days=7)}
        approval = approvals.ask(uow, "key.issue", ("people", eve.id), for_person_id=eve.id, **asked)
    door.token("employee")
    with world.govern.unit_of_work.reading() as session:
        token = identity.find_tokens(session, person_ids=[eve.id])[0]
        observed = key_queries.observed_keys(session)[0]
    for job in ("inventory.sync", "events.pull", "findings.evaluate"):
        run_job(world.govern, job)
    with world.govern.unit_of_work(CLI) as uow:
        lines, limits = (
            batch_rules.read(BatchKind.INVITE, "one@acme.example"),
            batch_limits(world.govern.settings, BatchKind.INVITE),
        )
        batch = batches.begin(uow, BatchKind.INVITE, lines, reason="", limits=limits)
    with world.govern.unit_of_work.reading() as session:
        finding = findings.find(session, type_="unmanaged_key")[0]
        event = audit.events(session, audit.Search(action="policy.set"))[0]
    return Things(
        {
            "kind": "project-keys", "finding": finding.id, "approval": approval.id, "import": draft.id,
            "policy": policy.id, "event": event.id,
            "eve": EVE, "other": OLA, "invite": invite.id, "removal": removal.id, "project": key.project_id, "key": key.id,
            "budget": budget.id, "alert": alert.id, "whole": whole.id, "token": token.id,
            "observed": observed.id, "batch": batch.id,
        }
    )  # fmt: skip


class Outline(HTMLParser):
    """What must hold for every page: one main heading, no inline code, labels for fields, ids once."""

    def __init__(self) -> None:
        super().__init__()
        self.headings: list[int] = []
        self.faults: list[str] = []
        self.ids: set[str] = set()
        self.named: set[str] = set()
        self.fields: list[dict[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.faults += [f"{tag} {name}" for name in given if name == "style" or name.startswith(("on", "hx-on", "javascript:"))]
        if tag == "style" or (tag == "script" and "src" not in given):
            self.faults.append(f"inline {tag}")
        self.faults += [value for name, value in given.items() if name in ("src", "href") and re.match(r"(https?:)?//", value)]
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if (own := given.get("id")) is not None:
            self.faults += [f"id {own} twice"] if own in self.ids else []
            self.ids.add(own)
        if tag == "label":
            self.named.add(given.get("for", ""))
        if tag in ("input", "select", "textarea") and given.get("type") not in ("hidden", "radio", "checkbox"):
            self.fields.append(given)


def check_outline(page: TestResponse) -> None:
    outline = Outline()
    outline.feed(page.text)
    assert not outline.faults
    assert outline.headings.count(1) == 1
    if 'class="money"' in page.text:
        assert "Billed through" in page.text or "No bill read yet" in page.text, "a figure does not say how fresh it is"
    for field in outline.fields:
        assert field.get("id") in outline.named or "aria-label" in field, field


def test_each_page_for_each_role(door: Door, readers: dict[str, Reader]) -> None:
    things = add_things(door)
    for pattern, expected in TABLE.items():
        for role, status in zip(ROLES, expected, strict=True):
            page = readers[role].get(things.address(pattern))
            assert page.status_code == status, f"{role} {pattern}: {page.status_code}"
            if status == SEEN:
                check_outline(page)
                assert page.headers["Cache-Control"] == "no-store"
                assert "default-src 'none'" in page.headers["Content-Security-Policy"]


@pytest.mark.one_database
def test_the_table_holds_every_page(door: Door) -> None:
    """A new page must be put into the table above."""
    addresses = {re.sub(r"\{[^}]*\}", "<>", pattern.partition("?")[0]) for pattern in TABLE}
    for rule in door.app.url_map.iter_rules():
        if rule.endpoint in NO_PAGES:
            continue
        if rule.endpoint.partition(".")[0].endswith("_page") and "GET" in (rule.methods or ()) and "devices" not in rule.endpoint:
            assert re.sub(r"<[^>]*>", "<>", rule.rule) in addresses, f"{rule.rule} is in no test"


@pytest.mark.one_database
def test_nobody_sees_a_page_without_signing_in(door: Door) -> None:
    stranger = door.browser()
    for pattern in TABLE:
        page = stranger.get(re.sub(r"\{[^}]*\}", "x", pattern))
        assert page.status_code == 303
        assert page.location.startswith("/auth/sign-in")


def test_the_menu_shows_what_one_may_open(readers: dict[str, Reader]) -> None:
    def menu(role: str, page: str) -> list[str]:
        return re.findall(r'<a class="side-link"[^>]*>.*?<span>([^<]*)</span>', readers[role].get(page).text)

    assert menu("employee", "/me") == ["My page", "Approvals", "API tokens"]
    assert menu("manager", "/") == [
        "Overview",
        "People",
        "Members",
        "Keys",
        "Projects",
        "Usage",
        "Budgets",
        "Alerts",
        "My page",
        "Approvals",
        "API tokens",
    ]
    assert "Audit" in menu("auditor", "/")
    for role in ROLES:
        for address in re.findall(r'<a class="side-link" href="([^"]*)"', readers[role].get("/me").text):
            assert readers[role].get(address).status_code == 200, f"{role} {address}"


POLYGLOTS = (
    '"><script>alert(1)</script>',
    "'-alert(1)-'{{7*7}}${7*7}",
    "<img src=x onerror=alert(1)>",
    "\u202egnp.exe" + "x" * 100,
)


def test_hostile_names_stay_text(door: Door, admin: Reader) -> None:
    tables = door.world.openai.org.tables  # names that OpenAI hands out
    for name in POLYGLOTS:
        for project in tables.projects.values():
            project.name = name
        for user in tables.users.values():
            user.name = name
        door.world.synced()
        printable = "".join(each for each in name if each.isprintable())[:110]
        key = door.world.requested_key(EVE, name=printable)
        with door.govern.unit_of_work(CLI) as uow:
            budget = budgets.create_budget(uow, name=printable, scope="organization", amount_usd=Decimal(10))
        for address in (
            "/", "/members", f"/members/{EVE}", f"/members/{EVE}/revoke", f"/members/{EVE}/suspend",
            "/projects", f"/projects/{key.project_id}", "/keys",
            f"/keys/{key.id}", f"/keys/{key.id}/revoke", "/keys/new", "/invites/new", "/budgets", f"/budgets/{budget.id}",
            "/audit-events", "/usage?by=model&model=%3Cscript%3Ealert(1)%3C/script%3E", "/members?search=%22%3E%3Cscript%3E",
        ):  # fmt: skip
            page = admin.get(address)
            assert page.status_code == 200, address
            check_outline(page)
            assert "<img src=x" not in page.text
            assert ">49<" not in page.text
