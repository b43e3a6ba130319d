"""The demo's identity provider and mailbox, in the demo's own process, and the people who can sign in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from govern.cli.demo_folder import DOMAIN, Made
from govern.fakes.mail import DemoMailbox
from govern.fakes.oidc import Client, DemoProvider, Person
from govern.fakes.server import serve

CAST: Final = (
    (Person(f"ada@{DOMAIN}", "Ada Admin", ("govern-admins",)), "administrator: may do everything"),
    (Person(f"max@{DOMAIN}", "Max Manager", ("govern-managers",)), "manager: sees the people who report to him"),
    (Person(f"ola@{DOMAIN}", "Ola Auditor", ("govern-auditors",)), "auditor: sees everything, changes nothing"),
    (Person(f"eve@{DOMAIN}", "Eve Employee", ("everyone",)), "employee: sees her own keys and spend"),
)


@contextmanager
def peers(made: Made) -> Iterator[DemoMailbox]:
    """Serve both while the block runs; hands over the mailbox."""
    web = made.url("web")
    client = Client(
        "govern", made.oidc_secret, [f"{web}/auth/callback"], [f"{web}/auth/signed-out"], f"{web}/auth/backchannel-logout"
    )
    provider = DemoProvider(made.url("oidc"), [client], [person for person, _ in CAST])
    with contextlib.ExitStack() as stack:
        stack.enter_context(serve(provider.app, port=made.ports["oidc"]))
        mailbox = stack.enter_context(DemoMailbox(port=made.ports["smtp"]))
        stack.enter_context(serve(mailbox.app, port=made.ports["mailbox"]))
        yield mailbox
