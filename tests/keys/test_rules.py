"""Who may hold and see a key, as tables of cases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from govern.core.errors import InvalidInput, NotAllowed, PolicyViolation
from govern.core.uow import Actor, ActorKind
from govern.keys import rules
from govern.keys.models import Key
from govern.people.models import Person, PersonState
from govern.projects.models import Project

NOW = datetime(2026, 3, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("state", "project", "held", "broken_rule"),
    [
        (PersonState.ACTIVE, {}, 0, None),
        (PersonState.ACTIVE, {}, 4, None),
        (PersonState.ACTIVE, {}, 5, "most_per_person"),
        (PersonState.ACTIVE, {}, 6, "most_per_person"),
        (PersonState.LEAVING, {}, 0, "person_active"),
        (PersonState.LEFT, {}, 0, "person_active"),
        (PersonState.ACTIVE, {"archived_at": NOW}, 0, "project_open"),
        (PersonState.ACTIVE, {"vanished_at": NOW}, 0, "project_open"),
        (PersonState.ACTIVE, {"is_default": True}, 0, "not_default"),
    ],
)
def test_who_may_hold_a_key(state: PersonState, project: dict[str, object], held: int, broken_rule: str | None) -> None:
    person, place = Person(name="Eve", state=state), Project(name="Search", **{"is_default": False} | project)
    if broken_rule is None:
        rules.check_may_hold(person, place, held=held, most_per_person=5)
        return
    with pytest.raises(PolicyViolation) as caught:
        rules.check_may_hold(person, place, held=held, most_per_person=5)
    assert caught.value.rule == broken_rule


@pytest.mark.parametrize(
    ("lifetime", "good"),
    [
        (timedelta(seconds=1), True), (timedelta(days=30), True), (timedelta(days=365), True), (timedelta(0), False),
        (timedelta(days=-1), False), (timedelta(days=365, seconds=1), False),
    ],
)  # fmt: skip
def test_how_long_a_key_may_live(lifetime: timedelta, good: bool) -> None:
    if good:
        rules.check_lifetime(lifetime)
        return
    with pytest.raises(InvalidInput) as caught:
        rules.check_lifetime(lifetime)
    assert "expires_in_days" in caught.value.fields


@pytest.mark.parametrize("name", ["laptop", "  laptop ", "Eve's laptop 2", "Ünïcode ✓", "x" * 120])
def test_good_names_are_trimmed(name: str) -> None:
    assert rules.check_name(name) == name.strip()


@pytest.mark.parametrize("name", ["", "   ", "x" * 121, "a\nb", "a\x00b", "\x1b[31mred", "right\u202eleft"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        rules.check_name(name)
    assert "name" in caught.value.fields


@pytest.mark.parametrize(
    ("who", "good"), [("per_eve", True), ("per_ada", True), ("per_max", True), ("per_ola", False), ("", False)]
)
def test_who_may_see_the_value(who: str, good: bool) -> None:
    key = Key(person_id="per_eve", requested_by="per_ada")
    actor = Actor(ActorKind.PERSON, who, who)
    if good:
        rules.check_may_reveal(key, actor, ["per_max"])
        return
    with pytest.raises(NotAllowed):
        rules.check_may_reveal(key, actor, ["per_max"])
