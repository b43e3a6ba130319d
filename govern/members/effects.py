"""Send and cancel invites. An invite has no secret, so one found on a second attempt is adopted, not made again."""

from __future__ import annotations

from dataclasses import dataclass

from govern.core import outbox
from govern.core.crashpoints import crashpoint
from govern.core.errors import Missing, Rejected
from govern.core.outbox import Claim, Later, wait_longer
from govern.core.uow import UnitsOfWork
from govern.members import service
from govern.members.models import Invite, InviteState
from govern.ports import Directory, RemoteInvite


@dataclass(frozen=True)
class SendInvite:
    """`invite.send`: cancel the one that is replaced, adopt a pending one, else offer."""

    unit_of_work: UnitsOfWork
    directory: Directory

    def __call__(self, claim: Claim) -> Later | None:
        with self.unit_of_work.reading() as session:
            offered = session.get_one(Invite, claim.subject_id)
        if offered.state is not InviteState.REQUESTED:
            self._settle(claim)
            return None
        pending = _pending(self.directory, offered.email)
        for remote in pending:
            if remote.id == offered.remote_id:  # sent again: the old offer ends first
                self.directory.cancel_invite(remote.id)
        others = [remote for remote in pending if remote.id != offered.remote_id]
        crashpoint("invite.send.before_create")
        try:
            remote = _adopt(others, offered) or self.directory.invite(offered.email, offered.role, service.grants_of(offered))
        except (Rejected, Missing) as refusal:  # Missing: one of the projects is gone
            # Refused because it is pending, sent by an attempt that died, and the listing above has missed it?
            pending = [invite for invite in _pending(self.directory, offered.email) if _offers(invite, offered)]
            if not pending:
                with self.unit_of_work(claim.actor) as uow:
                    outbox.settle(uow, claim)
                    service.record_refused(uow, offered.id, refusal.sentence)
                return None
            remote = pending[0]
        crashpoint("invite.send.created")
        with self.unit_of_work(claim.actor) as uow:
            outbox.settle(uow, claim)
            service.record_sent(uow, offered.id, remote)
            crashpoint("invite.send.before_commit")
        crashpoint("invite.send.recorded")
        return None

    def _settle(self, claim: Claim) -> None:
        with self.unit_of_work(claim.actor) as uow:
            outbox.settle(uow, claim)


@dataclass(frozen=True)
class CancelInvite:
    """`invite.cancel`: delete every pending invite of the address, then see that none is pending."""

    unit_of_work: UnitsOfWork
    directory: Directory

    def __call__(self, claim: Claim) -> Later | None:
        with self.unit_of_work.reading() as session:
            offered = session.get_one(Invite, claim.subject_id)
            sending = outbox.open_effect(session, "invite.send", claim.subject_id)
        if sending is not None:
            return Later(1, "The invite is still being sent.")
        for remote in _pending(self.directory, offered.email):
            crashpoint("invite.cancel.before_delete")
            try:
                self.directory.cancel_invite(remote.id)
            except Rejected:  # accepted a moment ago: the listing below says so
                continue
        crashpoint("invite.cancel.deleted")
        left = {remote.id: remote.status for remote in self.directory.invites() if _same(remote, offered.email)}
        if "pending" in left.values():
            return wait_longer(claim, "OpenAI still lists the invite.")
        accepted = offered.remote_id is not None and left.get(offered.remote_id) == "accepted"
        with self.unit_of_work(claim.actor) as uow:
            outbox.settle(uow, claim)
            service.record_ended(uow, offered.id, InviteState.ACCEPTED if accepted else InviteState.CANCELLED)
            crashpoint("invite.cancel.before_commit")
        crashpoint("invite.cancel.recorded")
        return None


def _pending(directory: Directory, email: str) -> list[RemoteInvite]:
    return [remote for remote in directory.invites() if remote.status == "pending" and _same(remote, email)]


def _same(remote: RemoteInvite, email: str) -> bool:
    return remote.email.casefold() == email


def _offers(remote: RemoteInvite, offered: Invite) -> bool:
    return remote.role == offered.role and set(remote.projects) == set(service.grants_of(offered))


def _adopt(pending: list[RemoteInvite], offered: Invite) -> RemoteInvite | None:
    """A pending invite that offers exactly the same. One that offers something else is another's: raise Rejected."""
    for remote in pending:
        if _offers(remote, offered):
            return remote
    if pending:
        raise Rejected("OpenAI holds another pending invite for this address, with other rights. Cancel that one first.")
    return None
