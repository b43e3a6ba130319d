"""The words that pages use for states: a label, a tone (colour), and what it means for the reader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from govern.approvals.models import ApprovalState
from govern.audit.rules import Outcome
from govern.batches.models import RowState
from govern.budgets.models import AlertState
from govern.findings.models import FindingState, Severity
from govern.inventory.items import Shown
from govern.inventory.models import Verdict
from govern.inventory.queries import LogState
from govern.jobs.models import RunState
from govern.keys.models import FreezeState, KeyState, LeakState
from govern.members.models import InviteState
from govern.notices.models import DeliveryState
from govern.offboarding.models import OffboardingState
from govern.offboarding.witnesses import WitnessState
from govern.people.models import ImportState, PersonState
from govern.people.queries import Listed


@dataclass(frozen=True)
class Word:
    """How a state is told. `tone` is one of success, warning, danger, info, quiet."""

    label: str
    tone: str
    meaning: str


_KEYS: Final[Mapping[StrEnum, Word]] = {
    KeyState.REQUESTED: Word("being made", "info", "Promised. The worker is creating it at OpenAI."),
    KeyState.LIVE: Word("live", "success", "It works at OpenAI until it expires or is revoked."),
    KeyState.REVOKING: Word(
        "contained, proof pending",
        "warning",
        "Its value can no longer be had here, and OpenAI is asked to end it. "
        "It is called revoked only when complete listings no longer show it.",
    ),
    KeyState.REVOKED: Word("revoked", "quiet", "Complete listings of the project no longer show it."),
    KeyState.ABORTING: Word(
        "cancelled, proof pending",
        "warning",
        "It was revoked before it was made. We look whether anything of it stayed behind at OpenAI.",
    ),
    KeyState.ABORTED: Word("never issued", "quiet", "It ended before anybody could use it, and nothing of it is at OpenAI."),
}
_FREEZES: Final[Mapping[StrEnum, Word]] = {
    FreezeState.FREEZING: Word("being frozen", "warning", "OpenAI is asked to narrow it until it can do nothing that costs."),
    FreezeState.FROZEN: Word("frozen", "warning", "It can do nothing but list models, until somebody thaws it."),
    FreezeState.THAWING: Word("being thawed", "info", "OpenAI is asked to give back what it might do before."),
    FreezeState.THAWED: Word("thawed", "quiet", "It may do again what it might before."),
    FreezeState.REFUSED: Word("not frozen", "danger", "OpenAI would not narrow it."),
    FreezeState.GONE: Word("ended", "quiet", "The key ended while it was frozen."),
}
_OUTCOMES: Final[Mapping[StrEnum, Word]] = {
    Outcome.DONE: Word("done", "success", "It was done."),
    Outcome.ASKED: Word("asked for", "info", "Somebody else, or a worker, carries it out; that is an event of its own."),
    Outcome.REFUSED: Word("refused", "danger", "It was not done."),
}
_LEAKS: Final[Mapping[StrEnum, Word]] = {
    LeakState.SEARCHING: Word("being traced", "info", "OpenAI is asked whose it is."),
    LeakState.FOUND: Word("found", "success", "It is known which key this is."),
    LeakState.DEAD: Word("worth nothing", "quiet", "OpenAI does not accept it."),
    LeakState.UNANSWERED: Word("not answered", "danger", "OpenAI could not be asked in time. The key may still work."),
    LeakState.ELSEWHERE: Word("not ours to end", "warning", "It works, but it is no key that we have seen listed."),
}
_INVITES: Final[Mapping[StrEnum, Word]] = {
    InviteState.REQUESTED: Word("being sent", "info", "OpenAI is asked to send it."),
    InviteState.PENDING: Word("waiting for an answer", "info", "The mail is out; the person has not accepted yet."),
    InviteState.ACCEPTED: Word("accepted", "success", "The person has a seat."),
    InviteState.EXPIRED: Word("expired", "quiet", "Nobody accepted in time. It can be sent again."),
    InviteState.CANCELLING: Word("being taken back", "warning", "OpenAI is asked to end it; proof pending."),
    InviteState.CANCELLED: Word("taken back", "quiet", "OpenAI lists it no longer."),
    InviteState.REFUSED: Word("refused", "danger", "OpenAI did not accept it."),
}
_PEOPLE: Final[Mapping[StrEnum, Word]] = {
    PersonState.ACTIVE: Word("active", "success", "May hold keys."),
    PersonState.SUSPENDED: Word("suspended", "warning", "Cut off for a while: no sign-in, no new key, their keys frozen."),
    PersonState.LEAVING: Word("leaving", "warning", "Cut off here; the removal at OpenAI is under way."),
    PersonState.LEFT: Word("left", "quiet", "Removed, and proven gone."),
}
_LISTED: Final[Mapping[StrEnum, Word]] = {
    Listed.NAMED: Word("named", "success", "A directory names them."),
    Listed.GONE: Word("not in the directory", "danger", "A complete directory does not name them any more."),
    Listed.NEVER: Word("never named", "quiet", "No directory ever named them."),
}
_IMPORTS: Final[Mapping[StrEnum, Word]] = {
    ImportState.DRAFT: Word("draft", "info", "Nothing is changed yet. It waits a day to be confirmed."),
    ImportState.DONE: Word("done", "success", "Carried out."),
}
_REMOVALS: Final[Mapping[StrEnum, Word]] = {
    OffboardingState.CONTAINED: Word(
        "contained, proof pending",
        "warning",
        "Cut off here: no sign-in, no token, no new key. Their ends at OpenAI are being carried out and proven.",
    ),
    OffboardingState.DONE: Word("removed", "success", "Complete listings show nothing of them any more."),
}
_WITNESSES: Final[Mapping[StrEnum, Word]] = {
    WitnessState.PENDING: Word("pending", "info", "It may still prove more."),
    WitnessState.PROVEN: Word("proven", "success", "It has proven all that it can know of."),
    WitnessState.SILENT: Word("cannot testify", "quiet", "It proves nothing here; the others do not stand in for it."),
    WitnessState.INCOMPLETE: Word("incomplete", "warning", "It was asked, and does not tell of everything."),
    WitnessState.AGAINST: Word("against", "danger", "It tells the contrary."),
}
_RUNS: Final[Mapping[StrEnum, Word]] = {
    RunState.REQUESTED: Word("waiting", "info", "A worker will begin it in a moment."),
    RunState.RUNNING: Word("running", "info", "A worker is at it."),
    RunState.DONE: Word("done", "success", "It ended well."),
    RunState.FAILED: Word("failed", "danger", "It did not end well; the next run tries again."),
}
_DELIVERIES: Final[Mapping[StrEnum, Word]] = {
    DeliveryState.PENDING: Word("being sent", "info", "Owed, perhaps after attempts that failed."),
    DeliveryState.SENT: Word("sent", "success", "The other side took it."),
    DeliveryState.DROPPED: Word("not needed", "quiet", "It was no longer true when it could be sent."),
    DeliveryState.FAILED: Word("given up", "danger", "It was not taken, and is not tried again by itself."),
}
_FINDINGS: Final[Mapping[StrEnum, Word]] = {
    FindingState.OPEN: Word("open", "danger", "Somebody should look at it."),
    FindingState.ASSIGNED: Word("assigned", "warning", "Somebody is to look at it."),
    FindingState.ACCEPTED: Word("accepted", "quiet", "It may stay until a day; then it is open again."),
    FindingState.FIXING: Word("being fixed", "info", "Its end is owed. It is called fixed when a later look shows it no more."),
    FindingState.FIXED: Word("fixed", "success", "A later look showed it no more."),
    FindingState.GONE: Word("gone", "quiet", "It ended without us."),
}
_ALERTS: Final[Mapping[StrEnum, Word]] = {
    AlertState.OPEN: Word("open", "warning", "It waits for somebody."),
    AlertState.SNOOZED: Word("snoozed", "quiet", "It is open again when its time is over."),
    AlertState.ACKNOWLEDGED: Word("acknowledged", "success", "Somebody has seen it and deals with it."),
    AlertState.WITHDRAWN: Word("withdrawn", "quiet", "A correction took the spend below the threshold again."),
    AlertState.SUPERSEDED: Word("spoken for", "quiet", "A higher threshold that was crossed at the same moment spoke for it."),
}
_SEVERITIES: Final[Mapping[StrEnum, Word]] = {
    Severity.HIGH: Word("high", "danger", "Look today."),
    Severity.MEDIUM: Word("medium", "warning", "Look this week."),
    Severity.LOW: Word("low", "quiet", "Look when there is time."),
}
_APPROVALS: Final[Mapping[StrEnum, Word]] = {
    ApprovalState.PENDING: Word("waiting", "info", "Somebody else has to say yes or no."),
    ApprovalState.APPROVED: Word("approved", "success", "It was carried out in the moment of the approval."),
    ApprovalState.DENIED: Word("denied", "danger", "It was not carried out."),
    ApprovalState.WITHDRAWN: Word("taken back", "quiet", "Whoever asked for it wants it no more."),
    ApprovalState.EXPIRED: Word("expired", "quiet", "Nobody decided in time. It can be asked for anew."),
    ApprovalState.FROZEN: Word("frozen", "warning", "Whoever asked, or whom it is for, is being removed."),
}
_BATCH_ROWS: Final[Mapping[StrEnum, Word]] = {
    RowState.WAITING: Word("to be begun", "info", "The worker takes one after the other."),
    RowState.HELD: Word("waits for approval", "warning", "Somebody else has to say yes. Until then nothing is done at OpenAI."),
    RowState.STARTED: Word("begun", "success", "Begun by this list."),
    RowState.ALREADY: Word("already so", "quiet", "It was so before, and nothing was done twice."),
    RowState.REFUSED: Word("refused", "danger", "Nothing was done; the sentence says why."),
    RowState.UNKNOWN: Word("unknown", "warning", "Nobody is known by this."),
    RowState.INVALID: Word("not usable", "danger", "The line cannot be used; the sentence says why."),
    RowState.REPEATED: Word("twice in the list", "quiet", "An earlier line has them already."),
}
_VERDICTS: Final[Mapping[StrEnum, Word]] = {
    Verdict.OURS: Word("ours", "success", "A call of this service made this change."),
    Verdict.OUR_KEY: Word(
        "with our key, not by us", "danger", "Made with the admin key of this service, and by no call of it. Replace the key."
    ),
    Verdict.AROUND_US: Word("around us", "warning", "Made by somebody else, not through this service."),
    Verdict.BEFORE: Word("before we watched", "quiet", "Made with the admin key of this service before it kept its calls."),
}
_LOGS: Final[Mapping[StrEnum, Word]] = {
    LogState.READ: Word("read", "success", "It is pulled every few minutes."),
    LogState.STALE: Word("not read lately", "warning", "The last pull is more than half an hour ago."),
    LogState.OFF: Word("off", "danger", "The organization has not switched it on; an owner does so once, in OpenAI's settings."),
    LogState.NEVER_READ: Word("not read yet", "quiet", "The worker has not asked for it yet."),
}
_SHOWN: Final[Mapping[StrEnum, Word]] = {
    Shown.LISTED: Word("listed now", "success", "OpenAI lists it."),
    Shown.VANISHED: Word("vanished", "quiet", "OpenAI lists it no more."),
    Shown.ALL: Word("both", "quiet", "Whether it is listed or not."),
}
_ALL: Final[Mapping[type[StrEnum], Mapping[StrEnum, Word]]] = {
    KeyState: _KEYS,
    FreezeState: _FREEZES,
    LeakState: _LEAKS,
    InviteState: _INVITES,
    PersonState: _PEOPLE,
    WitnessState: _WITNESSES,
    Listed: _LISTED,
    ImportState: _IMPORTS,
    OffboardingState: _REMOVALS,
    FindingState: _FINDINGS,
    Severity: _SEVERITIES,
    AlertState: _ALERTS,
    Verdict: _VERDICTS,
    LogState: _LOGS,
    Shown: _SHOWN,
    RunState: _RUNS,
    Outcome: _OUTCOMES,
    DeliveryState: _DELIVERIES,
    ApprovalState: _APPROVALS,
    RowState: _BATCH_ROWS,
}

JOBS: Final[Mapping[str, str]] = {
    "offboarding.schedule": "Starts the removals whose end date has come; asks when they are too many; tells of those to come.",
    "offboarding.seal": "Looks whether removed keys were used after their end, and seals the removals whose keys were not.",
    "directory.sync": "Reads members, invites, projects and keys from OpenAI.",
    "inventory.sync": "Reads admin keys, groups, roles and federation from OpenAI.",
    "events.pull": "Reads OpenAI's own audit log.",
    "usage.sync": "Reads usage of the last days and estimates what it costs.",
    "costs.sync": "Reads what OpenAI bills. Recent days are restated for a while.",
    "usage.backfill": "Reads the history of usage and costs, once; goes on where it was interrupted.",
    "usage.roll_up": "Brings totals by team, cost centre and long ranges up to date.",
    "budgets.backtest": "Tests the forecasts of windows that are over: how often the band held.",
    "budgets.evaluate": "Compares spend with the budgets; each crossing alerts once.",
    "findings.evaluate": "Looks at the whole inventory for what should not be.",
    "keys.expire": "Ends keys that expired, and keys whose value nobody opened in time.",
    "keys.remind": "Mails the people of keys that are about to expire, once per step.",
    "reveals.shred": "Destroys sealed values whose time is over: to be shown again, or to be asked about.",
    "keys.rotate": "Begins rotations that are due; ends old versions whose successor is in use or whose overlap is over.",
    "audit.checkpoint": "Signs how far the audit log has come, so that a changed past is noticed.",
    "audit.forget": "Lets audit events go that are older than they are to be kept, if every sink has what proves them.",
    "keys.reconcile": "Compares the keys that we issued with what OpenAI lists.",
    "approvals.expire": "Ends what waited for an approval for too long.",
    "batches.follow": "Lets go whom a list of people held and nobody approved.",
    "housekeeping": "Tidies old runs and sessions away.",
}
"""What each job does, for people."""


DEEDS: Final[Mapping[str, str]] = {
    "key.requested": "asked for a key",
    "key.issued": "a key was issued",
    "key.refused": "was refused a key by OpenAI",
    "key.revealed": "saw a key's value",
    "key.revoke_requested": "revoked a key",
    "key.revoked": "a key is proven gone",
    "key.aborted": "a key was never issued",
    "key.renewal_requested": "renewed a key",
    "key.vanished": "a key was ended at OpenAI",
    "leak.reported": "reported a leaked key",
    "key.freeze_requested": "froze a key",
    "key.thaw_requested": "thawed a key",
    "invite.requested": "invited",
    "invite.sent": "an invite was sent to",
    "invite.refused": "OpenAI refused to invite",
    "invite.cancel_requested": "took the invite back of",
    "invite.cancelled": "the invite is proven gone of",
    "invite.resend_requested": "invited again",
    "member.contained": "began the removal of",
    "member.revoked": "proven gone:",
    "member.proof_failed": "a removal's proof failed and it goes on",
    "directory.imported": "brought a directory in",
    "person.end_set": "set an end date",
    "batch.begun": "sent a list of people",
    "batch.approved": "approved a list of people",
    "member.held": "held, until somebody approves the removal:",
    "person.let_go": "let go, because nobody approved the removal:",
    "person.returned": "saw somebody return",
    "budget.created": "made a budget",
    "budget.changed": "changed a budget",
    "budget.retired": "retired a budget",
    "budget.raised": "raised a budget for a while",
    "budget.raise_ended": "ended the raise of a budget",
    "alert.raised": "a budget crossed a threshold",
    "alert.withdrawn": "a correction undid an alert",
    "alert.acknowledged": "acknowledged an alert",
    "alert.snoozed": "snoozed an alert",
    "alert.assigned": "gave an alert to somebody",
    "alert.reopened": "opened an alert again",
    "token.created": "made an API token",
    "token.revoked": "revoked an API token",
    "finding.accepted": "accepted a finding",
    "finding.fix_requested": "fixed a finding",
    "finding.adopted": "took a key under management",
    "approval.asked": "asked for an approval",
    "approval.approved": "approved",
    "approval.denied": "denied",
    "policy.set": "set a policy",
    "policy.removed": "removed a policy",
    "job.requested": "asked for a job",
    "session.refused": "somebody was refused at sign-in",
}
"""What the overview tells of the audit log, and in which words; the rest is for the log itself."""


def state_of(state: StrEnum) -> Word:
    """The word for a state. A state without one is shown by its own name, so that a new one is never invisible."""
    return _ALL.get(type(state), {}).get(state, Word(state.value, "quiet", ""))


def states(kind: type[StrEnum]) -> list[tuple[str, str]]:
    """(value, label) of every state of a kind, for filters."""
    return [(state.value, state_of(state).label) for state in kind]
