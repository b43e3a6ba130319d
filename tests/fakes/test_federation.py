"""The token exchange: who gets a token, what it may do, and when it ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from govern.fakes.openai import FakeOpenAI
from govern.fakes.server import serve
from tests.fakes.conftest import Client, issue, project_of

ISSUER, AUDIENCE = "https://idp.acme.example", "openai"
KEY = ECKey.generate_key("P-256", {"kid": "one", "use": "sig", "alg": "ES256"})
JWKS = KeySet([KEY]).as_dict(private=False)


class Federated:
    """A provider with one rule: Eve may act as a service account of the Search project."""

    def __init__(self, fake: FakeOpenAI, http: httpx.Client, **more: Any) -> None:
        self.fake, self.http = fake, http
        self.account = issue(fake, http, "federated")["id"]
        provider = {"name": "IdP", "type": "oidc", "issuer": ISSUER, "audience": AUDIENCE}
        provider |= {"verification": {"type": "uploaded_jwks", "jwks": JWKS}} | more.pop("provider", {})
        self.provider = http.post("organization/workload_identity_providers", json=provider).json()["id"]
        self.rules = f"organization/workload_identity_providers/{self.provider}/federation_rules"
        rule = {
            "project_id": project_of(fake),
            "service_account_id": self.account,
            "attribute_matchers": {"email": "eve@acme.example"},
        }
        answer = http.post(self.rules, json=rule | more)
        assert answer.status_code == 200, answer.text
        self.rule = answer.json()["id"]

    def jwt(self, *, kid: str | None = "one", key: ECKey = KEY, **claims: Any) -> str:
        now = self.fake.org.clock.seconds()
        told = {"iss": ISSUER, "aud": AUDIENCE, "sub": "eve", "email": "eve@acme.example", "iat": now, "exp": now + 600} | claims
        header = {"alg": "ES256"} | ({"kid": kid} if kid else {})
        return jwt.encode(header, {name: value for name, value in told.items() if value is not None}, key)

    def exchange(self, token: str, **more: Any) -> httpx.Response:
        body = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "subject_token": token,
            "identity_provider_id": self.provider,
            "service_account_id": self.account,
        }
        return self.http.post("http://openai.test/oauth/token", json=body | more)


@pytest.fixture
def federated(small: FakeOpenAI, client: Client) -> Callable[..., Federated]:
    return lambda **more: Federated(small, client(small), **more)


def test_a_token_acts_as_the_account_and_never_outlives_the_jwt(federated: Callable[..., Federated], client: Client) -> None:
    party = federated()
    answer = party.exchange(party.jwt()).json()
    assert 0 < answer["expires_in"] <= 600
    caller = client(party.fake, answer["access_token"])
    assert caller.get("me").json()["id"] == party.account
    assert caller.get("organization/users").status_code == 403
    party.fake.advance(timedelta(seconds=601))
    assert caller.get("me").status_code == 401


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"email": "mal@elsewhere.example"}, 403),
        ({"email": None}, 403),
        ({"iss": "https://other.example"}, 401),
        ({"aud": "somebody else"}, 401),
        ({"exp": 1}, 401),
        ({"iat": 2**40}, 401),
        ({"sub": None}, 401),
        ({"kid": None}, 401),
        ({"key": ECKey.generate_key("P-256", {"kid": "one"})}, 401),
        ({"aud": ["x", AUDIENCE]}, 200),
    ],
)
def test_only_a_right_jwt_is_exchanged(federated: Callable[..., Federated], claims: dict[str, Any], status: int) -> None:
    party = federated()
    answer = party.exchange(party.jwt(**claims))
    assert answer.status_code == status, answer.text
    if status != 200:
        assert set(answer.json()) == {"error", "error_description"}


def test_other_grants_and_unknown_parties_are_refused(federated: Callable[..., Federated]) -> None:
    party = federated()
    wrong = (
        {"grant_type": "password"},
        {"subject_token_type": "x"},
        {"identity_provider_id": "wip-0"},
        {"service_account_id": "s"},
    )
    assert [party.exchange(party.jwt(), **more).status_code for more in wrong] == [400] * 4
    assert party.exchange("no jwt at all").status_code == 401


def test_a_disabled_rule_or_provider_gives_no_token(federated: Callable[..., Federated]) -> None:
    party = federated()
    party.http.post(f"{party.rules}/{party.rule}", json={"enabled": False})
    assert party.exchange(party.jwt()).status_code == 403
    party.http.post(f"{party.rules}/{party.rule}", json={"enabled": True})
    party.http.post(f"organization/workload_identity_providers/{party.provider}", json={"enabled": False})
    assert party.exchange(party.jwt()).status_code == 400


def test_a_restricted_rule_narrows_the_token(federated: Callable[..., Federated], client: Client) -> None:
    party = federated(permissions={"type": "restricted", "scopes": ["api.all.read"]})
    caller = client(party.fake, party.exchange(party.jwt()).json()["access_token"])
    assert caller.get("models").status_code == 200
    assert caller.post("responses", json={"model": "gpt-5.4", "input": "x"}).status_code == 403


def test_deleting_the_account_ends_its_tokens_and_rules(federated: Callable[..., Federated]) -> None:
    party = federated()
    token = party.exchange(party.jwt()).json()["access_token"]
    assert party.fake.oracle().authenticates(token)
    party.http.delete(f"organization/projects/{project_of(party.fake)}/service_accounts/{party.account}")
    assert not party.fake.oracle().authenticates(token)
    assert party.exchange(party.jwt()).status_code == 400
    assert party.http.get(party.rules).json()["data"] == []


def test_a_claim_may_be_renamed_before_it_is_matched(federated: Callable[..., Federated]) -> None:
    rows = [{"attribute": "email", "expression": "claims.profile.mail"}]
    party = federated(provider={"attribute_transformations": rows})
    assert party.exchange(party.jwt(profile={"mail": "eve@acme.example"}, email=None)).status_code == 200
    assert party.exchange(party.jwt(profile={"mail": "mal@acme.example"})).status_code == 403


def test_keys_are_found_by_discovery(federated: Callable[..., Federated]) -> None:
    def provider(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        import json

        documents = {"/.well-known/openid-configuration": {"jwks_uri": f"{server.url}/keys"}, "/keys": JWKS}
        body = json.dumps(documents[environ["PATH_INFO"]]).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    with serve(provider) as server:
        discovery = {"type": "discovery", "discovery_url": f"{server.url}/.well-known/openid-configuration"}
        party = federated(provider={"verification": discovery})
        assert party.exchange(party.jwt()).status_code == 200
    assert party.exchange(party.jwt()).status_code == 400  # the provider is gone
