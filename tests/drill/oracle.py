"""What must hold, whoever died where: the rows compared with what OpenAI really holds.

`spot_check` holds at any moment, `check` when everything has come to rest. Both return sentences about what does not hold.
The numbers are those of the invariants: I1 nothing stays behind, I2 no ghosts, I3 nothing twice, I4 what was acknowledged
stays, I5 who is contained is out, I6 "revoked" is true, I7 states go one way, I8 nothing foreign is touched, I11 everything
is on record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import undefer

from govern.audit.models import AuditEvent
from govern.batches.models import Batch, BatchRow, RowState
from govern.core.crypto import Place
from govern.core.outbox import Effect
from govern.fakes.openai import FakeOpenAI
from govern.keys import rules
from govern.keys.freezing import FROZEN_SCOPES
from govern.keys.models import ENDED_STATES, OPEN_STATES, Freeze, FreezeState, Key, KeyState, KeyVersion
from govern.members.models import Invite, InviteState
from govern.offboarding.models import Offboarding, OffboardingState
from govern.ports import ALL_SCOPES, read_scopes
from tests.drill.oracle_listed import listed
from tests.given import World

PREFIX: Final = "govern:"
_RANK: Final = {
    KeyState.REQUESTED: 0, KeyState.LIVE: 1, KeyState.ABORTING: 2, KeyState.REVOKING: 2, KeyState.REVOKED: 3, KeyState.ABORTED: 3,
}  # fmt: skip


@dataclass
class Ledger:
    """What the drill itself did and was told, so that the oracle knows what to expect. Ids are OpenAI's.

    `foreign`: accounts, keys and admin keys that were there before. `doomed`: those whose end somebody asked for or brought
    about. `asked`: names under which one key each was asked for. `acknowledged`: those of them that a client was promised.
    `ending`: those whose end was asked for, by whatever way. `values`: what was shown to somebody. `removed`: addresses of those
    whose removal was asked for. `let_in`: of those who were invited or let in again afterwards. `leavers`: OpenAI's ids of
    the removed.
    """

    foreign: set[str] = field(default_factory=set)
    doomed: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    ending: set[str] = field(default_factory=set)
    acknowledged: set[str] = field(default_factory=set)
    values: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    let_in: set[str] = field(default_factory=set)
    leavers: set[str] = field(default_factory=set)
    ranks: dict[str, int] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)

    @classmethod
    def at(cls, openai: FakeOpenAI) -> Ledger:
        """All that there is now is foreign."""
        return cls(foreign=natives(openai))


def natives(openai: FakeOpenAI) -> set[str]:
    """The ids of every account, key and admin key that exists."""
    oracle = openai.oracle()
    accounts = {account.id for account in oracle.service_accounts()}
    return accounts | {life.id for life in oracle.key_lives() if life.died_at is None} | set(openai.org.tables.admin_keys)


@dataclass
class Rows:
    """One reading of the database."""

    keys: list[Key]
    versions: list[KeyVersion]
    invites: list[Invite]
    removals: list[Offboarding]
    freezes: list[Freeze]
    batches: list[Batch]
    batch_rows: list[BatchRow]
    effects: list[Effect]
    done: Counter[tuple[str, str]]

    @classmethod
    def of(cls, world: World) -> Rows:
        events = sa.select(AuditEvent.action, AuditEvent.subject_id)
        with world.govern.unit_of_work.reading() as session:
            versions = sa.select(KeyVersion).options(undefer(KeyVersion.sealed)).order_by(KeyVersion.id)
            return cls(
                list(session.scalars(sa.select(Key))), list(session.scalars(versions)), list(session.scalars(sa.select(Invite))),
                list(session.scalars(sa.select(Offboarding))), list(session.scalars(sa.select(Freeze).order_by(Freeze.id))),
                list(session.scalars(sa.select(Batch))), list(session.scalars(sa.select(BatchRow))),
                list(session.scalars(sa.select(Effect))),
                Counter((row.action, row.subject_id) for row in session.execute(events)),
            )  # fmt: skip

    def of_key(self, key: Key) -> list[KeyVersion]:
        return [version for version in self.versions if version.key_id == key.id]


def spot_check(world: World, ledger: Ledger) -> list[str]:
    """What holds at any moment, also while much is still owed."""
    rows, bad = Rows.of(world), []
    alive = {life.id for life in world.openai.oracle().key_lives() if life.died_at is None}
    for version in rows.versions:
        if version.state in ENDED_STATES and version.remote_id in alive:
            bad.append(f"I6 version {version.number} is called {version.state.value} and its key lives")
        if ledger.ranks.get(version.id, 0) > _RANK[version.state]:
            bad.append(f"I7 a version went back to {version.state.value}")
        ledger.ranks[version.id] = _RANK[version.state]
    for effect in rows.effects:
        if ledger.attempts.get(effect.id, 0) > effect.attempt:
            bad.append(f"I7 the fence of {effect.kind} went back")
        ledger.attempts[effect.id] = effect.attempt
    for removal in rows.removals:
        if removal.state is OffboardingState.DONE:
            bad += _left_of(world.openai, removal, ledger)
    return bad + _foreign(world.openai, ledger)


def check(world: World, ledger: Ledger) -> list[str]:
    """What holds when nothing is owed any more."""
    rows, bad = Rows.of(world), spot_check(world, ledger)
    bad += [f"stuck: {effect.kind} {effect.last_error}" for effect in world.owed()]
    bad += [f"given up: {effect.kind} {effect.last_error}" for effect in world.dead()]
    if not world.audit_holds():
        bad.append("I11 the audit log's chain does not hold")
    for part in (_keys, _accounts, _freezes, _invites, _removals, _batches, _promises):
        bad += part(world, rows, ledger)
    return bad + listed(world, natives(world.openai))


def _foreign(openai: FakeOpenAI, ledger: Ledger) -> Iterable[str]:
    theirs = {life.id for life in openai.oracle().key_lives() if life.owner_id in ledger.leavers}
    gone = ledger.foreign - ledger.doomed - theirs - natives(openai)
    return [f"I8 {native} was not ours and is gone" for native in sorted(gone)]


def _keys(world: World, rows: Rows, ledger: Ledger) -> list[str]:
    bad, oracle = [], world.openai.oracle()
    listed = {key.id: key.scopes for key in world.native_keys()}
    frozen = {freeze.remote_id for freeze in rows.freezes}
    for key in rows.keys:
        versions = rows.of_key(key)
        still_open = [version for version in versions if version.state in OPEN_STATES]
        if key.state not in (KeyState.LIVE, *ENDED_STATES):
            bad.append(f"stuck: key {key.name} is {key.state.value}")
        if (key.state is KeyState.LIVE) != bool(still_open):
            bad.append(f"key {key.name} is {key.state.value} with {len(still_open)} open versions")
        if len(still_open) > 2:
            bad.append(f"I3 key {key.name} has {len(still_open)} live versions")
        for version in versions:
            if version.state is not KeyState.LIVE:
                continue
            if version.remote_id not in listed and version.remote_id not in ledger.doomed:
                bad.append(f"I2 version {version.number} of {key.name} is live and OpenAI has nothing of it")
            elif (
                version.remote_id in listed
                and version.remote_id not in frozen
                and listed[version.remote_id] != asked_for(version)
            ):
                bad.append(f"version {version.number} of {key.name} may do {listed[version.remote_id]}")
            elif version.sealed is not None and version.remote_id in listed:
                value = world.govern.box.open(version.sealed, Place("key_versions", "sealed", version.id))
                if not oracle.authenticates(value.reveal()):
                    bad.append(f"I2 the sealed value of {key.name} opens nothing")
        issued = sum(version.issued_at is not None for version in versions)
        if rows.done["key.issued", key.id] != issued:
            bad.append(f"I11 {key.name}: {issued} versions were issued, {rows.done['key.issued', key.id]} are on record")
        for word, state in (("key.revoked", KeyState.REVOKED), ("key.aborted", KeyState.ABORTED)):
            vanished = rows.done["key.vanished", key.id]
            if rows.done[word, key.id] + vanished != (key.state is state) and not (vanished and rows.done[word, key.id] <= 1):
                bad.append(f"I11 {key.name} is {key.state.value}, and {word} is on record {rows.done[word, key.id]} times")
    return bad


def asked_for(version: KeyVersion) -> tuple[str, ...]:
    """The permissions that OpenAI should show: its word for "everything" is an empty list."""
    scopes = rules.scopes_of(version)
    return () if scopes == ALL_SCOPES else tuple(scopes)


def _accounts(world: World, rows: Rows, ledger: Ledger) -> list[str]:
    bad = []
    live = {version.service_account_remote_id for version in rows.versions if version.state is KeyState.LIVE}
    known = {version.id for version in rows.versions}
    for account in world.openai.oracle().service_accounts():
        if account.id in live or account.id in ledger.foreign:
            continue
        ours = account.name.startswith(PREFIX) and account.name.removeprefix(PREFIX) in known
        bad.append(f"I1 account {account.name} stayed behind" if ours else f"I1 account {account.name} is nobody's")
    return bad


def _freezes(world: World, rows: Rows, ledger: Ledger) -> list[str]:
    """OpenAI allows each key exactly what is recorded, whoever spoke last."""
    bad, scopes = [], {key.id: key.scopes for key in world.native_keys()}
    newest = {freeze.remote_id: freeze for freeze in rows.freezes}
    for freeze in newest.values():
        if freeze.state in (FreezeState.FREEZING, FreezeState.THAWING):
            bad.append(f"stuck: a freeze is {freeze.state.value}")
        elif freeze.remote_id in scopes:
            restored = read_scopes(freeze.restore)
            allowed = FROZEN_SCOPES if freeze.state is FreezeState.FROZEN else () if restored in (None, ALL_SCOPES) else restored
            if scopes[freeze.remote_id] != allowed:
                bad.append(f"a key that is {freeze.state.value} may do {scopes[freeze.remote_id]}")
        elif freeze.state is FreezeState.FROZEN and freeze.remote_id not in ledger.doomed:
            bad.append("a key that is called frozen does not exist")
    return bad


def _invites(world: World, rows: Rows, ledger: Ledger) -> list[str]:
    bad = []
    pending = sorted(invite.id for invite in world.openai.oracle().invites() if invite.status == "pending")
    recorded = sorted(str(invite.remote_id) for invite in rows.invites if invite.state is InviteState.PENDING)
    if pending != recorded:
        bad.append(f"I1 pending at OpenAI: {pending}, on record: {recorded}")
    for invite in rows.invites:
        if invite.state in (InviteState.REQUESTED, InviteState.CANCELLING):
            bad.append(f"stuck: the invite of {invite.email} is {invite.state.value}")
        cancelled = rows.done["invite.cancelled", invite.id]
        if cancelled > 1 or (invite.state is InviteState.CANCELLED) > cancelled:
            bad.append(f"I11 the invite of {invite.email} was cancelled {cancelled} times")
        if invite.issued_by_us and invite.state is InviteState.PENDING and not rows.done["invite.sent", invite.id]:
            bad.append(f"I11 the invite of {invite.email} was sent and is not on record")
    return bad


def _removals(world: World, rows: Rows, ledger: Ledger) -> list[str]:
    bad = []
    for removal in rows.removals:
        for word in ("member.contained", "member.revoked"):
            if rows.done[word, removal.id] != 1:
                bad.append(f"I11 {word} of {removal.email} is on record {rows.done[word, removal.id]} times")
        if removal.state is not OffboardingState.DONE:
            bad.append(f"stuck: the removal of {removal.email} waits for {removal.waiting_for}")
        if removal.evidence_id is None:
            bad.append(f"I6 the removal of {removal.email} has no evidence")
    return bad


def _left_of(openai: FakeOpenAI, removal: Offboarding, ledger: Ledger) -> list[str]:
    """What still stands of somebody who is called removed. Who was let in again has a seat, but none of the old keys."""
    oracle, bad = openai.oracle(), []
    if removal.email not in ledger.let_in:
        seats = {member.email for member in oracle.members()} | {place.email for place in oracle.project_users()}
        if removal.email in seats:
            bad.append(f"I6 {removal.email} is called removed and has a seat")
        if removal.email in {invite.email for invite in oracle.invites() if invite.status == "pending"}:
            bad.append(f"I6 {removal.email} is called removed and has an invite")
    assert removal.done_at is not None
    for life in oracle.key_lives():
        theirs = life.owner_kind == "user" and life.owner_id == removal.member_remote_id
        if theirs and life.died_at is None:
            bad.append(f"I6 {removal.email} is called removed and a key that they made lives")
    return bad


def _batches(world: World, rows: Rows, ledger: Ledger) -> list[str]:
    """Each row began what it asks for, once; that nothing was done twice, the invites and removals say."""
    bad, begun = [], Counter(row.subject_id for row in rows.batch_rows if row.subject_id is not None)
    for row in rows.batch_rows:
        if row.state is not RowState.STARTED:
            bad.append(f"stuck: row {row.number} of a list is {row.state.value}")
    bad += [f"I3 {subject} was begun by {times} rows" for subject, times in begun.items() if times > 1]
    for batch in rows.batches:
        if rows.done["batch.finished", batch.id] != 1:
            bad.append(f"I11 a list was finished {rows.done['batch.finished', batch.id]} times")
    return bad


def _promises(world: World, rows: Rows, ledger: Ledger) -> list[str]:
    """What a client was told holds: keys that were promised exist, and what was shown works while it is called live."""
    bad, oracle = [], world.openai.oracle()
    by_name: dict[str, list[Key]] = {}
    for key in rows.keys:
        by_name.setdefault(key.name, []).append(key)
    for name, keys in by_name.items():
        if len(keys) > 1 and name in ledger.asked:
            bad.append(f"I3 {name} was asked for once and made {len(keys)} times")
    for name in ledger.acknowledged:
        found = by_name.get(name, [])
        if not found:
            bad.append(f"I4 {name} was promised and does not exist")
        elif found[0].state is not KeyState.LIVE and name not in ledger.ending:
            bad.append(f"I4 {name} was promised and is {found[0].state.value}: {found[0].problem}")
    prints = {version.fingerprint: version for version in rows.versions if version.fingerprint}
    for value in ledger.values:
        version = prints.get(world.govern.box.fingerprint("key", value))
        if version is None:
            bad.append("I4 a value was shown that belongs to no version")
        elif version.remote_id not in ledger.doomed and oracle.authenticates(value) != (version.state is KeyState.LIVE):
            bad.append(f"I6 a value that was shown: version {version.state.value}, works: {oracle.authenticates(value)}")
    return bad
