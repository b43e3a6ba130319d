"""What was told by mail about one thing, and telling it again: the same two commands for a key and for a person."""

from __future__ import annotations

from collections.abc import Callable

import click
from sqlalchemy.orm import Session

from govern.cli import host, output
from govern.notices import queries, service


def enter(group: click.Group, listing: str, metavar: str, subject: Callable[[Session, str], str]) -> None:
    """Give the group a command `listing` and one `send-again`. `subject` finds the thing's id, or raises NotFound."""

    @group.command(listing)
    @click.argument("which", metavar=metavar)
    @host.as_json
    def show(which: str, as_json: bool) -> None:
        """The mails about its end, each with its receipt, the newest first."""
        with host.opened() as govern, govern.unit_of_work.reading() as session:
            rows = [
                {
                    "id": sent.id, "headline": notice.headline, "address": sent.address, "state": sent.state,
                    "at": sent.settled_at or sent.created_at, "receipt": sent.receipt, "problem": sent.problem,
                }
                for notice, sent in queries.about(session, [subject(session, which)])
            ]  # fmt: skip
        columns = {"id": "Mail", "headline": "Says", "address": "To", "state": "State", "at": "At", "problem": "Problem"}
        output.show(rows, columns, as_json=as_json, empty="Nobody was told anything.")

    @group.command("send-again")
    @click.argument("which", metavar=metavar)
    @click.argument("mail")
    @host.as_json
    def send_again(which: str, mail: str, as_json: bool) -> None:
        """Send a MAIL again that was given up. Where it is no longer true it is dropped instead."""
        with host.opened() as govern, govern.unit_of_work(host.host_actor()) as uow:
            sent = service.send_again(uow, mail, about=subject(uow.session, which))
            row: dict[str, object] = {"id": sent.id, "address": sent.address, "state": sent.state}
        output.show_one(row, as_json=as_json, sentence=f"The worker sends it to {row['address']} again.")
