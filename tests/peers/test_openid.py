from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from govern.fakes.server import serve
from tests.peers.forms import submit
from tests.peers.openid import SOURCE, Account, CertifiedProvider, certified_provider
from tests.peers.relying_party import RelyingParty

ADA = Account("ada@corp.example", "Ada Admin", ["govern-admins", "eng"])
EVE = Account("eve@corp.example", "Eve Example", email_verified=False)


@dataclass
class Stage:
    provider: CertifiedProvider
    party: RelyingParty
    browser: httpx.Client

    def start(self) -> httpx.Response:
        return self.browser.get(f"{self.party.base}/auth/login")

    def sign_in(self, login: str) -> httpx.Response:
        consent = submit(self.browser, self.start(), "Sign-in", login=login, password="any")
        return submit(self.browser, consent, "Continue")

    def who(self) -> str:
        return self.browser.get(self.party.base).text.partition('id="who">')[2].partition("<")[0]


@pytest.fixture
def stage() -> Iterator[Stage]:
    # The provider is told the relying party's address and the other way round, so one of them is served empty first.
    party = RelyingParty("", "", "")
    with (
        serve(lambda environ, start: party.app(environ, start)) as at_party,
        certified_provider(at_party.url, [ADA, EVE]) as provider,
        httpx.Client(follow_redirects=True, trust_env=False) as browser,
    ):
        party = RelyingParty(provider.issuer, provider.client_id, provider.client_secret)
        party.base = at_party.url
        yield Stage(provider, party, browser)


def test_the_strict_relying_party_signs_people_in(stage: Stage) -> None:
    assert stage.sign_in(ADA.email).url == f"{stage.party.base}/"
    assert stage.who() == ADA.email
    [visit] = stage.party.visits.values()
    assert visit.claims["iss"] == stage.provider.issuer
    assert (visit.claims["sub"], visit.claims["email_verified"]) == (ADA.email, True)
    assert visit.claims["groups"] == ["govern-admins", "eng"]
    assert visit.userinfo["name"] == "Ada Admin"


def test_an_unverified_address_says_so(stage: Stage) -> None:
    stage.sign_in(EVE.email)
    [visit] = stage.party.visits.values()
    assert (visit.claims["email_verified"], visit.claims["groups"]) == (False, [])


def test_signing_out_at_the_application_ends_the_sign_in_at_the_provider(stage: Stage) -> None:
    stage.sign_in(ADA.email)
    question = submit(stage.browser, stage.browser.get(stage.party.base), "Sign out")
    assert str(question.url).startswith(f"{stage.provider.issuer}/session/end")
    assert submit(stage.browser, question, "Yes").url == f"{stage.party.base}/"
    assert stage.who() == "signed out"
    assert "Enter any login" in stage.start().text


def test_signing_out_at_the_provider_reaches_the_application_behind_the_browsers_back(stage: Stage) -> None:
    stage.sign_in(ADA.email)
    question = stage.browser.get(f"{stage.provider.issuer}/session/end")
    submit(stage.browser, question, "Yes")
    assert stage.who() == "signed out"
    [token] = stage.party.logout_tokens
    assert token["sub"] == ADA.email
    assert stage.provider.wait_for("backchannel.success")["fault"] == ""


def test_the_lock_file_names_exact_versions_and_no_registry() -> None:
    lock = json.loads((SOURCE / "package-lock.json").read_text())
    assert lock["packages"]["node_modules/oidc-provider"]["version"] == "9.13.3"
    packages = [package for place, package in lock["packages"].items() if place]
    assert all(package["integrity"].startswith("sha512-") for package in packages)
    assert not any("resolved" in package for package in packages)
