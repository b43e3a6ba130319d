"""Roles, permissions and their reach: tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from govern.core.errors import NotAllowed
from govern.identity.permissions import PERMISSIONS, RANKING, ROLES, Reach, Role, grants_of, listed, narrow
from govern.identity.rules import ProvenIdentity, SignInPolicy, check_may_link, role_of

GRANTS = st.dictionaries(st.sampled_from(sorted(PERMISSIONS)), st.sampled_from(list(Reach)))


def test_every_role_is_ranked_and_holds_known_words_only() -> None:
    assert set(RANKING) == set(Role) == set(ROLES)
    for role, grants in ROLES.items():
        assert set(grants) <= set(PERMISSIONS), role
        assert "self:read" in grants, role


def test_an_administrator_may_do_everything_to_everybody() -> None:
    assert grants_of(["admin"]) == dict.fromkeys(PERMISSIONS, Reach.ANYONE)


def test_an_auditor_sees_everything_and_touches_nothing() -> None:
    grants = grants_of(["auditor"])
    reads = {word for word in PERMISSIONS if word.endswith(":read") and word != "self:read"}
    assert {word for word, reach in grants.items() if reach is Reach.ANYONE} == reads
    assert set(grants) - reads == {"self:read", "tokens:write"}
    assert grants["tokens:write"] is Reach.SELF


def test_an_employee_reaches_nobody_else() -> None:
    assert set(grants_of(["employee"]).values()) == {Reach.SELF}


def test_a_manager_sees_reports_but_reveals_only_what_is_their_own() -> None:
    grants = grants_of(["manager"])
    assert grants["keys:read"] is grants["keys:revoke"] is grants["usage:read"] is Reach.REPORTS
    assert grants["keys:reveal"] is Reach.SELF
    assert "members:revoke" not in grants
    assert Reach.ANYONE not in grants.values()


def test_several_roles_give_the_widest_of_each_and_unknown_words_give_nothing() -> None:
    both = grants_of(["auditor", "manager"])
    assert both["keys:read"] is Reach.ANYONE
    assert both["keys:revoke"] is Reach.REPORTS
    assert grants_of(["root", "", "Admin"]) == {}


@given(GRANTS, GRANTS, GRANTS)
def test_narrowing_never_widens_and_does_not_care_for_order(one: dict, other: dict, third: dict) -> None:
    both = narrow(one, other)
    assert both == narrow(other, one)
    assert all(word in one and word in other and reach <= one[word] and reach <= other[word] for word, reach in both.items())
    assert narrow(both, third) == narrow(one, narrow(other, third))
    assert narrow(one, one) == one


def test_a_list_with_a_word_that_is_no_permission_loses_it() -> None:
    assert listed(["keys:read", "keys:everything"]) == {"keys:read": Reach.ANYONE}


POLICY = SignInPolicy(
    "groups", {Role.ADMIN: ["ops"], Role.MANAGER: ["leads"], Role.AUDITOR: ["audit"], Role.EMPLOYEE: ["staff"]}, ["acme.example"]
)


@pytest.mark.parametrize(
    ("values", "role"),
    [
        (("staff",), Role.EMPLOYEE),
        (("staff", "audit"), Role.AUDITOR),
        (("audit", "leads"), Role.MANAGER),
        (("leads", "ops", "staff"), Role.ADMIN),
    ],
)
def test_the_highest_role_that_matches_is_taken(values: tuple[str, ...], role: Role) -> None:
    assert role_of(POLICY, values) is role


@pytest.mark.parametrize("values", [(), ("Ops",), ("ops ",), ("*",), ("opsx", "xops")])
def test_who_matches_nothing_is_told_what_came_and_what_would_do(values: tuple[str, ...]) -> None:
    with pytest.raises(NotAllowed) as refused:
        role_of(POLICY, values)
    assert "ops" in refused.value.sentence
    assert "groups" in refused.value.sentence
    assert (", ".join(values) or "nothing") in refused.value.sentence


def test_a_star_means_everybody() -> None:
    open_to_all = SignInPolicy("groups", {Role.ADMIN: ["ops"], Role.EMPLOYEE: ["*"]}, [])
    assert role_of(open_to_all, ()) is Role.EMPLOYEE
    assert role_of(open_to_all, ("ops",)) is Role.ADMIN


def identity(email: str | None, *, verified: bool = True) -> ProvenIdentity:
    return ProvenIdentity("https://idp.example", "1", None, email, verified, "Eve", ())


def test_only_a_verified_address_in_an_allowed_domain_may_be_linked() -> None:
    assert check_may_link(POLICY, identity("Eve@ACME.example")) == "eve@acme.example"


@pytest.mark.parametrize(
    ("email", "verified", "says"),
    [
        (None, True, "no e-mail"),
        ("eve@acme.example", False, "email_verified"),
        ("eve@evil.example", True, "acme.example"),
        ("eve@acme.example.evil.example", True, "acme.example"),
        ("eve@sub.acme.example", True, "acme.example"),
        ("acme.example", True, "acme.example"),
        ("@acme.example", True, "acme.example"),
        ("eve@acme.example@evil.example", True, "acme.example"),
    ],
)
def test_any_other_address_is_refused_with_a_reason(email: str | None, verified: bool, says: str) -> None:
    with pytest.raises(NotAllowed, match=says):
        check_may_link(POLICY, identity(email, verified=verified))


def test_without_allowed_domains_nobody_is_linked() -> None:
    with pytest.raises(NotAllowed, match="allowed_domains"):
        check_may_link(SignInPolicy("groups", {Role.EMPLOYEE: ["*"]}, []), identity("eve@acme.example"))
