"""Which policy holds for a person in a project, and what of a wish is beyond it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from govern.core.errors import InvalidInput
from govern.policies.models import PolicyScope
from govern.ports import ALL_SCOPES, Scopes

MANAGER: Final = "manager"
ADMINS: Final = "admins"
USUAL_APPROVERS: Final = (MANAGER, ADMINS)
LONGEST_DAYS: Final = 365
"""OpenAI's own limit for an expiry."""

Allowed = frozenset[str] | Literal["all"]
"""The permissions that a key may have. None at all: every key is beyond it."""


@dataclass(frozen=True)
class Limits:
    """What one policy says; None: nothing about that. `where` names it for people: "the project Search"."""

    scope: PolicyScope
    where: str
    longest_days: int | None = None
    most_keys: int | None = None
    scopes: Scopes | None = None
    self_service: bool | None = None
    approvers: tuple[str, ...] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing at all."""
        said = (self.longest_days, self.most_keys, self.scopes, self.self_service, self.approvers)
        return all(each is None for each in said)


@dataclass(frozen=True)
class Effective:
    """What holds for one person in one project. `because`: name of the limit → whose policy decided it.

    `most_keys` counts the person's own keys everywhere, `most_keys_here` those in the project.
    """

    longest_days: int
    most_keys: int
    most_keys_here: int | None
    scopes: Allowed
    self_service: bool
    approvers: tuple[str, ...]
    because: Mapping[str, str]


def effective(limits: Sequence[Limits], *, usual_most_keys: int) -> Effective:
    """The strictest of each limit over all policies that apply. Their order makes no difference.

    `usual_most_keys` (the setting) stands for the organization's word where its policy has none. Who approves and where people
    serve themselves are no matter of strictness: the nearest policy that says so decides, the project's before the groups'
    before the organization's; only a group that is shut out stays out.
    """
    because: dict[str, str] = {}

    def least(name: str, given: list[tuple[int, str]]) -> int | None:
        if not given:
            return None
        value, because[name] = min(given)
        return value

    def said(field: Callable[[Limits], int | None], *among: PolicyScope) -> list[tuple[int, str]]:
        found = [(field(each), each.where) for each in limits if each.scope in among]
        return [(value, where) for value, where in found if value is not None]

    longest = least("longest_days", said(lambda each: each.longest_days, *PolicyScope))
    everywhere = said(lambda each: each.most_keys, PolicyScope.ORGANIZATION, PolicyScope.GROUP)
    if not any(each.scope is PolicyScope.ORGANIZATION and each.most_keys is not None for each in limits):
        everywhere.append((usual_most_keys, "the settings"))
    most = least("most_keys", everywhere)
    here = least("most_keys_here", said(lambda each: each.most_keys, PolicyScope.PROJECT))
    is_open = _is_open(limits, because)
    assert most is not None  # the settings speak where no policy does
    return Effective(
        longest if longest is not None else LONGEST_DAYS, most, here, _scopes(limits, because), is_open,
        _approvers(limits, because), because,
    )  # fmt: skip


def _is_open(limits: Sequence[Limits], because: dict[str, str]) -> bool:
    """A group that is shut out stays out; else the nearest policy decides, so that a project can be open in a closed house."""

    def said(scope: PolicyScope) -> list[tuple[bool, str]]:
        return sorted((each.self_service, each.where) for each in limits if each.scope is scope and each.self_service is not None)

    groups = said(PolicyScope.GROUP)
    shut_out = [each for each in groups if not each[0]]
    nearest = [*shut_out, *said(PolicyScope.PROJECT), *groups, *said(PolicyScope.ORGANIZATION)]
    if not nearest:
        return True
    is_open, because["self_service"] = nearest[0]
    return is_open


def allowed_scopes(limits: Sequence[Limits]) -> Allowed:
    """The permissions that all of these policies allow."""
    return _scopes(limits, {})


def _scopes(limits: Sequence[Limits], because: dict[str, str]) -> Allowed:
    allowed: Allowed = ALL_SCOPES
    narrowing = [(each.where, frozenset(each.scopes)) for each in limits if each.scopes not in (None, ALL_SCOPES) and each.scopes]
    for _, some in narrowing:
        allowed = some if allowed == ALL_SCOPES else frozenset(allowed) & some
    if narrowing:
        because["scopes"] = " and ".join(sorted(where for where, _ in narrowing))
    return allowed


def _approvers(limits: Sequence[Limits], because: dict[str, str]) -> tuple[str, ...]:
    for scope in (PolicyScope.PROJECT, PolicyScope.GROUP, PolicyScope.ORGANIZATION):
        named = sorted((each.where, each.approvers) for each in limits if each.scope is scope and each.approvers)
        if named:
            because["approvers"] = " and ".join(where for where, _ in named)
            return tuple(dict.fromkeys(sorted(who for _, approvers in named for who in approvers or ())))
    return USUAL_APPROVERS


@dataclass(frozen=True)
class Wanted:
    """What somebody asks for. `held`: keys of that kind that they have already, `held_here`: of these in the project.

    `counts` is False for a shared key that an administrator gives out: it is an application's. `is_self_service`: the asker gets
    the key themself, or could not have decided it alone.
    """

    days: int
    scopes: Scopes
    counts: bool
    held: int
    held_here: int
    is_self_service: bool


@dataclass(frozen=True)
class Beyond:
    """One limit that a wish goes beyond: its name, and a sentence."""

    rule: str
    sentence: str


def beyond(policy: Effective, wanted: Wanted) -> tuple[Beyond, ...]:
    """Every limit that the wish goes beyond; none: it is within policy."""
    found: list[Beyond] = []

    def add(rule: str, sentence: str) -> None:
        where = policy.because.get(rule)
        found.append(Beyond(rule, f"{sentence} ({where})." if where else f"{sentence}."))

    if wanted.is_self_service and not policy.self_service:
        add("self_service", "Keys are not to be had without approval here")
    if wanted.days > policy.longest_days:
        add("longest_days", f"A key lives at most {policy.longest_days} days")
    if wanted.counts and wanted.held >= policy.most_keys:
        add("most_keys", f"{wanted.held} keys are held already, and the most per person is {policy.most_keys}")
    if wanted.counts and policy.most_keys_here is not None and wanted.held_here >= policy.most_keys_here:
        add(
            "most_keys_here", f"{wanted.held_here} keys are held in this project already, and the most is {policy.most_keys_here}"
        )
    if not covers(policy.scopes, wanted.scopes):
        allowed = ", ".join(sorted(policy.scopes)) if policy.scopes else "nothing"
        add("scopes", f"A key may do only: {allowed}")
    return tuple(found)


def covers(allowed: Allowed, scopes: Scopes) -> bool:
    """Whether a key that may do these things may do nothing besides what is allowed. Names are compared as they are written."""
    if allowed == ALL_SCOPES:
        return True
    return scopes != ALL_SCOPES and set(scopes) <= set(allowed)


def usual_scopes(policy: Effective, generation: str) -> Scopes:
    """What a key gets when nothing was chosen: all that the policy allows. Where the API cannot narrow a key: everything."""
    if policy.scopes == ALL_SCOPES or not policy.scopes or generation == "2026-08":
        return ALL_SCOPES
    return tuple(sorted(policy.scopes))


def check_limits(limits: Limits) -> None:
    """Raise InvalidInput for a policy that says nothing, or something that cannot be."""
    if limits.is_empty:
        raise InvalidInput("A policy says something about at least one limit; else remove it.", {"longest_days": "Choose one."})
    if limits.longest_days is not None and not 1 <= limits.longest_days <= LONGEST_DAYS:
        raise InvalidInput("A key lives between 1 and 365 days.", {"longest_days": "Choose 1 to 365."})
    if limits.most_keys is not None and not 0 <= limits.most_keys <= 1000:
        raise InvalidInput("A person holds between 0 and 1000 keys.", {"most_keys": "Choose 0 to 1000."})
    if limits.approvers is not None and not 1 <= len(limits.approvers) <= 20:
        raise InvalidInput("Name 1 to 20 who approve.", {"approvers": "The words manager and admins, or addresses."})
