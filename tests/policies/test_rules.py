"""Which policy holds: the strictest of each limit, whatever the order; and what of a wish is beyond it."""

from __future__ import annotations

import itertools

import pytest

from govern.core.errors import InvalidInput
from govern.policies.models import PolicyScope
from govern.policies.rules import (
    Allowed,
    Beyond,
    Effective,
    Limits,
    Wanted,
    beyond,
    check_limits,
    covers,
    effective,
    usual_scopes,
)
from govern.ports import Scopes

ORG, PROJECT, GROUP = PolicyScope.ORGANIZATION, PolicyScope.PROJECT, PolicyScope.GROUP
READ, WRITE, FILES = "api.all.read", "api.responses.write", "api.files.read"


def org(**said) -> Limits:
    return Limits(ORG, "the organization", **said)


def project(**said) -> Limits:
    return Limits(PROJECT, "the project Search", **said)


def group(name: str = "Contractors", **said) -> Limits:
    return Limits(GROUP, f"the group {name}", **said)


# What applies; then the limits that hold besides the usual ones, and whose policy decided which.
CASES = {
    "nothing": ([], {}, {"most_keys": "the settings"}),
    "the organization's life": ([org(longest_days=90)], {"longest_days": 90}, {"longest_days": "the organization"}),
    "a shorter one of a group": (
        [org(longest_days=90), group(longest_days=7)], {"longest_days": 7}, {"longest_days": "the group Contractors"},
    ),
    "a longer one of a project changes nothing": (
        [org(longest_days=90), project(longest_days=300)], {"longest_days": 90}, {"longest_days": "the organization"},
    ),
    "the organization may allow more keys than the settings": ([org(most_keys=20)], {"most_keys": 20}, {}),
    "a group may not": ([group(most_keys=20)], {"most_keys": 5}, {"most_keys": "the settings"}),
    "a group may allow fewer": ([org(most_keys=20), group(most_keys=0)], {"most_keys": 0}, {}),
    "of two groups the stricter": (
        [group("A", most_keys=3), group("B", most_keys=2)], {"most_keys": 2}, {"most_keys": "the group B"},
    ),
    "a project counts its own": ([org(most_keys=9), project(most_keys=1)], {"most_keys": 9, "most_keys_here": 1}, {}),
    "permissions meet": (
        [org(scopes=(READ, WRITE)), project(scopes=(WRITE, FILES))], {"scopes": frozenset({WRITE})},
        {"scopes": "the organization and the project Search"},
    ),
    "permissions that do not meet allow nothing": ([org(scopes=(READ,)), group(scopes=(FILES,))], {"scopes": frozenset()}, {}),
    "all permissions narrow nothing": ([org(scopes=(READ,)), project(scopes="all")], {"scopes": frozenset({READ})}, {}),
    "all is all": ([org(scopes="all")], {"scopes": "all"}, {}),
    "a closed organization": ([org(self_service=False)], {"self_service": False}, {"self_service": "the organization"}),
    "an open project in it": (
        [org(self_service=False), project(self_service=True)], {"self_service": True}, {"self_service": "the project Search"},
    ),
    "an open group in it": ([org(self_service=False), group(self_service=True)], {"self_service": True}, {}),
    "a closed project in an open one": ([org(self_service=True), project(self_service=False)], {"self_service": False}, {}),
    "a group that is shut out stays out": (
        [project(self_service=True), group("A", self_service=True), group("B", self_service=False)], {"self_service": False},
        {"self_service": "the group B"},
    ),
    "the nearest names who approves": (
        [org(approvers=("admins",)), group(approvers=("manager",)), project(approvers=("per_1",))], {"approvers": ("per_1",)},
        {"approvers": "the project Search"},
    ),
    "all groups name who approves": (
        [org(approvers=("admins",)), group("A", approvers=("per_2",)), group("B", approvers=("per_1", "per_2"))],
        {"approvers": ("per_1", "per_2")}, {"approvers": "the group A and the group B"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_strictest_holds_whatever_the_order(case: str) -> None:
    applying, differs, because = CASES[case]
    usual = {
        "longest_days": 365, "most_keys": 5, "most_keys_here": None, "scopes": "all", "self_service": True,
        "approvers": ("manager", "admins"),
    }  # fmt: skip
    for order in itertools.permutations(applying):
        found = effective(order, usual_most_keys=5)
        assert {name: getattr(found, name) for name in usual} == usual | differs
        assert because.items() <= found.because.items()


def policy(**said) -> Effective:
    usual = {
        "longest_days": 90, "most_keys": 3, "most_keys_here": None, "scopes": "all", "self_service": True, "approvers": (),
        "because": {"longest_days": "the organization"},
    }  # fmt: skip
    return Effective(**usual | said)


WISHES = [
    ("within", {}, {}, []),
    ("exactly at the limits", {}, {"days": 90, "held": 2}, []),
    ("too long", {}, {"days": 91}, ["longest_days"]),
    ("too many", {}, {"held": 3}, ["most_keys"]),
    ("too many, but shared ones do not count", {}, {"held": 9, "counts": False}, []),
    ("too many here", {"most_keys_here": 1}, {"held_here": 1}, ["most_keys_here"]),
    ("none at all allowed here", {"most_keys_here": 0}, {}, ["most_keys_here"]),
    ("too wide", {"scopes": frozenset({READ})}, {}, ["scopes"]),
    ("one permission too many", {"scopes": frozenset({READ})}, {"scopes": (READ, WRITE)}, ["scopes"]),
    ("narrow enough", {"scopes": frozenset({READ, WRITE})}, {"scopes": (WRITE,)}, []),
    ("nothing is allowed", {"scopes": frozenset()}, {"scopes": (READ,)}, ["scopes"]),
    ("closed", {"self_service": False}, {}, ["self_service"]),
    ("closed, but an administrator gives it to somebody", {"self_service": False}, {"is_self_service": False}, []),
    ("everything", {"self_service": False, "scopes": frozenset()}, {"days": 99, "held": 8},
     ["self_service", "longest_days", "most_keys", "scopes"]),
]  # fmt: skip


@pytest.mark.parametrize("case", WISHES, ids=[case[0] for case in WISHES])
def test_what_of_a_wish_is_beyond(case: tuple) -> None:
    _, said, wished, rules = case
    wanted = Wanted(**{"days": 30, "scopes": "all", "counts": True, "held": 0, "held_here": 0, "is_self_service": True} | wished)
    found = beyond(policy(**said), wanted)
    assert [each.rule for each in found] == rules
    if rules == ["longest_days"]:
        assert found == (Beyond("longest_days", "A key lives at most 90 days (the organization)."),)


@pytest.mark.parametrize(
    ("allowed", "generation", "usual"),
    [
        ("all", "auto", "all"), (frozenset({WRITE, READ}), "2026-11", (READ, WRITE)), (frozenset({READ}), "2026-08", "all"),
        (frozenset(), "auto", "all"),
    ],
)  # fmt: skip
def test_what_a_key_gets_when_nothing_was_chosen(allowed: Allowed, generation: str, usual: Scopes) -> None:
    """Never an empty list, which would be everything at OpenAI without anybody having said so."""
    chosen = usual_scopes(policy(scopes=allowed), generation)
    assert chosen == usual
    assert covers(allowed, chosen) is (generation != "2026-08" and allowed != frozenset())


@pytest.mark.parametrize("said", [{}, {"longest_days": 0}, {"longest_days": 366}, {"most_keys": -1}, {"approvers": ()}])
def test_a_policy_says_something_that_can_be(said: dict) -> None:
    with pytest.raises(InvalidInput):
        check_limits(org(**said))
