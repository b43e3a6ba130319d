"""ID tokens and logout tokens that are not what they say: every one is refused, and nobody's keys are fetched for it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from govern.fakes.server import serve
from govern.settings import OIDC
from govern.web.discovery import Refused
from govern.web.oidc import Provider
from tests.web.forger import CLIENT, NONCE, Forger, Token, part

pytestmark = pytest.mark.one_database  # what a token says is decided before any row is read

CALLBACK = "http://govern.test/auth/callback"
EVIL_ASKED: list[str] = []


@pytest.fixture(scope="module")
def evil() -> Iterator[str]:
    """A host whose keys a forged header points at."""
    app = Flask("evil")

    @app.route("/<path:path>")
    def anything(path: str) -> str:
        EVIL_ASKED.append(path)
        return "{}"

    with serve(app) as server:
        yield server.url


@pytest.fixture(scope="module")
def forger() -> Iterator[Forger]:
    forger = Forger()
    with serve(forger.app) as server:
        forger.issuer = server.url
        yield forger


@pytest.fixture
def provider(forger: Forger) -> Provider:
    return Provider(OIDC(issuer=forger.issuer, client_id=CLIENT))


def finish(provider: Provider, forger: Forger, **answer: str) -> Any:
    given = {"code": "c", "state": "s", "iss": forger.issuer} | answer
    return provider.finish({name: [value] for name, value in given.items()}, CALLBACK, nonce=NONCE, verifier="v" * 43)


def test_a_good_token_is_believed(provider: Provider, forger: Forger) -> None:
    forger.id_token = forger.signed(forger.claims())
    arrived = finish(provider, forger)
    assert (arrived.identity.subject, arrived.identity.email, arrived.identity.role_values) == (
        "sub-eve",
        "eve@acme.example",
        ("staff",),
    )
    forger.id_token = forger.signed(forger.claims(aud=[CLIENT], azp=CLIENT), forger.curve, alg="ES256", kid="k2")
    assert finish(provider, forger).identity.subject == "sub-eve"


def _other_payload(forger: Forger) -> str:
    head, _, signature = forger.signed(forger.claims()).split(".")
    return f"{head}.{part(forger.claims(sub='sub-ada'))}.{signature}"


def _other_signature(forger: Forger) -> str:
    head, payload, _ = forger.signed(forger.claims()).split(".")
    return f"{head}.{payload}.{forger.signed(forger.claims(sub='sub-ada')).split('.')[2]}"


def _flipped(forger: Forger) -> str:
    token = forger.signed(forger.claims())
    return token[:-20] + ("A" if token[-20] != "A" else "B") + token[-19:]


ID_TOKENS: dict[str, Token] = {
    "alg none": lambda f: f.unsigned(f.claims()),
    "alg None": lambda f: f.unsigned(f.claims(), "None"),
    "alg nOnE": lambda f: f.unsigned(f.claims(), "nOnE"),
    "alg none with a signature": lambda f: f.unsigned(f.claims()) + f.signed(f.claims()).split(".")[2],
    "alg empty": lambda f: f.unsigned(f.claims(), ""),
    "alg unknown": lambda f: f.unsigned(f.claims(), "RS999") + part(b"x"),
    "public key as HMAC secret (PEM)": lambda f: f.by_secret(f.claims(), f.key.as_pem(private=False)),
    "public key as HMAC secret (DER)": lambda f: f.by_secret(f.claims(), f.key.as_der(private=False)),
    "public key as HMAC secret (JWK)": lambda f: f.by_secret(f.claims(), json.dumps(f.key.as_dict(private=False)).encode()),
    "client id as HMAC secret": lambda f: f.by_secret(f.claims(), CLIENT.encode()),
    "a secret that the key set publishes": lambda f: f.by_secret(f.claims(), b"known to everybody, 32 bytes long", "k3"),
    "empty HMAC secret": lambda f: f.by_secret(f.claims(), b""),
    "a stranger's key under the known id": lambda f: f.signed(f.claims(), f.stranger),
    "a stranger's key under an unknown id": lambda f: f.signed(f.claims(), f.stranger, kid="k9"),
    "a stranger's key without an id": lambda f: f.signed(f.claims(), f.stranger, kid=...),
    "a stranger's key in the header": lambda f: f.signed(f.claims(), f.stranger, kid=..., jwk=f.stranger.as_dict(private=False)),
    "the key's own id with a stranger's jwk": lambda f: f.signed(f.claims(), f.stranger, jwk=f.stranger.as_dict(private=False)),
    "jku": lambda f: f.signed(f.claims(), f.stranger, jku="{evil}/jwks", kid="k9"),
    "x5u": lambda f: f.signed(f.claims(), f.stranger, x5u="{evil}/cert", kid="k9"),
    "x5c": lambda f: f.signed(f.claims(), f.stranger, x5c=["MIIB"], kid="k9"),
    "a key id that is a path": lambda f: f.signed(f.claims(), f.stranger, kid="../../dev/null"),
    "a key id that is a query": lambda f: f.signed(f.claims(), f.stranger, kid="' OR 1=1 --"),
    "a critical extension that nobody knows": lambda f: f.signed(f.claims(), crit=["exp"], exp=1),
    "RS256 said, ES256 signed": lambda f: f.signed(f.claims(), f.curve, alg="ES256", kid="k1"),
    "PS256, which was not announced": lambda f: f.signed(f.claims(), alg="PS256"),
    "payload changed": _other_payload,
    "signature of another token": _other_signature,
    "one bit of the signature": _flipped,
    "signature cut off": lambda f: f.signed(f.claims()).rpartition(".")[0] + ".",
    "two parts": lambda f: f.signed(f.claims()).rpartition(".")[0],
    "four parts": lambda f: f.signed(f.claims()) + ".x",
    "five parts": lambda f: f.signed(f.claims()) + ".x.y",
    "no token at all": lambda _: "",
    "words": lambda _: "a.b.c",
    "a list for a payload": lambda f: f.signed([f.claims()]),
    "a text for a payload": lambda f: f.signed("eve"),
    "another issuer": lambda f: f.signed(f.claims(iss="https://evil.example")),
    "the issuer with a slash": lambda f: f.signed(f.claims(iss=f.issuer + "/")),
    "the issuer in a list": lambda f: f.signed(f.claims(iss=[f.issuer])),
    "no issuer": lambda f: f.signed(f.claims(iss=...)),
    "another audience": lambda f: f.signed(f.claims(aud="somebody-else")),
    "no audience": lambda f: f.signed(f.claims(aud=...)),
    "an empty audience": lambda f: f.signed(f.claims(aud=[])),
    "the audience in capitals": lambda f: f.signed(f.claims(aud=CLIENT.upper())),
    "an audience that begins like ours": lambda f: f.signed(f.claims(aud=CLIENT + "-2")),
    "two audiences, no party": lambda f: f.signed(f.claims(aud=[CLIENT, "somebody-else"])),
    "two audiences, the other's party": lambda f: f.signed(f.claims(aud=[CLIENT, "x"], azp="x")),
    "another party": lambda f: f.signed(f.claims(azp="somebody-else")),
    "ours as the party of another's token": lambda f: f.signed(f.claims(aud="somebody-else", azp=CLIENT)),
    "expired": lambda f: f.signed(f.claims(exp=int(time.time()) - 31)),
    "no expiry": lambda f: f.signed(f.claims(exp=...)),
    "expiry as text": lambda f: f.signed(f.claims(exp="2099-01-01")),
    "expiry null": lambda f: f.signed(f.claims(exp=None)),
    "issued in the future": lambda f: f.signed(f.claims(iat=int(time.time()) + 3600)),
    "no time of issue": lambda f: f.signed(f.claims(iat=...)),
    "time of issue as text": lambda f: f.signed(f.claims(iat="now")),
    "not good yet": lambda f: f.signed(f.claims(nbf=int(time.time()) + 3600)),
    "another nonce": lambda f: f.signed(f.claims(nonce="n-other")),
    "no nonce": lambda f: f.signed(f.claims(nonce=...)),
    "an empty nonce": lambda f: f.signed(f.claims(nonce="")),
    "the nonce in a list": lambda f: f.signed(f.claims(nonce=[NONCE])),
    "no nonce, but it says that none is needed": lambda f: f.signed(f.claims(nonce=..., nonce_supported=False)),
    "no subject": lambda f: f.signed(f.claims(sub=...)),
    "an empty subject": lambda f: f.signed(f.claims(sub="")),
    "a number for a subject": lambda f: f.signed(f.claims(sub=7)),
    "a null subject": lambda f: f.signed(f.claims(sub=None)),
    "an endless subject": lambda f: f.signed(f.claims(sub="x" * 256)),
    "the hash of another access token": lambda f: f.signed(f.claims(at_hash="AAAAAAAAAAAAAAAAAAAAAA")),
    "a logout token": lambda f: f.signed(f.logout_claims(), typ="logout+jwt"),
}


@pytest.mark.parametrize("name", ID_TOKENS)
def test_a_forged_id_token_is_refused(name: str, provider: Provider, forger: Forger, evil: str) -> None:
    forger.id_token = ID_TOKENS[name](forger).replace("{evil}", evil)
    before = forger.asked.count("jwks")
    with pytest.raises(Refused) as refused:
        finish(provider, forger)
    assert forger.asked.count("jwks") - before <= 2, "one fetch, and one more for an unknown key id"
    assert EVIL_ASKED == []
    if forger.id_token:
        assert forger.id_token not in refused.value.sentence


LOGOUT_TOKENS: dict[str, Token] = {
    "alg none": lambda f: f.unsigned(f.logout_claims()),
    "public key as HMAC secret": lambda f: f.by_secret(f.logout_claims(), f.key.as_pem(private=False)),
    "a stranger's key": lambda f: f.signed(f.logout_claims(), f.stranger, typ="logout+jwt"),
    "a stranger's key in the header": lambda f: f.signed(f.logout_claims(), f.stranger, jwk=f.stranger.as_dict(private=False)),
    "an ID token": lambda f: f.signed(f.claims()),
    "an ID token with the event": lambda f: f.signed(f.claims(jti="1", events=f.logout_claims()["events"])),
    "another type": lambda f: f.signed(f.logout_claims(), typ="at+jwt"),
    "the type of anything": lambda f: f.signed(f.logout_claims(), typ="JWT"),
    "no event": lambda f: f.signed(f.logout_claims(events=...), typ="logout+jwt"),
    "another event": lambda f: f.signed(f.logout_claims(events={"http://x/y": {}}), typ="logout+jwt"),
    "events as a list": lambda f: f.signed(f.logout_claims(events=list(f.logout_claims()["events"])), typ="logout+jwt"),
    "the event without its object": lambda f: f.signed(f.logout_claims(events=dict.fromkeys(f.logout_claims()["events"]))),
    "a nonce": lambda f: f.signed(f.logout_claims(nonce=NONCE), typ="logout+jwt"),
    "neither session nor subject": lambda f: f.signed(f.logout_claims(sid=..., sub=...), typ="logout+jwt"),
    "empty session and subject": lambda f: f.signed(f.logout_claims(sid="", sub=""), typ="logout+jwt"),
    "numbers for both": lambda f: f.signed(f.logout_claims(sid=1, sub=2), typ="logout+jwt"),
    "another issuer": lambda f: f.signed(f.logout_claims(iss="https://evil.example"), typ="logout+jwt"),
    "no issuer": lambda f: f.signed(f.logout_claims(iss=...), typ="logout+jwt"),
    "another audience": lambda f: f.signed(f.logout_claims(aud="somebody-else"), typ="logout+jwt"),
    "no audience": lambda f: f.signed(f.logout_claims(aud=...), typ="logout+jwt"),
    "no id": lambda f: f.signed(f.logout_claims(jti=...), typ="logout+jwt"),
    "an empty id": lambda f: f.signed(f.logout_claims(jti=""), typ="logout+jwt"),
    "an endless id": lambda f: f.signed(f.logout_claims(jti="x" * 501), typ="logout+jwt"),
    "no time of issue": lambda f: f.signed(f.logout_claims(iat=...), typ="logout+jwt"),
    "old": lambda f: f.signed(f.logout_claims(iat=int(time.time()) - 200), typ="logout+jwt"),
    "from the future": lambda f: f.signed(f.logout_claims(iat=int(time.time()) + 600), typ="logout+jwt"),
    "expired": lambda f: f.signed(f.logout_claims(exp=int(time.time()) - 31), typ="logout+jwt"),
    "a critical extension": lambda f: f.signed(f.logout_claims(), typ="logout+jwt", crit=["exp"], exp=1),
    "no token": lambda _: "",
    "words": lambda _: "a.b.c",
}


@pytest.mark.parametrize("name", LOGOUT_TOKENS)
def test_a_forged_logout_token_is_refused(name: str, provider: Provider, forger: Forger) -> None:
    with pytest.raises(Refused):
        provider.read_logout_token(LOGOUT_TOKENS[name](forger))
    assert EVIL_ASKED == []


@pytest.mark.parametrize("typ", ["logout+jwt", "application/logout+jwt", "LOGOUT+JWT", ...])
def test_a_good_logout_token_is_believed(typ: Any, provider: Provider, forger: Forger) -> None:
    token = provider.read_logout_token(forger.signed(forger.logout_claims(), typ=typ))
    assert (token.sid, token.subject) == ("sid-1", "sub-eve")


def test_there_are_enough_of_them() -> None:
    assert len(ID_TOKENS) + len(LOGOUT_TOKENS) >= 60


@pytest.mark.parametrize("issuer", ["", "https://evil.example", "{issuer}/", "{issuer}x"])
def test_the_answer_must_name_the_issuer_when_that_was_announced(issuer: str, provider: Provider, forger: Forger) -> None:
    forger.id_token = forger.signed(forger.claims())
    with pytest.raises(Refused, match="names the issuer"):
        finish(provider, forger, iss=issuer.replace("{issuer}", forger.issuer))
    with pytest.raises(Refused, match="names the issuer"):
        provider.finish({"code": ["c"], "state": ["s"]}, CALLBACK, nonce=NONCE, verifier="v" * 43)


def test_an_answer_that_says_something_twice_is_refused(provider: Provider, forger: Forger) -> None:
    with pytest.raises(Refused, match="twice"):
        provider.finish({"code": ["a", "b"], "iss": [forger.issuer]}, CALLBACK, nonce=NONCE, verifier="v" * 43)


def test_discovery_that_names_another_issuer_is_refused(forger: Forger) -> None:
    elsewhere = Provider(OIDC(issuer=forger.issuer.replace("127.0.0.1", "localhost"), client_id=CLIENT))
    with pytest.raises(Refused, match="expected “http://localhost"):
        elsewhere.begin(CALLBACK)


def test_made_up_key_ids_do_not_make_us_hammer_the_provider(provider: Provider, forger: Forger) -> None:
    before = forger.asked.count("jwks")
    for n in range(40):
        with pytest.raises(Refused):
            provider.read_logout_token(forger.signed(forger.logout_claims(), forger.stranger, kid=f"made-up-{n}"))
    assert forger.asked.count("jwks") - before <= 7


def test_what_the_id_token_leaves_out_comes_from_the_user_information_of_the_same_subject(
    provider: Provider, forger: Forger
) -> None:
    forger.id_token = forger.signed(forger.claims(email=..., email_verified=..., groups=...))
    forger.userinfo = {"sub": "sub-eve", "email": "eve@acme.example", "email_verified": True, "groups": ["staff"], "iss": "x"}
    arrived = finish(provider, forger).identity
    assert (arrived.email, arrived.email_verified, arrived.role_values) == ("eve@acme.example", True, ("staff",))
    forger.userinfo["sub"] = "sub-ada"
    with pytest.raises(Refused, match="another subject"):
        finish(provider, forger)


def test_user_information_never_overrules_the_signed_token(provider: Provider, forger: Forger) -> None:
    forger.id_token = forger.signed(forger.claims(groups=..., email_verified=False))
    forger.userinfo = {"sub": "sub-eve", "groups": ["staff"], "email": "ada@acme.example", "email_verified": True}
    arrived = finish(provider, forger).identity
    assert (arrived.email, arrived.email_verified, arrived.role_values) == ("eve@acme.example", False, ("staff",))


def test_a_key_that_the_provider_changed_is_fetched(provider: Provider, forger: Forger) -> None:
    forger.id_token = forger.signed(forger.claims())
    finish(provider, forger)
    old, forger.key = forger.key, type(forger.key).generate_key(2048, {"kid": "k-new", "use": "sig", "alg": "RS256"})
    try:
        forger.id_token = forger.signed(forger.claims(), kid="k-new")
        assert finish(provider, forger).identity.subject == "sub-eve"
        forger.id_token = forger.signed(forger.claims(), old)
        with pytest.raises(Refused):
            finish(provider, forger)
    finally:
        forger.key = old


def test_claims_of_other_shapes_are_read_or_left(provider: Provider, forger: Forger) -> None:
    shapes = {"staff": ("staff",), None: (), 7: ()}
    for sent, read in shapes.items():
        forger.id_token = forger.signed(forger.claims(groups=sent, email_verified="true"))
        assert finish(provider, forger).identity.role_values == read
    forger.id_token = forger.signed(forger.claims(groups=["staff", 7, None, {"x": 1}], email_verified="false", sid=5, name=["x"]))
    identity = finish(provider, forger).identity
    assert (identity.role_values, identity.email_verified, identity.sid, identity.name) == (("staff",), False, None, None)
