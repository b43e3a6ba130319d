"""What Entra ID and Okta send, in their own order and spelling, and what must be true here afterwards."""

from __future__ import annotations

from typing import Any

from freezegun.api import FrozenDateTimeFactory

from govern.core.crypto import Secret
from govern.people.models import PersonState
from tests.given import ADA, EVE
from tests.web.conftest import Door
from tests.web.scim.conftest import USER, Provider

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


def entra_user(email: str) -> dict[str, Any]:
    """As Entra's default mapping sends it, with attributes that nobody here keeps."""
    return {
        "schemas": [USER, ENTERPRISE],
        "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
        "userName": email.replace("eve", "Eve"),
        "active": True,
        "displayName": "Eve Example",
        "addresses": [{"type": "work", "formatted": "1 Street", "primary": False}],
        "emails": [{"primary": True, "type": "work", "value": email}],
        "meta": {"resourceType": "User"},
        "name": {"formatted": "Eve Example", "familyName": "Example", "givenName": "Eve"},
        "phoneNumbers": [{"type": "mobile", "value": "555-0100"}],
        "preferredLanguage": "en-GB",
        "roles": [{"primary": True, "value": "admin"}],
        ENTERPRISE: {"department": "Research", "employeeNumber": "7", "manager": "0b21"},
    }


def test_entra_finds_nobody_creates_and_deactivates_with_a_string(clock: FrozenDateTimeFactory, provider: Provider) -> None:
    key = provider.door.world.key(EVE)
    asked = provider("GET", '/Users?filter=userName eq "Eve@acme.example"')
    assert (asked.status_code, asked.get_json()["totalResults"]) == (200, 0), "whom it has not provisioned it does not see"
    created = provider("POST", "/Users", entra_user(EVE))
    assert created.status_code == 201
    user = created.get_json()
    assert created.headers["Location"].endswith(f"/scim/v2/Users/{user['id']}")
    assert created.headers["ETag"] == user["meta"]["version"] == 'W/"1"'
    assert (user["externalId"], user[ENTERPRISE]["department"]) == ("0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef", "Research")
    assert "phoneNumbers" not in user
    assert "roles" not in user
    found = provider("GET", f'/Users?filter=externalId eq "{user["externalId"]}"').get_json()
    assert [each["id"] for each in found["Resources"]] == [user["id"]]
    assert provider.person(EVE).state is PersonState.ACTIVE

    gone = provider.patch(user["id"], {"op": "Replace", "path": "active", "value": "False"})
    assert gone["active"] is False
    assert provider.person(EVE).state is PersonState.LEAVING, "contained before the answer"
    provider.door.world.finish(clock)
    assert provider.person(EVE).state is PersonState.LEFT
    assert provider.door.world.reload(key).state.value == "revoked"
    assert EVE not in [member.email for member in provider.door.world.openai.oracle().members()]
    assert provider.door.world.audit_holds()

    back = provider.patch(user["id"], {"op": "Replace", "value": {"active": "True"}})
    assert back["active"] is True
    assert (provider.person(EVE).state, provider.person(EVE).generation) == (PersonState.ACTIVE, 2)
    assert provider.door.world.reload(key).state.value == "revoked", "nothing of the old generation comes back"


def test_okta_posts_again_pages_and_puts(clock: FrozenDateTimeFactory, provider: Provider) -> None:
    okta = {
        "schemas": [USER], "userName": EVE, "name": {"givenName": "Eve", "familyName": "Example"},
        "emails": [{"primary": True, "value": EVE, "type": "work"}], "displayName": "Eve Example", "locale": "en-US",
        "externalId": "00ujl29u0le5T6Aj10h7", "groups": [], "password": "1mz050nq", "active": True,
    }  # fmt: skip
    assert provider("GET", '/Users?filter=userName eq "eve@acme.example"&startIndex=1&count=100').get_json()["totalResults"] == 0
    created = provider("POST", "/Users", okta).get_json()
    again = provider("POST", "/Users", okta)
    assert (again.status_code, again.get_json()["scimType"], again.get_json()["schemas"]) == (409, "uniqueness", [ERROR])
    changed = okta | {"id": created["id"], "active": False, "displayName": "Eve E."}
    put = provider("PUT", f"/Users/{created['id']}", changed)
    assert (put.status_code, put.get_json()["active"], put.get_json()["displayName"]) == (200, False, "Eve E.")
    assert provider.person(EVE).state is PersonState.LEAVING

    silent = {name: value for name, value in okta.items() if name != "active"}
    assert provider("PUT", f"/Users/{created['id']}", silent).status_code == 200
    provider.door.world.finish(clock)
    assert provider.person(EVE).state is PersonState.LEFT, "who says nothing of it brings nobody back"
    provider("PUT", f"/Users/{created['id']}", okta | {"title": "Engineer"})
    assert provider.person(EVE).generation == 2
    provider("PUT", f"/Users/{created['id']}", changed)

    back = provider("PUT", f"/Users/{created['id']}", okta)
    assert back.status_code == 200
    assert provider.person(EVE).state is PersonState.LEAVING, "the old generation ends first"
    provider.door.world.finish(clock)
    assert (provider.person(EVE).state, provider.person(EVE).generation) == (PersonState.ACTIVE, 3)


def test_delete_contains_forgets_and_is_not_found_twice(provider: Provider) -> None:
    user = provider.add(EVE)
    assert provider("DELETE", f"/Users/{user['id']}", If_Match='W/"9"').status_code == 412
    assert provider.person(EVE).state is PersonState.ACTIVE
    assert provider("DELETE", f"/Users/{user['id']}", If_Match='W/"1"').status_code == 204
    assert provider.person(EVE).state is PersonState.LEAVING
    again = provider("DELETE", f"/Users/{user['id']}")
    unknown = provider("GET", "/Users/usr_nobody")
    assert again.status_code == unknown.status_code == 404
    assert again.get_json() == unknown.get_json(), "gone and never there look alike"
    assert provider.door.world.audited("provisioning.") == ["provisioning.user_added", "provisioning.user_deleted"]
    assert provider.door.world.audited("member.contained") == ["member.contained"]


def test_odd_paths_filters_and_pages(provider: Provider) -> None:
    user = provider.add(EVE, externalId="AbC", title="Engineer")
    provider.add("new%one@acme.example", externalId="abc")
    odd = provider.patch(
        user["id"],
        {"op": "Add", "path": 'emails[type eq "work"].value', "value": "eve.work@acme.example"},
        {"op": "Replace", "path": "name.familyName", "value": "Changed"},
        {"op": "Replace", "path": f"{ENTERPRISE}:department", "value": "Sales"},
        {"op": "Replace", "path": 'phoneNumbers[type eq "work"].value', "value": "555"},
        {"op": "Remove", "path": "title"},
    )
    assert (odd["emails"][0]["value"], odd["name"]["familyName"]) == ("eve.work@acme.example", "Changed")
    assert odd[ENTERPRISE]["department"] == "Sales"
    assert "title" not in odd
    assert odd["meta"]["version"] == 'W/"2"'
    same = provider.patch(user["id"], {"op": "replace", "path": "name.familyName", "value": "Changed"}, If_Match='W/"2"')
    assert same["meta"]["version"] == 'W/"2"', "what changes nothing is no new version"
    expected = {
        'userName eq "EVE@ACME.EXAMPLE"': 1, 'externalId eq "abc"': 1, f'id eq "{user["id"]}"': 1, "active eq true": 2,
        'active eq "False"': 0, 'userName sw "new%" and active eq true': 1, 'userName co "_"': 0, "title pr": 0,
        'not (userName ew "one@acme.example")': 1, 'name.familyName eq "changed" or externalId eq "abc"': 2,
        'meta.created gt "2001-01-01T00:00:00Z"': 2,
    }  # fmt: skip
    assert {
        text: provider("GET", f"/Users?filter={text.replace('%', '%25')}").get_json()["totalResults"] for text in expected
    } == (expected)
    page = provider("GET", "/Users?startIndex=2&count=1").get_json()
    assert (page["totalResults"], page["startIndex"], len(page["Resources"])) == (2, 2, 1)
    for refused in ('emails.value eq "x"', 'externalId co "a"', "userName eq", "id gt 3", 'nickName eq "x"'):
        answer = provider("GET", f"/Users?filter={refused}")
        assert (answer.status_code, answer.get_json()["scimType"]) == (400, "invalidFilter"), refused


def test_what_is_refused_is_said_in_scims_way(door: Door, provider: Provider, stranger: Any) -> None:
    nobody, wrong = stranger(None), stranger(Secret("gov_" + "x" * 49))
    for answer in (nobody("GET", "/Users"), wrong("GET", "/Users"), stranger(door.token("manager"))("GET", "/Users")):
        assert answer.status_code in (401, 403)
        assert answer.get_json()["schemas"] == [ERROR]
    assert nobody("GET", "/Users").headers["WWW-Authenticate"].startswith("Bearer")
    assert nobody("GET", "/ServiceProviderConfig").get_json()["patch"] == {"supported": True}
    assert provider("GET", "/Nothing").get_json()["schemas"] == [ERROR]
    assert provider("POST", "/Users", {"schemas": [USER], "userName": "no address"}).status_code == 400
    assert provider("POST", "/Users", {"schemas": [USER], "userName": "a\x00@acme.example"}).status_code == 400
    for body in ("{", "[]", "7", '{"schemas": 3}'):
        answer = provider.client.post(
            "/scim/v2/Users", data=body, headers={"Authorization": f"Bearer {provider.secret.reveal()}"},
            content_type="application/scim+json",
        )  # fmt: skip
        assert answer.status_code == 400, body
    assert door.api(provider.secret).get("/members").status_code == 403, "the token does nothing else"


def test_the_last_owner_stays_and_a_refusal_changes_nothing(provider: Provider) -> None:
    user = provider.add(ADA)
    for method, body in (("PUT", {"schemas": [USER], "userName": ADA, "active": False}), ("DELETE", None)):
        answer = provider(method, f"/Users/{user['id']}", body)
        assert (answer.status_code, answer.get_json()["schemas"]) == (409, [ERROR])
        assert "owner" in answer.get_json()["detail"]
    kept = provider("GET", f"/Users/{user['id']}").get_json()
    assert (kept["active"], kept["meta"]["version"]) == (True, 'W/"1"')
    assert provider.person(ADA).state is PersonState.ACTIVE
    assert provider.door.world.audited("provisioning.") == ["provisioning.user_added"]
