"""Who may be invited and removed, as tables of cases."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from govern.core.errors import Conflict, InvalidInput, PolicyViolation
from govern.members import rules
from govern.members.models import Invite, InviteState, Member
from govern.people.models import Person, PersonState
from govern.projects.models import Project

NOW = datetime(2026, 3, 10, tzinfo=UTC)
SEAT, LOST_SEAT = Member(role="reader"), Member(role="reader", vanished_at=NOW)
OWNER, LOST_OWNER = Member(role="owner"), Member(role="owner", vanished_at=NOW)


@pytest.mark.parametrize(
    ("person", "member", "invite", "error"),
    [
        (None, None, None, None),
        (PersonState.ACTIVE, None, None, None),
        (PersonState.LEFT, None, None, None),
        (PersonState.LEAVING, None, None, PolicyViolation),
        (PersonState.ACTIVE, SEAT, None, Conflict),
        (PersonState.ACTIVE, LOST_SEAT, None, None),
        (None, None, Invite(id="inv_1"), Conflict),
        (PersonState.LEFT, LOST_SEAT, None, None),
    ],
)
def test_who_may_be_invited(
    person: PersonState | None, member: Member | None, invite: Invite | None, error: type[Exception] | None
) -> None:
    who = Person(state=person) if person else None
    if error is None:
        rules.check_may_invite("eve@acme.example", person=who, member=member, open_invite=invite)
        return
    with pytest.raises(error, match=r"eve@acme\.example"):
        rules.check_may_invite("eve@acme.example", person=who, member=member, open_invite=invite)


@pytest.mark.parametrize(
    ("role", "places", "good"),
    [
        ("reader", [], True), ("owner", ["member", "owner"], True), ("admin", [], False), ("", [], False),
        ("reader", ["viewer"], False), ("reader", ["member", "Owner"], False),
    ],
)  # fmt: skip
def test_roles_that_openai_knows(role: str, places: list[str], good: bool) -> None:
    if good:
        rules.check_roles(role, places)
        return
    with pytest.raises(InvalidInput) as caught:
        rules.check_roles(role, places)
    assert set(caught.value.fields) <= {"role", "projects"}


@pytest.mark.parametrize(
    ("project", "good"), [({}, True), ({"archived_at": NOW}, False), ({"vanished_at": NOW}, False), ({"is_default": True}, True)]
)
def test_projects_into_which_one_can_be_invited(project: dict[str, object], good: bool) -> None:
    place = Project(name="Search", **project)
    if good:
        rules.check_open_project(place)
        return
    with pytest.raises(PolicyViolation):
        rules.check_open_project(place)


CANCELLABLE = {InviteState.REQUESTED, InviteState.PENDING, InviteState.CANCELLING, InviteState.CANCELLED}
RESENDABLE = {InviteState.PENDING, InviteState.EXPIRED, InviteState.REFUSED, InviteState.CANCELLED}


@pytest.mark.parametrize("state", InviteState)
def test_which_invites_can_be_cancelled_and_sent_again(state: InviteState) -> None:
    for check, allowed in ((rules.check_may_cancel, CANCELLABLE), (rules.check_may_resend, RESENDABLE)):
        if state in allowed:
            check(Invite(state=state))
        else:
            with pytest.raises(Conflict, match=state.value):
                check(Invite(state=state))


@pytest.mark.parametrize(
    ("member", "owners", "good"),
    [(None, 1, True), (SEAT, 1, True), (OWNER, 2, True), (OWNER, 1, False), (OWNER, 0, False), (LOST_OWNER, 1, True)],
)
def test_the_last_owner_stays(member: Member | None, owners: int, good: bool) -> None:
    if good:
        rules.check_may_remove(member, owners=owners)
        return
    with pytest.raises(PolicyViolation) as caught:
        rules.check_may_remove(member, owners=owners)
    assert caught.value.rule == "last_owner"
