"""Who may decide what others ask for: pure decisions."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from govern.approvals.models import ApprovalState
from govern.core.errors import Conflict, InvalidInput, NotAllowed

DECIDE: Final = "approvals:write"
"""Held over anyone it is the last resort: it decides what nobody else can."""


@dataclass(frozen=True)
class Question:
    """What is to be decided. `askers` are all people behind the asking: whoever asked, whoever made the token that was used.

    `named` are those of the named people who are still with the company.
    """

    askers: frozenset[str]
    for_person_id: str | None
    named: frozenset[str]
    permission: str | None


def check_may_decide(question: Question, people: Collection[str], held: Collection[str]) -> None:
    """Raise NotAllowed unless these people may decide it. Nobody decides what they asked for, or what is for themselves.

    `people` are all who are behind the decision: the one who decides and whoever made the token that is used; none of them may
    have asked. `held` are the permissions that the decider holds over anyone.
    """
    if question.askers & set(people):
        raise NotAllowed("You asked for this yourself, so somebody else decides.")
    if question.for_person_id in people:
        raise NotAllowed("This is for you, so somebody else decides.")
    if not may_decide(question, people, held):
        raise NotAllowed("You are not among those who decide this.")


def may_decide(question: Question, people: Collection[str], held: Collection[str]) -> bool:
    """Whether they may; see `check_may_decide`."""
    apart = question.askers | {question.for_person_id}
    if apart & set(people):
        return False
    if question.named & set(people) or (question.permission is not None and question.permission in held):
        return True
    # Everybody who was named has left or asked for it, and no permission opens it: it must not be stuck for ever.
    nobody = not (question.named - apart) and question.permission is None
    return nobody and DECIDE in held


def check_open(state: ApprovalState, expires_at: datetime, now: datetime) -> None:
    """Raise Conflict unless it still waits."""
    if state is not ApprovalState.PENDING:
        raise Conflict(f"It is {state.value} already.")
    if expires_at <= now:
        raise Conflict("It waited too long and has expired; it has to be asked for anew.")


def check_reason(reason: str, *, why: str) -> str:
    """The reason trimmed. Raises InvalidInput."""
    reason = reason.strip()
    if not 3 <= len(reason) <= 500:
        raise InvalidInput(why, {"reason": "Write 3 to 500 characters."})
    return reason
