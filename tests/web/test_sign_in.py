"""Signing in through real identity providers: the demo's own, and the certified one. Over HTTP, with a browser's cookies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import sqlalchemy as sa
import structlog

from govern.bootstrap import Govern, build
from govern.core import sealing
from govern.core.crypto import Secret
from govern.core.uow import Actor, ActorKind
from govern.fakes.oidc import Client, DemoProvider, Fault, Person
from govern.fakes.server import LoopbackServer, serve
from govern.identity import queries, service
from govern.identity.models import Session
from govern.settings import OIDC, Sealing, Settings, Web
from govern.web.app import create_app
from tests.conftest import SEALING_KEYS
from tests.peers.forms import forms, submit
from tests.peers.openid import Account, certified_provider

ADA, EVE = Person("ada@acme.example", "Ada Admin", ["govern-admins"]), Person("eve@acme.example", "Eve Employee", ["eng"])
SECRET = "not a real secret: %+&"
CLI = Actor(ActorKind.CLI, "test", "test")


class Late:
    """A WSGI application whose insides come later: its address must be known before it can be made."""

    app: Any = None

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.app(environ, start_response)


@dataclass
class Stage:
    """Our app on loopback, a browser, and what the log said."""

    govern: Govern
    url: str
    browser: httpx.Client
    log: list[dict[str, Any]]

    def open(self, path: str) -> httpx.Response:
        return self.browser.get(self.url + path)

    @property
    def cookie(self) -> str | None:
        return self.browser.cookies.get("govern")

    def roles(self) -> tuple[str, ...]:
        """The roles of whoever the browser is signed in as; none when nobody is."""
        from govern.core.clock import utcnow

        with self.govern.unit_of_work.reading() as session:
            found = queries.principal_of_session(session, self.govern.box, self.cookie or "", utcnow())
            return found[0].roles if found else ()

    def sessions(self) -> int:
        with self.govern.unit_of_work.reading() as session:
            return session.scalar(sa.select(sa.func.count()).select_from(Session).where(Session.ended_at.is_(None))) or 0


@contextmanager
def stage(database_url: str, late: Late, server: LoopbackServer, issuer: str, **more: Any) -> Iterator[Stage]:
    oidc = {
        "issuer": issuer, "client_id": "govern", "client_secret": Secret(SECRET), "allowed_domains": ["acme.example"],
        "admin_values": ["govern-admins"],
    } | more  # fmt: skip
    settings = Settings(
        mode="test", database={"url": database_url}, sealing=Sealing(keys=Secret(SEALING_KEYS)), web=Web(url=server.url),
        oidc=OIDC(**oidc),
    )  # fmt: skip
    govern = build(settings)
    with govern.unit_of_work(CLI) as uow:
        sealing.note_ring(uow)
    late.app = create_app(govern)
    with structlog.testing.capture_logs() as log, httpx.Client(follow_redirects=True, trust_env=False, timeout=20) as browser:
        yield Stage(govern, server.url, browser, log)
    govern.close()


@pytest.fixture
def provider() -> Iterator[DemoProvider]:
    provider = DemoProvider("http://127.0.0.1:1", people=[ADA, EVE])
    with serve(provider.app) as server:
        provider.issuer = server.url
        yield provider


@pytest.fixture
def here(database_url: str, provider: DemoProvider) -> Iterator[Stage]:
    late = Late()
    with serve(late) as server:
        provider.register(
            Client(
                "govern", SECRET, [f"{server.url}/auth/callback"], [f"{server.url}/auth/signed-out"],
                f"{server.url}/auth/backchannel-logout",
            )
        )  # fmt: skip
        with stage(database_url, late, server, provider.issuer) as made:
            yield made


def sign_in(here: Stage, person: Person, wanted: str = "/auth/signed-out") -> httpx.Response:
    return submit(here.browser, here.open(f"/auth/login?next={wanted}"), person.name)


def sign_out(here: Stage) -> httpx.Response:
    """Press the dashboard's button."""
    page = here.open("/")
    form = next(form for form in forms(page) if form.action.endswith("/auth/logout"))
    return here.browser.post(form.action, data=form.fields, headers={"Origin": here.url})


@pytest.mark.one_database
def test_signing_in_gives_the_role_of_the_group_and_an_opaque_cookie(here: Stage) -> None:
    page = here.open("/auth/sign-in?next=/keys")
    assert page.status_code == 200
    assert "/auth/login?next=/keys" in page.text
    sign_in(here, ADA)
    assert here.roles() == ("admin",)
    cookie = next(cookie for cookie in here.browser.cookies.jar if cookie.name == "govern")
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert (cookie.path, cookie.get_nonstandard_attr("SameSite")) == ("/", "Lax")
    assert cookie.value is not None
    assert cookie.value.startswith("govs_")
    assert here.browser.cookies.get("govern-sign-in") is None


@pytest.mark.one_database
def test_the_request_carries_pkce_state_and_nonce_and_the_browser_knows_none_of_them(here: Stage, provider: DemoProvider) -> None:
    answer = here.browser.get(f"{here.url}/auth/login", follow_redirects=False)
    sent = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}
    assert answer.headers["Location"].startswith(provider.issuer)
    assert sent["code_challenge_method"] == "S256"
    assert len(sent["code_challenge"]) == 43
    assert sent["response_type"] == "code"
    assert sent["redirect_uri"] == f"{here.url}/auth/callback"
    cookies = str(answer.headers.get_list("set-cookie"))
    for name in ("state", "nonce", "code_challenge"):
        assert sent[name] not in cookies


@pytest.mark.one_database
@pytest.mark.parametrize(
    "wanted", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "/\r\nX: y"]
)
def test_nobody_is_sent_elsewhere_after_signing_in(here: Stage, wanted: str) -> None:
    here.browser.follow_redirects = False
    answer = here.browser.get(f"{here.url}/auth/login", params={"next": wanted})
    while answer.is_redirect and not answer.headers["Location"].startswith(here.url):
        answer = here.browser.get(answer.headers["Location"])
    form = forms(answer)[0]
    button = next(button for button in form.buttons if EVE.name in button[2])
    answer = here.browser.post(
        form.action, data=form.fields | {button[0]: button[1]}, headers={"Origin": form.action.partition("/authorize")[0]}
    )
    answer = here.browser.get(answer.headers["Location"])
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/"


REFUSED = [fault for fault in Fault if fault not in (Fault.MISSING_GROUPS, Fault.TOKEN_ERROR, Fault.WRONG_DISCOVERY_ISSUER)]


@pytest.mark.one_database
@pytest.mark.parametrize("fault", REFUSED)
def test_a_provider_that_misbehaves_signs_nobody_in(here: Stage, provider: DemoProvider, fault: Fault) -> None:
    provider.misbehave(fault)
    answer = sign_in(here, EVE)
    assert answer.status_code == 403
    assert here.cookie is None
    assert here.sessions() == 0


@pytest.mark.one_database
def test_a_provider_that_is_another_one_is_not_even_asked(here: Stage, provider: DemoProvider) -> None:
    provider.misbehave(Fault.WRONG_DISCOVERY_ISSUER)
    answer = here.open("/auth/login")
    assert answer.status_code == 403
    assert "somebody-else" in answer.text
    assert provider.issuer in answer.text


@pytest.mark.one_database
def test_without_groups_somebody_is_an_employee_where_everybody_is(here: Stage, provider: DemoProvider) -> None:
    provider.misbehave(Fault.MISSING_GROUPS)
    sign_in(here, ADA)
    assert here.roles() == ("employee",)


@pytest.mark.one_database
def test_a_broken_token_endpoint_is_told_as_what_it_is(here: Stage, provider: DemoProvider) -> None:
    provider.misbehave(Fault.TOKEN_ERROR)
    answer = sign_in(here, EVE)
    assert answer.status_code in (403, 503)
    assert here.cookie is None


@pytest.mark.one_database
def test_an_address_outside_the_domains_is_refused_with_the_domains(here: Stage, provider: DemoProvider) -> None:
    mal = Person("mal@evil.example", "Mal")
    provider.set_person(mal)
    answer = sign_in(here, mal)
    assert answer.status_code == 403
    assert "acme.example" in answer.text
    assert "mal@evil.example" in answer.text
    assert here.sessions() == 0


@pytest.mark.one_database
def test_an_address_that_was_handed_on_opens_nothing(here: Stage, provider: DemoProvider) -> None:
    sign_in(here, EVE)
    here.browser.cookies.clear()
    provider.remove_person(EVE.email)
    successor = Person(EVE.email, "Eve Successor", ["govern-admins"], sub="somebody-new")
    provider.set_person(successor)
    answer = sign_in(here, successor)
    assert answer.status_code == 403
    assert here.roles() == ()


@pytest.mark.one_database
def test_the_answer_of_another_browsers_sign_in_is_refused(here: Stage, provider: DemoProvider) -> None:
    """Login CSRF: the attacker begins, and makes the victim's browser end it."""
    with httpx.Client(trust_env=False) as attacker:
        page = attacker.get(f"{here.url}/auth/login", follow_redirects=True)
        form = forms(page)[0]
        button = next(button for button in form.buttons if EVE.name in button[2])
        origin = f"{page.url.scheme}://{page.url.netloc.decode()}"
        answer = attacker.post(form.action, data=form.fields | {button[0]: button[1]}, headers={"Origin": origin})
    callback = answer.headers["Location"]
    assert "/auth/callback" in callback
    refused = here.browser.get(callback)
    assert refused.status_code == 403
    assert "another browser" in refused.text
    assert here.cookie is None


def test_an_answer_works_once(here: Stage) -> None:
    here.browser.event_hooks = {"response": [lambda response: seen.append(str(response.url))]}
    seen: list[str] = []
    sign_in(here, EVE)
    callback = next(url for url in seen if "/auth/callback" in url)
    again = here.browser.get(callback)
    assert again.status_code == 403
    assert "used already" in again.text
    assert here.sessions() == 1


@pytest.mark.one_database
def test_the_session_has_a_new_id_after_each_sign_in(here: Stage) -> None:
    sign_in(here, EVE)
    first = here.cookie
    sign_in_again = here.open("/auth/login?next=/auth/signed-out")
    if not str(sign_in_again.url).startswith(here.url):  # a provider that remembers does not ask
        submit(here.browser, sign_in_again, EVE.name)
    assert here.cookie != first
    assert here.sessions() == 1


@pytest.mark.one_database
def test_signing_out_here_signs_out_there(here: Stage, provider: DemoProvider) -> None:
    sign_in(here, ADA)
    cookie = str(here.cookie)
    answer = sign_out(here)
    while forms(answer) and not str(answer.url).startswith(here.url):
        answer = submit(here.browser, answer)
    assert str(answer.url).startswith(f"{here.url}/auth/signed-out")
    assert here.sessions() == 0
    here.browser.cookies.set("govern", cookie)
    assert here.roles() == ()
    assert "/authorize" in str(here.open("/auth/login").url), "the provider asks who it is again"


@pytest.mark.one_database
def test_signing_out_at_the_provider_ends_the_session_here(here: Stage, provider: DemoProvider) -> None:
    sign_in(here, EVE)
    assert here.roles() == ("employee",)
    provider.sign_out(EVE.email)
    assert here.roles() == ()
    assert provider.deliveries[-1].status == 200


@pytest.mark.one_database
def test_a_made_up_logout_token_is_refused(here: Stage) -> None:
    sign_in(here, EVE)
    answer = here.browser.post(f"{here.url}/auth/backchannel-logout", data={"logout_token": "a.b.c"})
    assert answer.status_code == 400
    assert answer.headers["Cache-Control"] == "no-store"
    assert here.roles() == ("employee",)


@pytest.mark.one_database
def test_nothing_secret_is_in_the_log(here: Stage, provider: DemoProvider) -> None:
    sent: list[str] = []
    here.browser.event_hooks = {"request": [lambda request: sent.append(str(request.url))]}
    sign_in(here, ADA)
    callback = parse_qs(urlsplit(next(url for url in sent if "/auth/callback" in url)).query)
    with here.govern.unit_of_work(CLI) as uow:
        link = service.create_setup_link(uow, "ada@acme.example").reveal()
    here.open(f"/auth/setup/{link}")
    told = str(here.log)
    assert "/auth/callback" in told
    for secret in (callback["code"][0], callback["state"][0], str(here.cookie), link, SECRET):
        assert secret not in told


def test_the_sealed_database_holds_no_id_token(here: Stage) -> None:
    sign_in(here, ADA)
    with here.govern.unit_of_work.reading() as session:
        row = session.execute(sa.text("SELECT id, id_token_sealed FROM sessions")).one()
        assert row.id_token_sealed.startswith("v1.")
        assert "eyJ" not in row.id_token_sealed
        opened = queries.id_token_of(session, here.govern.box, row.id)
    assert opened is not None
    assert opened.reveal().startswith("eyJ")


@pytest.mark.one_database
def test_an_unreachable_provider_is_a_sentence_and_no_crash(database_url: str) -> None:
    late = Late()
    with serve(late) as server, stage(database_url, late, server, "http://127.0.0.1:9") as here:
        answer = here.open("/auth/login")
        assert answer.status_code == 503
        assert "did not answer" in answer.text
        assert here.open("/healthz").status_code == 200


@pytest.mark.one_database
def test_without_a_provider_the_page_says_what_to_do(database_url: str) -> None:
    late = Late()
    with serve(late) as server, stage(database_url, late, server, None) as here:  # type: ignore[arg-type]
        page = here.open("/auth/sign-in")
        assert page.status_code == 200
        assert "govern init" in page.text


@pytest.mark.one_database
def test_localhost_and_its_number_meet(here: Stage) -> None:
    """Begun at localhost, the sign-in moves to the configured address first: the two have separate cookies."""
    other = here.url.replace("127.0.0.1", "localhost")
    answer = here.browser.get(f"{other}/auth/login?next=/keys", follow_redirects=False)
    assert answer.headers["Location"] == f"{here.url}/auth/login?next=/keys"


@pytest.mark.one_database
def test_the_certified_provider_signs_in_and_out(database_url: str) -> None:
    late, people = (
        Late(),
        [Account("ada@acme.example", "Ada Admin", ["govern-admins"]), Account("eve@acme.example", "Eve Employee")],
    )
    with (
        serve(late) as server,
        certified_provider(server.url, people, logged_out="/auth/signed-out") as provider,
        stage(
            database_url,
            late,
            server,
            provider.issuer,
            client_id=provider.client_id,
            client_secret=Secret(provider.client_secret),
        ) as here,
    ):
        page = here.open("/auth/login?next=/auth/signed-out")
        while not str(page.url).startswith(here.url):
            fields = forms(page)[0].fields
            values = {"login": "ada@acme.example", "password": "x"} if "login" in fields else {}
            page = submit(here.browser, page, **values)
        assert here.roles() == ("admin",)

        answer = sign_out(here)
        while not str(answer.url).startswith(here.url):
            answer = submit(here.browser, answer, "es" if "Yes" in answer.text else "")
        assert str(answer.url).startswith(f"{here.url}/auth/signed-out")
        assert here.roles() == ()
        assert here.sessions() == 0


@pytest.mark.one_database
def test_signing_in_anew_asks_also_whom_the_provider_knows(here: Stage) -> None:
    sign_in(here, ADA)
    assert str(here.open("/auth/login").url).startswith(here.url), "the provider knows her and asks nothing"
    asked = here.open("/auth/login?fresh=yes")
    assert not str(asked.url).startswith(here.url), "the provider's page waits for her"
    assert str(submit(here.browser, asked, ADA.name).url).startswith(here.url)
    assert here.sessions() == 1
