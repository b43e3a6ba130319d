"""What every answer carries, what no answer carries, and what the door refuses whoever asks."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
import structlog
from flask.testing import FlaskClient

from govern.bootstrap import Govern, build
from govern.core.uow import Actor, ActorKind
from govern.identity import service
from govern.settings import Settings, Web
from govern.web import access, cookies
from govern.web.app import create_app
from tests.given import EVE
from tests.web.conftest import Door

CLI = Actor(ActorKind.CLI, "test", "test")

pytestmark = pytest.mark.one_database


def form_of(browser: FlaskClient, path: str = "/me") -> dict[str, str]:
    found = re.search(r'name="csrf_token" value="([^"]+)"', browser.get(path).text)
    assert found is not None
    return {"csrf_token": found[1]}


def test_every_answer_carries_the_security_headers(door: Door) -> None:
    for path in ("/auth/sign-in", "/api/docs", "/api/openapi.json", "/api/v1/keys", "/healthz", "/nowhere", "/me"):
        headers = door.app.test_client().get(path).headers
        policy = dict(rule.strip().partition(" ")[::2] for rule in headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Request-Id"].startswith("req_")
        assert "Server" not in headers


def test_static_files_may_be_kept_by_their_content(door: Door) -> None:
    page = door.app.test_client().get("/auth/sign-in").text
    sheet = re.search(r'href="(/static/[^"]+\.css\?v=[0-9a-f]{12})"', page)
    assert sheet is not None
    with door.app.test_client().get(sheet[1]) as answer:
        assert answer.status_code == 200
        assert "max-age=31536000" in answer.headers["Cache-Control"]
    with door.app.test_client().get(sheet[1].partition("?")[0]) as answer:
        assert answer.headers["Cache-Control"] == "no-cache"


def test_the_documentation_loads_nothing_from_elsewhere(door: Door) -> None:
    page = door.app.test_client().get("/api/docs").text
    loaded = re.findall(r'(?:src|href)="([^"#]+)"', page)
    assert loaded
    assert [address for address in loaded if not address.startswith("/")] == []
    assert "<script" not in page
    assert "POST</span> <code>/api/v1/members/{member}/revoke" in page


def with_https(govern: Govern) -> Govern:
    settings = govern.settings.model_copy(update={"web": Web(url="https://govern.example", wait_seconds=0)})
    return replace(govern, settings=settings)


def test_with_https_cookies_are_bound_to_the_host_and_browsers_remember_it(door: Door) -> None:
    govern = with_https(door.govern)
    app = create_app(govern)
    with govern.unit_of_work(CLI) as uow:
        link = service.create_setup_link(uow, "ada@acme.example").reveal()
    browser = app.test_client()
    page = browser.get(f"/auth/setup/{link}", base_url="https://govern.example")
    assert page.headers["Strict-Transport-Security"].startswith("max-age=31536000")
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert token is not None
    answer = browser.post(f"/auth/setup/{link}", base_url="https://govern.example", data={"csrf_token": token[1]})
    cookie = next(line for line in answer.headers.getlist("Set-Cookie") if line.startswith("__Host-govern="))
    assert "Secure" in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie
    assert cookies.session_name(govern.settings) == "__Host-govern"


def test_a_form_without_its_token_does_nothing(door: Door) -> None:
    browser = door.browser("admin")
    assert browser.post("/auth/logout").status_code == 403
    assert browser.post("/auth/logout", data={"csrf_token": "made up"}).status_code == 403
    assert browser.get("/me").status_code == 200
    assert browser.post("/auth/logout", data=form_of(browser)).status_code == 303
    assert browser.get("/me").status_code == 303


def test_the_token_of_one_session_is_worth_nothing_in_another(door: Door) -> None:
    attacker, victim = door.browser("employee"), door.browser("admin")
    form_of(victim)
    assert victim.post("/auth/logout", data=form_of(attacker)).status_code == 403


FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "http://localhost:8001"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]
OWN = [{"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {}]


def test_what_comes_from_another_site_is_refused_even_with_the_token(door: Door) -> None:
    browser = door.browser("admin")
    for headers in FOREIGN:
        assert browser.post("/auth/logout", data=form_of(browser), headers=headers).status_code == 403, headers
    assert browser.get("/me").status_code == 200


def test_what_comes_from_our_own_page_is_done(door: Door) -> None:
    for headers in OWN:
        browser = door.browser("admin")
        assert browser.post("/auth/logout", data=form_of(browser), headers=headers).status_code == 303, headers


def test_a_setup_link_signs_in_by_its_button_and_not_by_being_looked_at(door: Door) -> None:
    with door.govern.unit_of_work(CLI) as uow:
        link = service.create_setup_link(uow, "root@acme.example", "Root").reveal()
    scanner, person = door.app.test_client(), door.app.test_client()
    assert scanner.get(f"/auth/setup/{link}").status_code == 200
    assert scanner.head(f"/auth/setup/{link}").status_code == 200
    answer = person.post(f"/auth/setup/{link}", data=form_of(person, f"/auth/setup/{link}"))
    assert answer.status_code == 303
    assert person.get("/me").status_code == 200
    assert door.app.test_client().get(f"/auth/setup/{link}").status_code == 410
    assert door.app.test_client().get("/auth/setup/govl_never").status_code == 410


def test_signed_out_pages_lead_back_to_where_one_was(door: Door) -> None:
    answer = door.app.test_client().get("/keys?state=live")
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/auth/sign-in?next=/keys?state%3Dlive"
    fragment = door.app.test_client().get("/keys", headers={"HX-Request": "true"})
    assert (fragment.status_code, fragment.headers["HX-Redirect"]) == (401, "/auth/sign-in?next=/keys")


def test_a_nul_is_refused_before_a_database_sees_it(door: Door) -> None:
    caller, client = door.api("admin"), door.browser("admin")
    for path in ("/keys/%00", "/keys?person=%00a@b.c"):
        assert 400 <= caller.get(path).status_code < 500, path
    for path in ("/keys?state=%00", "/members/%00", "/auth/sign-in?next=%00"):
        assert 400 <= client.get(path).status_code < 500, path


def test_a_token_in_an_address_is_refused(door: Door) -> None:
    token = door.system_token().reveal()
    answer = door.api("admin").get(f"/keys?token={token}")
    assert answer.status_code == 422
    assert token not in answer.text
    assert door.app.test_client().get(f"/api/v1/keys?access_token={token}").status_code == 422


BODIES = [
    (b"{", "application/json", 400),
    (b"[" * 200_000, "application/json", 400),
    (b'{"reason": ' + b"9" * 5000 + b"}", "application/json", 400),
    (b'{"reason": NaN}', "application/json", 400),
    (b"\xff\xfe", "application/json", 400),
    (b"reason=left", "application/x-www-form-urlencoded", 415),
    (b"[]", "application/json", 422),
    (b'"left"', "application/json", 422),
    (b'{"reason": "left", "state": "done"}', "application/json", 422),
    (b'{"reason": "\\ud800 left"}', "application/json", 422),
    (b'{"reason": "\\u0000"}', "application/json", 422),
    (b'{"reason": "' + b"x" * 501 + b'"}', "application/json", 422),
    (b'{"reason": "' + b"x" * 1_000_001 + b'"}', "application/json", 413),
]


def test_a_body_that_cannot_be_used_is_a_problem_with_a_name(door: Door) -> None:
    admin = door.api("admin")
    for body, kind, status in BODIES:
        answer = admin("POST", f"/members/{EVE}/revoke", data=body, content_type=kind)
        assert answer.status_code == status, body[:40]
        assert answer.content_type == "application/problem+json"
        assert answer.get_json()["status"] == status


def test_a_wrong_method_says_which_are_right(door: Door) -> None:
    answer = door.api("admin")("DELETE", "/keys")
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) >= {"GET", "POST"}
    assert answer.content_type == "application/problem+json"
    assert door.app.test_client().post("/healthz").content_type.startswith("text/html")


def test_a_bug_shows_its_request_id_and_nothing_else(door: Door) -> None:
    canary = "sk-canary-0123456789abcdefghij"
    door.app = create_app(door.govern)

    @door.app.get("/api/broken")
    @access.open_to_all("test")
    def broken() -> str:
        raise ZeroDivisionError(f"inner workings {canary}")

    @door.app.get("/broken")
    @access.open_to_all("test")
    def broken_page() -> str:
        raise ZeroDivisionError(f"inner workings {canary}")

    with structlog.testing.capture_logs() as log:
        for path in ("/api/broken", "/broken"):
            answer = door.app.test_client().get(path)
            assert answer.status_code == 500
            assert "inner workings" not in answer.text
            assert answer.headers["X-Request-Id"] in answer.text
    told = [entry for entry in log if entry["event"] == "bug"]
    assert len(told) == 2
    assert "ZeroDivisionError" in told[0]["trace"]
    assert canary not in str(log)


def test_no_answer_and_no_log_line_holds_a_secret_but_the_one_reveal(door: Door) -> None:
    with structlog.testing.capture_logs() as log:
        key = door.world.key(EVE)
        cookie = door.sign_in(EVE)
        token = door.token("employee").reveal()
        eve, browser = door.api("employee"), door.browser(cookie=cookie)
        value = eve.post(f"/keys/{key.id}/reveal").get_json()["value"]
        texts = [
            eve.get(path).text
            for path in (
                "/keys",
                f"/keys/{key.id}",
                "/tokens",
                "/members",
                "/projects",
                "/usage",
                "/costs",
                "/budgets",
                "/alerts",
            )
        ]
        admin = door.api("admin")
        texts += [admin.get(path).text for path in ("/keys", "/tokens", "/audit-events?limit=200", "/jobs", "/invites")]
        texts += [browser.get(path).text for path in ("/", "/me", "/keys", f"/keys/{key.id}", "/tokens")]
        texts.append(eve.post(f"/keys/{key.id}/reveal").text)
    assert value.startswith("sk-")
    for secret in (value, value[3:20], token, cookie.reveal(), door.govern.settings.openai.admin_key.reveal()):  # type: ignore[union-attr]
        assert [text[:200] for text in texts if secret in text] == []
        assert secret not in str(log)


def test_the_log_names_the_route_and_never_the_query(door: Door) -> None:
    with structlog.testing.capture_logs() as log:
        door.app.test_client().get("/auth/callback?code=very-secret&state=also-secret")
        door.api("admin").get("/keys?person=eve@acme.example")
    lines = [entry for entry in log if entry["event"] == "request"]
    assert [line["route"] for line in lines] == ["/auth/callback", "/api/v1/keys"]
    assert "secret" not in str(lines)
    assert "eve@acme.example" not in str(lines)
    assert lines[1]["who"] == door.world.person("ada@acme.example").id


def test_only_trusted_proxies_say_where_a_request_came_from(door: Door) -> None:
    def seen(proxies: int) -> str:
        web = Web(url="http://localhost", wait_seconds=0, trusted_proxies=proxies)
        app = create_app(replace(door.govern, settings=door.govern.settings.model_copy(update={"web": web})))
        with structlog.testing.capture_logs() as log:
            app.test_client().get("/auth/sign-in", headers={"X-Forwarded-For": "203.0.113.9, 198.51.100.1"})
        return str(log[-1]["ip"])

    assert seen(0) == "127.0.0.1"
    assert seen(1) == "198.51.100.1"
    assert seen(2) == "203.0.113.9"


def test_ready_says_what_is_missing(door: Door, settings: Settings) -> None:
    client = door.app.test_client()
    assert client.get("/healthz").get_json() == {"status": "ok"}
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.get_json()["checks"] == {"database": "ok", "migrations": "ok", "worker": "silent"}
    unmigrated = build(settings.model_copy(update={"database": type(settings.database)(url="sqlite://")}))
    answer = create_app(unmigrated).test_client().get("/readyz")
    assert answer.status_code == 503
    assert "govern db upgrade" in answer.get_json()["checks"]["migrations"]
    unmigrated.close()


def test_the_request_session_refuses_to_write(door: Door) -> None:
    from govern.people.models import Person
    from govern.web.access import reads

    with door.app.test_request_context("/"):
        person = reads().get_one(Person, door.world.person(EVE).id)
        with pytest.raises(RuntimeError, match="only reads"):
            reads().commit()
        person.name = "Somebody Else"
        with pytest.raises(RuntimeError, match="only reads"):
            reads().flush()
        reads().rollback()
    assert door.world.person(EVE).name == "Eve Employee"


def test_a_session_in_use_is_noted_at_most_once_a_minute(door: Door) -> None:
    from freezegun import freeze_time

    from govern.identity.models import Session

    with freeze_time("2026-03-10 09:00", tick=False) as clock:
        cookie = door.sign_in(EVE)
        browser, session_id = door.browser(cookie=cookie), door.principal(cookie).id

        def seen() -> str:
            with door.govern.unit_of_work.reading() as session:
                return f"{session.get_one(Session, session_id).seen_at:%H:%M:%S}"

        clock.tick(timedelta(seconds=59))
        browser.get("/me")
        assert seen() == "09:00:00"
        clock.tick(timedelta(seconds=1))
        browser.get("/me")
        assert seen() == "09:01:00"
