"""`govern approvals`."""

from __future__ import annotations

import click

from govern.approvals import queries, service
from govern.approvals.models import Approval, ApprovalState
from govern.cli import host, output
from govern.people import queries as people

BY = click.option("--as", "by", metavar="ID-OR-EMAIL", required=True, help="The person who decides; it stands in the audit log.")


@click.group()
def approvals() -> None:
    """What waits for somebody else's yes."""


@approvals.command("list")
@click.option("--state", type=click.Choice([state.value for state in ApprovalState]), default="pending", show_default=True)
@click.option("--all", "everything", is_flag=True, help="Whatever their state.")
@click.option("--limit", type=click.IntRange(1, 5000), default=200, show_default=True)
@host.as_json
def list_approvals(state: str, everything: bool, limit: int, as_json: bool) -> None:
    """What waits, newest first."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        wanted = None if everything else ApprovalState(state)
        rows = [_row(row) for row in queries.find(session, limit=limit, state=wanted)]
    columns = {
        "id": "Approval",
        "summary": "What",
        "requested_by": "Asked by",
        "state": "State",
        "expires_at": "Waits until (UTC)",
    }
    output.show(rows, columns, as_json=as_json, empty="Nothing waits for an approval.")


@approvals.command()
@click.argument("approval_id", metavar="APPROVAL")
@BY
@click.option("--reason", default="Approved.", show_default=True, help="A word to whoever asked.")
@host.as_json
def approve(approval_id: str, by: str, reason: str, as_json: bool) -> None:
    """Say yes, and have it carried out. Nobody approves what they asked for, or what is for themselves."""
    _decide(approval_id, by, approve=True, reason=reason, as_json=as_json)


@approvals.command()
@click.argument("approval_id", metavar="APPROVAL")
@BY
@click.option("--reason", required=True, help="Why not.")
@host.as_json
def deny(approval_id: str, by: str, reason: str, as_json: bool) -> None:
    """Say no."""
    _decide(approval_id, by, approve=False, reason=reason, as_json=as_json)


def _decide(approval_id: str, by: str, *, approve: bool, reason: str, as_json: bool) -> None:
    with host.opened() as govern, govern.unit_of_work(host.host_actor()) as uow:
        person = people.get(uow.session, by)
        row = _row(service.decide(uow, approval_id, by=person.id, approve=approve, reason=reason, acts=govern.acts))
    done = "approved and carried out" if approve else "denied"
    output.show_one(row, as_json=as_json, sentence=f"{approval_id} is {done}.")


def _row(row: Approval) -> dict[str, object]:
    return {
        "id": row.id, "kind": row.kind, "summary": row.summary, "reason": row.reason, "state": row.state,
        "requested_by": row.requested_label, "asked_at": row.asked_at, "expires_at": row.expires_at,
        "decided_by": row.decided_person_id, "decided_at": row.decided_at, "decision_reason": row.decision_reason,
        "result": row.result_id,
    }  # fmt: skip
