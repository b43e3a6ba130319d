"""Tell the people who decide that something waits for them, and whoever asked how it was decided. By mail."""

from __future__ import annotations

from dataclasses import dataclass

from govern.approvals import queries
from govern.approvals.models import Approval, ApprovalState
from govern.core import outbox
from govern.core.crashpoints import crashpoint
from govern.core.errors import Rejected, Throttled, Unavailable
from govern.core.outbox import Claim, Later, wait_longer
from govern.core.uow import UnitsOfWork
from govern.people.models import Person
from govern.ports import Message, Notifier

MOST_ATTEMPTS = 10
"""Then a mail is given up; it is shown among the refused effects, and the inbox shows the asking in any case."""


@dataclass(frozen=True)
class Tell:
    """`approval.tell`: a mail to each who may decide, or to whoever asked. Sent again after a crash, under the same message id.

    `admins` are told where nobody is named. Without a mail server nobody is told, and the dashboard's inbox still shows it.
    """

    unit_of_work: UnitsOfWork
    mail: Notifier | None
    web_url: str
    admins: tuple[str, ...]

    def __call__(self, claim: Claim) -> Later | None:
        with self.unit_of_work.reading() as session:
            row = queries.get(session, claim.payload["approval"])
            asked = claim.payload["note"] == "asked"
            if asked:
                to = [person.email for person in queries.approvers(session, row.id)] or list(self.admins)
            else:
                asker = session.get(Person, row.requested_person_id) if row.requested_person_id else None
                to = [asker.email] if asker else []
        wanted = self.mail is not None and asked is (row.state is ApprovalState.PENDING)
        refused = None
        crashpoint("approval.tell.before_send")
        for number, address in enumerate(to if wanted else ()):
            assert self.mail is not None
            try:
                self.mail.send(address, _message(row, f"{claim.id}-{number}", self.web_url))
            except Rejected as refusal:  # the others are still told
                refused = refusal
            except (Unavailable, Throttled) as trouble:
                if claim.attempt < MOST_ATTEMPTS:
                    return wait_longer(claim, trouble.sentence, least=30)
                refused = Rejected(trouble.sentence)
        crashpoint("approval.tell.sent")
        if refused is not None:
            raise refused
        with self.unit_of_work(claim.actor) as uow:
            outbox.settle(uow, claim)
            crashpoint("approval.tell.before_commit")
        return None


def _message(row: Approval, message_id: str, web_url: str) -> Message:
    link = f"{web_url}/approvals/{row.id}"
    if row.state is ApprovalState.PENDING:
        subject = f"{row.requested_label} asks for your approval"
        lines = [row.summary, f"{row.requested_label} says: {row.reason}", f"It waits until {row.expires_at:%Y-%m-%d %H:%M} UTC."]
    else:
        subject = f"What you asked for is {row.state.value}"
        lines = [
            row.summary,
            row.decision_reason or "",
            *([f"Decided: {row.decided_at:%Y-%m-%d %H:%M} UTC."] if row.decided_at else []),
        ]
    text = "\n\n".join([*filter(None, lines), f"See: {link}"]) + "\n"
    facts: dict[str, object] = {"approval": row.id, "kind": row.kind, "state": row.state.value, "link": link}
    return Message(message_id, _one_line(subject), text, None, facts)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]
