"""Who may be invited and removed: pure decisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from govern.core.errors import Conflict, InvalidInput, PolicyViolation
from govern.members.models import Invite, InviteState, Member
from govern.people.models import Person, PersonState
from govern.projects.models import Project

SEAT_ROLES: Final = ("reader", "owner")
PROJECT_ROLES: Final = ("member", "owner")


def check_roles(role: str, project_roles: Sequence[str]) -> None:
    """Raise InvalidInput for words that OpenAI does not know."""
    if role not in SEAT_ROLES:
        raise InvalidInput(f"{role!r} is not a role of the organization.", {"role": "Choose reader or owner."})
    for word in project_roles:
        if word not in PROJECT_ROLES:
            raise InvalidInput(f"{word!r} is not a role in a project.", {"projects": "Choose member or owner."})


def check_may_invite(email: str, *, person: Person | None, member: Member | None, open_invite: Invite | None) -> None:
    """Raise Conflict or PolicyViolation if this address cannot be offered a seat now."""
    if member is not None and member.vanished_at is None:
        raise Conflict(f"{email} is a member already.")
    if open_invite is not None:
        raise Conflict(f"{email} has an open invite already; cancel or re-send that one.", invite=open_invite.id)
    if person is not None and person.state is PersonState.SUSPENDED:
        raise PolicyViolation(f"{email} is suspended. Resume them instead of inviting them.", "person_active")
    if person is not None and person.state is PersonState.LEAVING:
        raise PolicyViolation(f"{email} is being removed; wait until that is done.", "person_active")


def check_open_project(project: Project) -> None:
    """Raise PolicyViolation for a project into which nobody can be invited."""
    if project.archived_at is not None or project.vanished_at is not None:
        raise PolicyViolation(f"The project {project.name} is archived; leave it out.", "project_open")


def check_may_cancel(invite: Invite) -> None:
    """Raise Conflict unless the invite is still open."""
    if invite.state not in (InviteState.REQUESTED, InviteState.PENDING, InviteState.CANCELLING, InviteState.CANCELLED):
        raise Conflict(f"The invite is {invite.state.value} and cannot be cancelled.")


def check_may_resend(invite: Invite) -> None:
    """Raise Conflict unless a new mail makes sense."""
    if invite.state not in (InviteState.PENDING, InviteState.EXPIRED, InviteState.REFUSED, InviteState.CANCELLED):
        raise Conflict(f"The invite is {invite.state.value}; there is nothing to send again.")


def check_may_remove(member: Member | None, *, owners: int) -> None:
    """Raise PolicyViolation for the last owner: nobody could manage the organization any more."""
    if member is not None and member.vanished_at is None and member.role == "owner" and owners <= 1:
        raise PolicyViolation(
            "This is the organization's last owner who is neither suspended nor leaving. Make somebody else an owner first.",
            "last_owner",
        )
