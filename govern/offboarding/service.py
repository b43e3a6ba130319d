"""Commands of a removal. `start` contains the person in one transaction; `effects.Run` ends and proves the rest."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from govern.approvals import service as approvals
from govern.audit import service as audit
from govern.core import outbox
from govern.core.errors import Conflict
from govern.core.uow import UnitOfWork
from govern.evidence import service as evidence
from govern.identity import service as identity
from govern.keys import queries as key_queries
from govern.keys import rotation, sharing
from govern.keys import service as keys
from govern.keys.models import KeyKind, ObservedKey
from govern.members import queries as members
from govern.members import service as member_service
from govern.members.models import InviteState, Member
from govern.offboarding import case as cases
from govern.offboarding import guards, queries, record, rules, suspending, witnesses
from govern.offboarding.models import Offboarding, OffboardingState
from govern.people import service as people
from govern.people.models import PersonState
from govern.projects.models import ProjectMember

SHARED_OVERLAP: Final = timedelta(hours=24)
"""How long the old version of a shared key works on, for applications that nobody is seen moving to the new one."""
BY_ITSELF_AFTER: Final = timedelta(hours=6)
"""A removal ends the keys itself, many at once. Whatever it would not have ended by then is ended one by one."""


def start(uow: UnitOfWork, id_or_email: str, *, reason: str) -> Offboarding:
    """Cut the person off here and now, and owe the removal at OpenAI.

    Repeatable: while a removal is under way it is returned and made due again; when it is done and nothing came back, the
    finished one is returned. Raises NotFound, InvalidInput, PolicyViolation (the last owner, the owner of our admin key).
    """
    reason = rules.check_reason(reason)
    subject = queries.subject_of(uow.session, id_or_email)
    person = people.lock(uow.session, subject.person.id) if subject.person else None
    earlier = queries.latest(uow.session, subject.email)
    if earlier is not None and earlier.state is OffboardingState.CONTAINED:
        outbox.enqueue(uow, "offboarding.run", earlier.id)
        return earlier
    seated = subject.member is not None and subject.member.vanished_at is None
    if earlier is not None and not seated and subject.invite is None and (person is None or person.state is PersonState.LEFT):
        return earlier
    guards.one_at_a_time(uow, subject.member)
    guards.check_may_go(uow.session, subject)
    removal = Offboarding(
        id=uow.new_id("off"), email=subject.email, person_id=person.id if person else None,
        member_remote_id=subject.member.remote_id if subject.member else None, state=OffboardingState.CONTAINED,
        reason=reason, started_by=uow.actor.id, started_at=uow.now, steps=rules.planned(),
    )  # fmt: skip
    held = cases.known(uow.session, subject)
    uow.session.add(removal)
    try:
        uow.session.flush()
    except sa.exc.IntegrityError as error:
        raise Conflict(f"The removal of {subject.email} has begun a moment ago.") from error
    record.hold(uow, removal.id, held)
    if person is not None:
        suspending.give_way_to_removal(uow, person.id)
        people.contain(uow, person)
        identity.end_everything(uow, person.id)
        approvals.freeze_for(uow, person.id)
        why = rules.why(person.email, reason)
        for key in key_queries.find_keys(uow.session, person_id=person.id, kind=KeyKind.PERSONAL, limit=1000):
            keys.revoke_key(uow, key.id, reason=why, by_itself_after=BY_ITSELF_AFTER)
        _rotate_what_they_saw(uow, person.id, why)
    if subject.invite is not None and subject.invite.state in (InviteState.REQUESTED, InviteState.PENDING):
        member_service.cancel_invite(uow, subject.invite.id)
    audit.record(uow, "member.contained", removal, email=subject.email, reason=reason)
    outbox.enqueue(uow, "offboarding.run", removal.id)
    return removal


def _rotate_what_they_saw(uow: UnitOfWork, person_id: str, reason: str) -> None:
    """Applications go on with a new version of each shared key whose value the person knows; of no other."""
    sharing.disentitle_everywhere(uow, person_id)
    for key in key_queries.shared_keys_seen_by(uow.session, person_id):
        if len(key_queries.open_versions_of(uow.session, key.id)) == 1:  # else a rotation is under way already
            rotation.rotate(uow, key.id, reason=reason, overlap=SHARED_OVERLAP)


def record_done(uow: UnitOfWork, removal_id: str) -> None:
    """Complete listings, read twice, show nothing of them: the word *revoked* may be used, and evidence is signed."""
    removal = uow.session.get_one(Offboarding, removal_id)
    removal.state, removal.done_at, removal.waiting_for = OffboardingState.DONE, uow.now, None
    done = {"state": "done", "at": uow.now.isoformat()}
    removal.steps = [step | done if step["name"] == "verify" else step for step in removal.steps]
    record.all_proven(uow, removal.id)
    uow.session.flush()
    removal.evidence_id = evidence.sign(uow, "removal", removal.id, witnesses.removal_facts(uow.session, removal)).id
    if removal.person_id is not None:
        people.record_left(uow, people.lock(uow.session, removal.person_id))
    for name in filter(None, (removal.member_remote_id, removal.email)):
        member = members.find_member(uow.session, name)
        if member is not None and member.vanished_at is None:
            _forget_seat(uow, member)
    audit.record(uow, "member.revoked", removal, email=removal.email)


def _forget_seat(uow: UnitOfWork, member: Member) -> None:
    """What the next directory sync would find out by itself: show it at once."""
    member.vanished_at = uow.now
    for table, owner in ((ProjectMember, ProjectMember.member_remote_id), (ObservedKey, ObservedKey.owner_remote_id)):
        here = sa.update(table).where(owner == member.remote_id, table.vanished_at.is_(None))
        uow.session.execute(here.values(vanished_at=uow.now))


def seal_due(uow: UnitOfWork, *, after: timedelta) -> dict[str, int]:
    """Seal the proven removals whose keys nobody used for so long since; say so where somebody did. Returns how many of each."""
    sealed = used = 0
    for removal in queries.due_for_seal(uow.session, uow.now - after):
        assert removal.done_at is not None  # the query asked for it
        remote_ids = witnesses.remote_key_ids(uow.session, removal)
        late = witnesses.used_after(uow.session, remote_ids, removal.done_at)
        if late:
            if removal.waiting_for is None:
                removal.waiting_for = f"OpenAI reports use of {len(late)} of the removed keys after their end."
                audit.record(uow, "member.use_reported", removal, keys=sorted(late))
            used += 1
        elif witnesses.usage_is_known_until(uow.session, removal.done_at + after):
            if not witnesses.log_has_spoken(uow.session, removal, uow.now):
                continue
            removal.sealed_at, removal.waiting_for = uow.now, None
            facts = witnesses.seal_facts(uow.session, removal, removal.done_at + after, uow.now)
            removal.seal_id = evidence.sign(uow, "removal.seal", removal.id, facts).id
            audit.record(uow, "member.removal_sealed", removal, evidence=removal.seal_id)
            sealed += 1
    return {"sealed": sealed, "used_after_removal": used}
