"""Defects in the protocols, each with the schedule that must find it. Were one not found, the drill would be blind to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.drill.planting import Change, ordered, plant

ISSUE, REVOKE, OUTBOX = "govern.keys.effects", "govern.keys.effects", "govern.core.outbox"


@dataclass(frozen=True)
class Mutant:
    """`troubles` and blows are written as (operation, kind, nth) and (where, nth, freezes)."""

    name: str
    changes: tuple[Change, ...]
    flow: str
    blows: tuple[tuple[str, int, bool], ...] = ()
    troubles: tuple[tuple[str, str, int], ...] = ()
    page: int | None = None
    ask: str = ""
    asked: tuple[tuple[str, int, bool], ...] = ()


def _recorded_first(module: str, place: str, point: str, record: str) -> Change:
    """What is to be proven is recorded before it is done."""
    settled = f"with self.unit_of_work(claim.actor) as uow:\n    outbox.settle(uow, claim)\n    {record}\n"
    return Change(module, place, f"crashpoint({point!r})", f"{settled}crashpoint({point!r})")


MUTANTS: Final = (
    Mutant(
        "a second attempt does not sweep",
        (Change(ISSUE, "Issue.__call__", "claim.attempt > 1 and self._still_there(native)", "False"),),
        "key.issue", (("key.issue.created", 1, False),),
    ),
    Mutant(
        "a sweep takes 200 for proof",
        (Change(ISSUE, "Issue._still_there", "bool(left) and bool(self.issuer.find(native.project_id, native.name))", "False"),),
        "key.issue", (("key.issue.created", 1, False),), (("*.delete", "lie_200", 1),),
    ),
    Mutant(
        "a claim does not count",
        (
            Change(
                OUTBOX, "claim_next",
                "sa.update(Effect).where(Effect.id == effect.id, Effect.attempt == seen, Effect.state == EffectState.READY)"
                ".values(attempt=seen + 1, leased_until=uow.now + LEASE)",
                "sa.update(Effect).where(Effect.id == effect.id).values(leased_until=uow.now + LEASE)",
            ),
            Change(
                OUTBOX, "claim_next",
                "Claim(effect.id, effect.kind, effect.subject_id, seen + 1, dict(effect.payload), effect.lane, actor)",
                "Claim(effect.id, effect.kind, effect.subject_id, seen, dict(effect.payload), effect.lane, actor)",
            ),
        ),
        "key.issue", (("key.issue.created", 1, False),),
    ),
    Mutant(
        "a stale claim settles, and nothing looks at the state",
        (
            Change(OUTBOX, "_close", "won.rowcount != 1", "False"),
            Change("govern.keys.service", "record_issued", "version.state is not KeyState.REQUESTED or left", "left"),
        ),
        "key.issue", (("key.issue.before_create", 1, True),),
    ),
    Mutant(
        "an overtaken worker leaves what it made",
        (Change(ISSUE, "Issue.__call__", "self.issuer.delete(native.project_id, credential.service_account_id)", "pass"),),
        "key.issue", (("key.issue.before_create", 1, True),),
    ),
    Mutant(
        "a creation is settled before it is recorded",
        (Change(
            ISSUE, "Issue.__call__",
            "with self.unit_of_work(claim.actor) as uow:\n    outbox.settle(uow, claim)\n"
            "    service.record_issued(uow, native.version_id, credential)\n    crashpoint('key.issue.before_commit')",
            "with self.unit_of_work(claim.actor) as uow:\n    outbox.settle(uow, claim)\n"
            "with self.unit_of_work(claim.actor) as uow:\n"
            "    service.record_issued(uow, native.version_id, credential)\n    crashpoint('key.issue.before_commit')",
        ),),
        "key.issue", (("key.issue.before_commit", 1, False),),
    ),
    Mutant(
        "a key is not narrowed",
        (Change(ISSUE, "Issue.__call__", "native.scopes != ALL_SCOPES", "False"),),
        "key.issue",
    ),
    Mutant(
        "a creation is sent again without a look",
        (Change("govern.openai.client", "_may_repeat", "{'GET', 'DELETE'}", "{'GET', 'DELETE', 'POST'}"),),
        "key.issue", (), (("*.create", "drop_after", 1),),
    ),
    Mutant(
        "only the first page is read",
        (Change("govern.openai.pages", "_pages", "if not more:\n    return pages", "return pages"),),
        "key.revoke", (), (), 1,
    ),
    Mutant(
        "an issued key is not on record",
        (Change(
            "govern.keys.service", "record_issued",
            "audit.record(uow, 'key.issued', key, version=version.id, number=version.number,"
            " service_account=credential.service_account_id)", "pass",
        ),),
        "key.issue",
    ),
    Mutant(
        "a revocation is not owed",
        (Change(
            "govern.keys.service", "end_version",
            "outbox.enqueue(uow, 'key.revoke', version.id, delay=by_itself_after)", "pass",
        ),),
        "key.revoke",
    ),
    Mutant(
        "a revocation takes 200 for proof",
        (Change(REVOKE, "Revoke.__call__", "self._still_listed(native)", "False"),),
        "key.revoke", (), (("*.delete", "lie_200", 1),),
    ),
    Mutant(
        "a key is called revoked before it is deleted",
        (_recorded_first(REVOKE, "Revoke.__call__", "key.revoke.before_delete", "service.record_ended(uow, native.version_id)"),),
        "key.revoke", (("key.revoke.before_delete", 1, False),),
    ),
    Mutant(
        "a late creation of the same name is overlooked",
        (Change(
            REVOKE, "Revoke._accounts", "account.name == native.name or account.id == native.service_account_id",
            "account.id == native.service_account_id",
        ),),
        "key.revoke",
    ),
    Mutant(
        "what is gone already cannot be ended",
        (Change(
            "govern.openai.archive", "end",
            "try:\n    client.delete(where)\nexcept Missing:\n    return\nexcept Rejected as error:\n"
            "    if error.status == 400 and is_archived(client, where.ids[0]):\n        return\n    raise",
            "client.delete(where)",
        ),),
        "key.revoke", (("key.revoke.deleted", 1, False),),
    ),
    Mutant(
        "a key is called frozen before it is narrowed",
        (
            _recorded_first(
                "govern.keys.freeze_effects", "FreezeKey.__call__", "key.freeze.before_update",
                "freezing.record_frozen(uow, wanted.freeze_id, proven=False)",
            ),
            Change(
                "govern.keys.freeze_effects", "FreezeKey.__call__",
                "try:\n    with self.unit_of_work(claim.actor) as uow:\n        outbox.settle(uow, claim)\n"
                "        freezing.record_frozen(uow, wanted.freeze_id, proven=proven)\n"
                "        crashpoint('key.freeze.before_commit')\n"
                "except ClaimLost:\n    _say_again(self.unit_of_work, claim)",
                "pass",
            ),
        ),
        "key.freeze", (("key.freeze.before_update", 1, False),),
    ),
    Mutant(
        "a key is called thawed before it is",
        (
            _recorded_first(
                "govern.keys.freeze_effects", "ThawKey.__call__", "key.thaw.before_update",
                "freezing.record_thawed(uow, wanted.freeze_id)",
            ),
            Change(
                "govern.keys.freeze_effects", "ThawKey.__call__",
                "try:\n    with self.unit_of_work(claim.actor) as uow:\n        outbox.settle(uow, claim)\n"
                "        freezing.record_thawed(uow, wanted.freeze_id)\n        crashpoint('key.thaw.before_commit')\n"
                "except ClaimLost:\n    _say_again(self.unit_of_work, claim)",
                "pass",
            ),
        ),
        "key.thaw", (("key.thaw.before_update", 1, False),),
    ),
    Mutant(
        "an invite that was sent is not adopted",
        (
            Change(
                "govern.members.effects", "SendInvite.__call__",
                "_adopt(others, offered) or self.directory.invite(offered.email, offered.role, service.grants_of(offered))",
                "self.directory.invite(offered.email, offered.role, service.grants_of(offered))",
            ),
            Change(
                "govern.members.effects", "SendInvite.__call__",
                "[invite for invite in _pending(self.directory, offered.email) if _offers(invite, offered)]", "[]",
            ),
        ),
        "invite.send", (("invite.send.created", 1, False),),
    ),
    Mutant(
        "a cancelled invite takes 200 for proof",
        (Change("govern.members.effects", "CancelInvite.__call__", "'pending' in left.values()", "False"),),
        "invite.cancel", (), (("*.delete", "lie_200", 1),),
    ),
    Mutant(
        "the end of a found key takes 200 for proof",
        (Change("govern.findings.effects", "_carry_out", "ending.is_listed()", "False"),),
        "observed_key.delete", (), (("*.delete", "lie_200", 1),),
    ),
    Mutant(
        "an admin key is called gone before it is deleted",
        (Change(
            "govern.findings.effects", "_carry_out", "crashpoint(f'{kind}.before_delete')",
            "with unit_of_work(claim.actor) as uow:\n    outbox.settle(uow, claim)\n"
            "    service.record_ended(uow, uow.session.merge(ending.row, load=True))\ncrashpoint(f'{kind}.before_delete')",
        ),),
        "admin_key.delete", (("admin_key.delete.before_delete", 1, False),),
    ),
    Mutant(
        "a leaked key's end takes 200 for proof",
        (Change(
            "govern.keys.leak_effects", "RevokeListed.__call__",
            "if listed:\n    return wait_longer(claim, 'OpenAI still lists the key.')", "pass",
        ),),
        "leak.revoke", (), (("*.delete", "lie_200", 1),),
    ),
    Mutant(
        "the answer about a leaked key is settled before it is recorded",
        (Change(
            "govern.keys.leak_effects", "Probe.__call__", "crashpoint('leak.probe.asked')",
            "with self.unit_of_work(claim.actor) as uow:\n    outbox.settle(uow, claim)\ncrashpoint('leak.probe.asked')",
        ),),
        "leak.probe", (("leak.probe.asked", 1, False),),
    ),
    Mutant(
        "a removal does not look whether the seat is gone",
        (Change("govern.offboarding.looks", "Looks.read", "self._members(case)", "{}"),),
        "offboarding", (), (("users.delete", "lie_200", 1),),
    ),
    Mutant(
        "a removal forgets the seat",
        (Change("govern.offboarding.effects", "_Walk.walk", "self._end((Kind.SEAT,))", "pass"),),
        "offboarding",
    ),
    Mutant(
        "a removal is done twice",
        (
            Change(OUTBOX, "_close", "won.rowcount != 1", "False"),
            Change("govern.offboarding.effects", "Run.__call__", "case.is_done", "False"),
        ),
        "offboarding", (("offboarding.verify.after", 1, True),),
    ),
    Mutant(
        "a list is settled before its rows are begun",
        (Change(
            "govern.batches.effects", "Run.__call__",
            "while self._one(claim, sender):\n    crashpoint('batch.row.recorded')",
            "with self.unit_of_work(sender) as uow:\n    outbox.settle(uow, claim)\n"
            "while self._one(claim, sender):\n    crashpoint('batch.row.recorded')",
        ),),
        "batch.row", (("batch.row.before_commit", 1, False),),
    ),
    Mutant(
        "a request that was not answered is carried out again",
        (Change(
            "govern.identity.idempotency", "claim", "row = uow.session.get(Request, (principal_id, key))",
            "row = None\nuow.session.execute(sa.delete(Request).where(Request.principal_id == principal_id, Request.key == key))",
        ),),
        "key.issue", ask="issue", asked=(("db.committed", 1, False), ("db.committed", 2, False), ("db.committed", 3, False)),
    ),
)  # fmt: skip
BY_NAME: Final = {mutant.name: mutant for mutant in MUTANTS}


def plant_ordered() -> None:
    """Become the mutant that this process is ordered to be, if any. Before anything of the service is imported."""
    if name := ordered():
        plant(BY_NAME[name].changes)
