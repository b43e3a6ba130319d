"""Commands on members and invites."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from govern.audit import service as audit
from govern.core import outbox
from govern.core.errors import Conflict
from govern.core.uow import UnitOfWork
from govern.members import queries, rules
from govern.members.models import Invite, InviteState
from govern.people import queries as people_queries
from govern.people import service as people
from govern.ports import ProjectGrant, RemoteInvite
from govern.projects import queries as projects


def invite(uow: UnitOfWork, email: str, role: str, grants: Sequence[tuple[str, str]]) -> Invite:
    """Offer a seat. `grants` are pairs (project id, role in it); none means no project at all, not the default one.

    Raises InvalidInput, NotFound, Conflict, PolicyViolation.
    """
    email = people.clean_email(email)
    rules.check_roles(role, [word for _, word in grants])
    places = {}
    for project_id, word in grants:
        project = projects.get(uow.session, project_id)
        rules.check_open_project(project)
        places[project.remote_id] = word
    person = people_queries.find(uow.session, email)
    rules.check_may_invite(
        email, person=person, member=queries.find_member(uow.session, email), open_invite=queries.open_invite(uow.session, email)
    )
    if person is not None:
        people.welcome_back(uow, person)
    offered = Invite(
        id=uow.new_id("inv"), email=email, role=role, projects=[{"id": id_, "role": word} for id_, word in places.items()],
        state=InviteState.REQUESTED, issued_by_us=True, created_at=uow.now,
    )  # fmt: skip
    uow.session.add(offered)
    try:
        uow.session.flush()
    except sa.exc.IntegrityError as error:  # somebody else invited the same address a moment ago
        raise Conflict(f"{email} has an open invite already; cancel or re-send that one.") from error
    audit.record(uow, "invite.requested", offered, email=email, role=role, projects=offered.projects)
    outbox.enqueue(uow, "invite.send", offered.id)
    return offered


def cancel_invite(uow: UnitOfWork, invite_id: str) -> Invite:
    """Take the offer back. Repeating it changes nothing. Raises NotFound, Conflict."""
    offered = _lock(uow, queries.get_invite(uow.session, invite_id).id)
    rules.check_may_cancel(offered)
    if offered.state in (InviteState.REQUESTED, InviteState.PENDING):
        offered.state = InviteState.CANCELLING
        audit.record(uow, "invite.cancel_requested", offered, email=offered.email)
        outbox.enqueue(uow, "invite.cancel", offered.id)
    return offered


def resend_invite(uow: UnitOfWork, invite_id: str) -> Invite:
    """Send the offer again: OpenAI has no re-send, so the old one is cancelled and a new one made. Raises NotFound, Conflict."""
    offered = _lock(uow, queries.get_invite(uow.session, invite_id).id)
    rules.check_may_resend(offered)
    if offered.state is not InviteState.PENDING:
        rules.check_may_invite(
            offered.email, person=people_queries.find(uow.session, offered.email),
            member=queries.find_member(uow.session, offered.email), open_invite=queries.open_invite(uow.session, offered.email),
        )  # fmt: skip
    offered.state, offered.problem, offered.settled_at = InviteState.REQUESTED, None, None
    audit.record(uow, "invite.resend_requested", offered, email=offered.email)
    outbox.enqueue(uow, "invite.send", offered.id)
    return offered


def record_sent(uow: UnitOfWork, invite_id: str, remote: RemoteInvite) -> None:
    """OpenAI holds the offer now (made by us, or found and adopted)."""
    offered = _lock(uow, invite_id)
    offered.remote_id, offered.expires_at = remote.id, remote.expires_at
    if offered.state is InviteState.REQUESTED:  # a cancellation meanwhile keeps its state; it finds the remote id here
        offered.state = InviteState.PENDING
    audit.record(uow, "invite.sent", offered, email=offered.email, remote_id=remote.id)


def record_refused(uow: UnitOfWork, invite_id: str, problem: str) -> None:
    offered = _lock(uow, invite_id)
    offered.state, offered.problem, offered.settled_at = InviteState.REFUSED, problem[:300], uow.now
    audit.record(uow, "invite.refused", offered, email=offered.email, problem=offered.problem)


def record_ended(uow: UnitOfWork, invite_id: str, state: InviteState) -> None:
    """It is settled: cancelled and proven gone, or accepted before we could cancel it, or expired."""
    offered = _lock(uow, invite_id)
    if offered.state is state:
        return
    offered.state, offered.settled_at = state, uow.now
    audit.record(uow, f"invite.{state.value}", offered, email=offered.email)


def grants_of(offered: Invite) -> tuple[ProjectGrant, ...]:
    return tuple(ProjectGrant(place["id"], place["role"]) for place in offered.projects)


def _lock(uow: UnitOfWork, invite_id: str) -> Invite:
    return uow.session.scalars(
        sa.select(Invite).where(Invite.id == invite_id).with_for_update().execution_options(populate_existing=True)
    ).one()
