from __future__ import annotations

import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from authlib.oauth2 import rfc9207
from authlib.oidc import rpinitiated
from authlib.oidc.discovery import OpenIDProviderMetadata

from govern.fakes.oidc import Client, DemoProvider, Fault, Person
from govern.fakes.server import serve
from tests.peers.forms import forms, submit
from tests.peers.relying_party import RelyingParty, Visit

ADA = Person("ada@corp.example", "Ada Admin", ["govern-admins", "eng"])
EVE = Person("eve@corp.example", "Eve Example")
SECRET = "not a real secret: %+&"
VERIFIER = "v" * 64
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@dataclass
class Stage:
    """A provider and a relying party on loopback, and a browser's cookie jar between them."""

    provider: DemoProvider
    party: RelyingParty
    browser: httpx.Client

    def start(self, **params: str) -> httpx.Response:
        return self.browser.get(f"{self.party.base}/auth/login", params=params)

    def sign_in(self, person: Person, **params: str) -> httpx.Response:
        return submit(self.browser, self.start(**params), person.name)

    def who(self) -> str:
        return self.browser.get(self.party.base).text.partition('id="who">')[2].partition("<")[0]

    def only_visit(self) -> Visit:
        [visit] = self.party.visits.values()
        return visit


@pytest.fixture
def stage() -> Iterator[Stage]:
    provider = DemoProvider("http://127.0.0.1:1", people=[ADA, EVE])
    with serve(provider.app) as at_provider:
        provider.issuer = at_provider.url
        party = RelyingParty(provider.issuer, "govern", SECRET)
        with serve(party.app) as at_party, httpx.Client(follow_redirects=True, trust_env=False) as browser:
            party.base = at_party.url
            provider.register(client_of(party))
            yield Stage(provider, party, browser)


def client_of(party: RelyingParty) -> Client:
    return Client(
        "govern",
        SECRET,
        [f"{party.base}/auth/callback"],
        [f"{party.base}/auth/logged-out"],
        f"{party.base}/auth/backchannel-logout",
    )


def authorization_request(stage: Stage, **changes: str | None) -> dict[str, str]:
    params: dict[str, str | None] = {
        "client_id": "govern",
        "redirect_uri": f"{stage.party.base}/auth/callback",
        "response_type": "code",
        "scope": "openid email groups",
        "state": "s-1",
        "nonce": "n-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return {name: value for name, value in (params | changes).items() if value is not None}


def answer_of(response: httpx.Response) -> dict[str, str]:
    """The parameters with which the provider sends the browser back."""
    assert response.status_code == 302, response.text
    return {name: values[0] for name, values in parse_qs(urlsplit(response.headers["Location"]).query).items()}


def code_for(stage: Stage, person: Person = ADA, **changes: str | None) -> str:
    data = authorization_request(stage, **changes) | {"person": person.sub}
    return answer_of(stage.browser.post(f"{stage.provider.issuer}/authorize", data=data, follow_redirects=False))["code"]


def redeem(stage: Stage, code: str, secret: str = SECRET, **changes: str) -> httpx.Response:
    data = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": f"{stage.party.base}/auth/callback",
        "code_verifier": VERIFIER,
    }
    return httpx.post(f"{stage.provider.issuer}/token", data=data | changes, auth=("govern", secret))


# signing in


def test_a_person_signs_in_through_the_page(stage: Stage) -> None:
    assert stage.sign_in(ADA).url == f"{stage.party.base}/"
    assert stage.who() == ADA.email
    claims = stage.only_visit().claims
    assert claims["iss"] == stage.provider.issuer
    assert claims["aud"] == "govern"
    assert claims["sub"] == ADA.sub != ADA.email
    assert claims["name"] == "Ada Admin"
    assert (claims["email"], claims["email_verified"]) == (ADA.email, True)
    assert claims["groups"] == ["govern-admins", "eng"]
    assert claims["exp"] - claims["iat"] == 600
    assert claims["sid"]
    told = stage.only_visit().userinfo
    assert told == {name: claims[name] for name in ("sub", "name", "email", "email_verified", "groups")}


def test_discovery_is_valid_and_announces_what_there_is(stage: Stage) -> None:
    document = httpx.get(f"{stage.provider.issuer}/.well-known/openid-configuration").json()
    metadata = OpenIDProviderMetadata(document)
    metadata.validate(
        metadata_classes=[rfc9207.AuthorizationServerMetadata, rpinitiated.OpenIDProviderMetadata],
    )
    assert document["authorization_response_iss_parameter_supported"] is True
    assert document["backchannel_logout_supported"] is True
    assert document["code_challenge_methods_supported"] == ["S256"]
    [key] = httpx.get(document["jwks_uri"]).json()["keys"]
    assert (key["kty"], key["alg"], key["use"]) == ("RSA", "RS256", "sig")
    assert "d" not in key


def test_who_is_signed_in_already_is_not_asked_again_unless_the_request_says_so(stage: Stage) -> None:
    stage.sign_in(ADA)
    assert stage.start().url == f"{stage.party.base}/"
    for params in ({"prompt": "login"}, {"prompt": "select_account"}, {"max_age": "-1"}, {"max_age": "0"}):
        page = stage.start(**params)
        asked = str(page.url).startswith(f"{stage.provider.issuer}/authorize")
        assert asked is (params != {"max_age": "-1"}), params  # a malformed age is ignored


def test_prompt_none_never_shows_a_page(stage: Stage) -> None:
    assert stage.start(prompt="none").text.startswith("OAuthError: login_required")
    stage.sign_in(ADA)
    stage.start(prompt="none")
    assert stage.who() == ADA.email


def test_signing_in_again_keeps_the_session_and_choosing_another_person_ends_it(stage: Stage) -> None:
    stage.sign_in(ADA)
    cookie = stage.browser.cookies["demo_openid_sign_in"]
    sid = stage.only_visit().claims["sid"]
    stage.sign_in(ADA, prompt="login")
    assert stage.browser.cookies["demo_openid_sign_in"] != cookie
    assert {visit.claims["sid"] for visit in stage.party.visits.values()} == {sid}
    stage.sign_in(EVE, prompt="login")
    assert stage.who() == EVE.email
    assert stage.only_visit().claims["sid"] != sid


def test_cancelling_goes_back_with_an_error(stage: Stage) -> None:
    assert submit(stage.browser, stage.start(), "Cancel").text.startswith("OAuthError: access_denied")
    assert stage.who() == "signed out"


def test_the_page_lists_everybody_and_puts_the_hinted_person_first(stage: Stage) -> None:
    [form] = forms(stage.start(login_hint="EVE@corp.example"))
    assert [text for _, _, text in form.buttons] == [
        "Eve Example eve@corp.example No groups",
        "Ada Admin ada@corp.example Groups: govern-admins, eng",
        "Cancel",
    ]


def test_pages_load_nothing_from_elsewhere_and_escape_what_they_show(stage: Stage) -> None:
    stage.provider.set_person(Person("x@corp.example", "<script>alert(1)</script>"))
    page = stage.start()
    assert "<script" not in page.text
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; img-src 'self';")
    assert policy.endswith(f"form-action 'self' {stage.party.base}")
    assert stage.browser.get(f"{stage.provider.issuer}/static/pages.css").status_code == 200


def test_a_form_from_another_site_is_refused(stage: Stage) -> None:
    data = authorization_request(stage) | {"person": ADA.sub}
    answer = stage.browser.post(
        f"{stage.provider.issuer}/authorize", data=data, headers={"Origin": "http://evil.example"}, follow_redirects=False
    )
    assert answer.status_code == 403
    assert not stage.browser.cookies


# the authorization request


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "unheard-of"}, "invalid_scope"),
    ],
)
def test_a_faulty_request_goes_back_with_an_error_and_the_issuer(stage: Stage, changes: dict[str, Any], error: str) -> None:
    params = authorization_request(stage, **changes)
    answer = answer_of(stage.browser.get(f"{stage.provider.issuer}/authorize", params=params, follow_redirects=False))
    assert (answer["error"], answer["state"], answer["iss"]) == (error, "s-1", stage.provider.issuer)


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"redirect_uri": "http://evil.example/"},
        {"redirect_uri": 'http://evil.example/"ü'},
        {"redirect_uri": None},
    ],
)
def test_without_a_trusted_address_there_is_a_page_and_no_redirect(stage: Stage, changes: dict[str, Any]) -> None:
    params = authorization_request(stage, **changes)
    answer = stage.browser.get(f"{stage.provider.issuer}/authorize", params=params, follow_redirects=False)
    assert answer.status_code == 400
    assert "Location" not in answer.headers
    assert "<h1>Bad Request</h1>" in answer.text


def test_a_request_may_come_by_post(stage: Stage) -> None:
    page = stage.browser.post(f"{stage.provider.issuer}/authorize", data=authorization_request(stage))
    assert "Choose who you are" in page.text


# codes and tokens


def test_a_code_buys_one_set_of_tokens_and_a_replay_ends_them(stage: Stage) -> None:
    code = code_for(stage)
    bought = redeem(stage, code)
    assert bought.headers["Cache-Control"] == "no-store"
    tokens = bought.json()
    assert tokens.keys() == {"access_token", "id_token", "token_type", "expires_in", "scope"}
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    userinfo = f"{stage.provider.issuer}/userinfo"
    assert httpx.get(userinfo, headers=bearer).json()["email"] == ADA.email
    again = redeem(stage, code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert httpx.get(userinfo, headers=bearer).status_code == 401


def test_two_at_once_cannot_both_redeem_a_code(stage: Stage) -> None:
    code = code_for(stage)
    start = threading.Barrier(4)
    answers: list[int] = []

    def try_it() -> None:
        start.wait()
        answers.append(redeem(stage, code).status_code)

    threads = [threading.Thread(target=try_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 400, 400, 400]


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"code_verifier": "w" * 64}, 400, "invalid_grant"),
        ({"redirect_uri": "http://127.0.0.1/other"}, 400, "invalid_grant"),
        ({"code": "made-up"}, 400, "invalid_grant"),
        ({"secret": "wrong"}, 401, "invalid_client"),
        ({"grant_type": "refresh_token"}, 400, "unsupported_grant_type"),
    ],
)
def test_the_token_endpoint_refuses(stage: Stage, changes: dict[str, Any], status: int, error: str) -> None:
    answer = redeem(stage, **({"code": code_for(stage)} | changes))
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    if status == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Basic")


def test_another_client_cannot_redeem_a_code_and_does_not_spend_it(stage: Stage) -> None:
    stage.provider.register(Client("thief", "its own", ["http://thief.example/cb"]))
    code = code_for(stage)
    data = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER}
    answer = httpx.post(f"{stage.provider.issuer}/token", data=data, auth=("thief", "its own"))
    assert answer.json()["error"] == "invalid_grant"
    assert redeem(stage, code).status_code == 200


def test_codes_tokens_and_sign_ins_expire(stage: Stage) -> None:
    present = datetime(2026, 3, 10, 12, tzinfo=UTC)
    stage.provider.now = lambda: present
    code = code_for(stage)
    present += timedelta(seconds=61)
    assert redeem(stage, code).json()["error"] == "invalid_grant"

    bearer = {"Authorization": f"Bearer {redeem(stage, code_for(stage)).json()['access_token']}"}
    userinfo = f"{stage.provider.issuer}/userinfo"
    assert httpx.get(userinfo, headers=bearer).status_code == 200
    present += timedelta(minutes=10)
    assert httpx.get(userinfo, headers=bearer).status_code == 401

    authorize = f"{stage.provider.issuer}/authorize"
    params = authorization_request(stage)
    assert stage.browser.get(authorize, params=params, follow_redirects=False).status_code == 302
    present += timedelta(hours=8)
    assert stage.browser.get(authorize, params=params, follow_redirects=False).status_code == 200


# people


def test_claims_follow_the_person_and_the_subject_stays(stage: Stage) -> None:
    stage.sign_in(ADA)
    stage.provider.set_person(replace(ADA, email="ada.lovelace@corp.example", groups=["eng"]))
    stage.sign_in(replace(ADA), prompt="login")
    first, second = stage.party.visits.values()
    assert first.claims["sub"] == second.claims["sub"]
    assert (second.claims["email"], second.claims["groups"]) == ("ada.lovelace@corp.example", ["eng"])
    assert Person("ADA@corp.example", "Same address").sub == ADA.sub
    assert Person(ADA.email, "Somebody hired later", sub="another").sub == "another"


def test_who_is_removed_is_signed_out_everywhere(stage: Stage) -> None:
    stage.sign_in(ADA)
    visit = stage.only_visit()
    stage.provider.remove_person("Ada@Corp.example")
    assert stage.who() == "signed out"
    bearer = {"Authorization": f"Bearer {visit.access_token}"}
    assert httpx.get(f"{stage.provider.issuer}/userinfo", headers=bearer).status_code == 401
    assert ADA.name not in stage.start().text
    with pytest.raises(LookupError, match="nobody here"):
        stage.provider.remove_person(ADA.email)


# signing out


def test_signing_out_at_the_application_ends_the_sign_in_here(stage: Stage) -> None:
    stage.sign_in(ADA)
    home = stage.browser.get(stage.party.base)
    assert submit(stage.browser, home, "Sign out").url == f"{stage.party.base}/"
    assert "demo_openid_sign_in" not in stage.browser.cookies
    assert "Choose who you are" in stage.start().text


def test_signing_out_here_tells_the_application(stage: Stage) -> None:
    stage.sign_in(ADA)
    visit = stage.only_visit()
    page = stage.browser.get(f"{stage.provider.issuer}/logout")
    assert stage.who() == ADA.email, "a bare request must ask first"
    assert "You are signed out" in submit(stage.browser, page, "Sign out").text
    assert stage.who() == "signed out"
    [token] = stage.party.logout_tokens
    assert (token["sub"], token["sid"], token["aud"]) == (ADA.sub, visit.claims["sid"], "govern")
    [delivery] = stage.provider.deliveries
    assert (delivery.client_id, delivery.status) == ("govern", 200)


def test_the_administrator_can_end_a_sign_in(stage: Stage) -> None:
    stage.sign_in(ADA)
    stage.provider.sign_out(ADA.email)
    assert stage.who() == "signed out"
    assert "Choose who you are" in stage.start().text


def test_an_application_that_cannot_be_reached_does_not_keep_anybody_signed_in(stage: Stage) -> None:
    stage.sign_in(ADA)
    stage.provider.register(replace(client_of(stage.party), backchannel_logout_uri="http://127.0.0.1:1/none"))
    stage.provider.sign_out(ADA.email)
    [delivery] = stage.provider.deliveries
    assert (delivery.status, delivery.fault) == (None, "ConnectError")
    assert "Choose who you are" in stage.start().text


def test_logout_sends_nobody_to_an_unregistered_address_and_takes_no_foreign_hint(stage: Stage) -> None:
    stage.sign_in(ADA)
    hint = stage.only_visit().id_token
    logout = f"{stage.provider.issuer}/logout"
    forged = hint.rpartition(".")[0] + "." + "A" * 342
    assert stage.browser.get(logout, params={"id_token_hint": forged}).status_code == 400
    assert stage.who() == ADA.email
    params = {"id_token_hint": hint, "post_logout_redirect_uri": "http://evil.example/"}
    answer = stage.browser.get(logout, params=params, follow_redirects=False)
    assert answer.status_code == 200
    assert "You are signed out" in answer.text


def test_a_hint_about_somebody_else_leaves_the_present_person_signed_in(stage: Stage) -> None:
    stage.sign_in(ADA)
    stale = stage.only_visit().id_token
    stage.sign_in(EVE, prompt="login")
    stage.browser.get(f"{stage.provider.issuer}/logout", params={"id_token_hint": stale})
    assert stage.start().url == f"{stage.party.base}/"
    assert stage.who() == EVE.email


# misbehaving


@pytest.mark.parametrize(
    ("fault", "refusal"),
    [
        ("wrong_issuer", "iss"),
        ("wrong_nonce", "nonce"),
        ("no_nonce", "nonce"),
        ("wrong_aud", "azp"),
        ("expired_token", "expired"),
        ("alg_none", "UnsupportedAlgorithmError"),
        ("wrong_key", "bad_signature"),
        ("wrong_response_iss", "the response names another issuer"),
        ("no_response_iss", "the response names another issuer"),
        ("wrong_discovery_issuer", "discovery names another issuer"),
        ("token_error", "500 Server Error"),
    ],
)
def test_a_strict_relying_party_refuses_each_fault(stage: Stage, fault: str, refusal: str) -> None:
    stage.provider.misbehave(fault)
    stage.sign_in(ADA)
    [said] = stage.party.refusals
    assert refusal in said
    assert not stage.party.visits


def test_claims_can_be_missing_or_unverified(stage: Stage) -> None:
    stage.provider.misbehave("unverified_email", "missing_groups")
    stage.sign_in(ADA)
    stage.provider.misbehave("missing_email")
    stage.sign_in(ADA, prompt="login")
    stage.provider.behave()
    stage.sign_in(ADA, prompt="login")
    first, second, third = [visit.claims for visit in stage.party.visits.values()]
    assert first["email_verified"] is False
    assert "groups" not in first
    assert not {"email", "email_verified"} & second.keys()
    assert third["email_verified"] is True


def test_every_fault_is_known_and_no_other(stage: Stage) -> None:
    stage.provider.misbehave(*Fault)
    with pytest.raises(ValueError, match="being_rude"):
        stage.provider.misbehave("being_rude")


# as a part of a program


def test_it_works_in_process_and_off_loopback_without_an_environment_variable() -> None:
    party = RelyingParty("http://idp.example:9000", "govern", SECRET)
    party.base = "http://govern.example"
    provider = DemoProvider("http://idp.example:9000", [client_of(party)], [ADA], transport=httpx.WSGITransport(app=party.app))
    with httpx.Client(transport=httpx.WSGITransport(app=provider.app)) as browser:
        params = {
            "client_id": "govern",
            "redirect_uri": "http://govern.example/auth/callback",
            "response_type": "code",
            "scope": "openid",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        page = browser.get("http://idp.example:9000/authorize", params=params)
        [form] = forms(page)
        answer = browser.post(form.action, data=form.fields | {"person": ADA.sub})
        assert answer_of(answer)["iss"] == "http://idp.example:9000"


def test_secrets_stay_out_of_representations() -> None:
    assert SECRET not in repr(Client("govern", SECRET, []))


@pytest.mark.parametrize("issuer", ["127.0.0.1:9000", "http://host/path", "http://host/", "ftp://host"])
def test_an_issuer_is_scheme_host_and_port(issuer: str) -> None:
    with pytest.raises(ValueError, match="an issuer is"):
        DemoProvider(issuer)
