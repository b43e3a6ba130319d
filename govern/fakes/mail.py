"""A demo mailbox: takes mail by SMTP on a loopback port, keeps it in memory and shows it on a page.

It is there so that somebody who tries the demo sees a budget alert arrive. It delivers nothing to anybody.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as default_policy
from functools import cached_property
from types import TracebackType
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from flask import Flask, Response, abort, render_template_string
from werkzeug.wrappers import Response as AnyResponse


@dataclass(frozen=True)
class Mail:
    """One message as it came: `sender` and `recipients` are the envelope's, `message` is the parsed text."""

    number: int
    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage
    received_at: datetime

    @property
    def subject(self) -> str:
        """The subject, decoded."""
        return str(self.message.get("Subject", ""))

    @property
    def text(self) -> str:
        """The plain text part; empty when there is none."""
        part = self.message.get_body(("plain",))
        if part is None:
            return ""
        try:
            text = str(part.get_content())
        except LookupError:  # a charset that nobody knows
            text = bytes(part.get_payload(decode=True)).decode("utf-8", "replace")
        return text.replace("\r\n", "\n")


class DemoMailbox:
    """Listens between `start()` and `stop()`, or as a context manager.

    `port=0` takes a free port; `.port` says which. `.mails` are the messages, newest first, at most `keep` of them.
    `.app` is the WSGI application that shows them. A port that is taken raises OSError from the constructor.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0, *, keep: int = 1000) -> None:
        self._mails: deque[Mail] = deque(maxlen=keep)
        self._count = 0
        self._changed = threading.Condition()
        # Bound here and not by the controller: that one would connect to port 0 to see whether it is up.
        self._socket = socket.create_server((host, port))
        self.host = host
        self.port = int(self._socket.getsockname()[1])
        self._controller: _OnSocket | None = None

    def start(self) -> DemoMailbox:
        """Begin to take mail."""
        self._controller = _OnSocket(self, self._socket)
        self._controller.start()
        return self

    def stop(self) -> None:
        """Stop taking mail; what came stays readable. A second call does nothing."""
        if self._controller:
            self._controller.stop()
            self._controller = None
        self._socket.close()

    def __enter__(self) -> DemoMailbox:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def mails(self) -> list[Mail]:
        """What came, newest first."""
        with self._changed:
            return list(reversed(self._mails))

    def wait_for(self, count: int, timeout: float = 5.0) -> list[Mail]:
        """The messages as soon as `count` have come since the start; TimeoutError after `timeout` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._count >= count, timeout):
                raise TimeoutError(f"{self._count} of {count} messages came within {timeout:g} s")
        return self.mails

    def clear(self) -> None:
        """Forget what came."""
        with self._changed:
            self._mails.clear()
            self._count = 0

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Called by the SMTP server for each message."""
        content = envelope.content or b""
        message = message_from_bytes(content if isinstance(content, bytes) else content.encode(), policy=default_policy)
        assert isinstance(message, EmailMessage)
        with self._changed:
            self._count += 1
            self._mails.append(Mail(self._count, envelope.mail_from or "", tuple(envelope.rcpt_tos), message, datetime.now(UTC)))
            self._changed.notify_all()
        return "250 Kept"

    @cached_property
    def app(self) -> Flask:
        """The pages: `/` lists the messages, `/<number>` shows one."""
        app = Flask(__name__, static_folder=None)

        @app.get("/")
        def index() -> str:
            return _render("Mailbox", LIST, mails=self.mails)

        @app.get("/<int:number>")
        def one(number: int) -> str:
            mail = next((each for each in self.mails if each.number == number), None)
            if mail is None:
                abort(404, "This message is not here any more.")
            return _render(mail.subject or "No subject", ONE, mail=mail)

        @app.get("/pages.css")
        def stylesheet() -> AnyResponse:
            return Response(STYLE, content_type="text/css; charset=utf-8")

        @app.after_request
        def add_headers(response: AnyResponse) -> AnyResponse:
            # What people are mailed is shown as text only, and even so nothing in it may load or run anything.
            response.headers["Content-Security-Policy"] = (
                "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            )
            response.headers["X-Content-Type-Options"] = "nosniff"
            response.headers["Cache-Control"] = "no-store"
            return response

        return app


class _OnSocket(Controller):
    """Aiosmtpd's threaded server on a socket that is bound already."""

    def __init__(self, mailbox: DemoMailbox, bound: socket.socket) -> None:
        # The host name is given because the default asks the resolver, which may take seconds on a laptop.
        super().__init__(mailbox, hostname=mailbox.host, port=mailbox.port, server_hostname="localhost")
        self._bound = bound

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, sock=self._bound)


def _render(title: str, body: str, **values: object) -> str:
    return render_template_string(PAGE.replace("{body}", body), title=title, **values)


PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>{{ title }} · Demo mailbox</title>
  <link rel="icon" href="data:,">
  <link rel="stylesheet" href="/pages.css">
</head>
<body><main>{body}</main></body>
</html>
"""

LIST = """
<h1>Demo mailbox</h1>
<p>Mail that the demo sends ends here; nothing leaves this machine. <a href="/">Look again</a></p>
{% if mails %}
<table>
  <thead><tr><th scope="col">Subject</th><th scope="col">To</th><th scope="col">Received (UTC)</th></tr></thead>
  <tbody>
  {% for mail in mails %}
    <tr>
      <td><a href="/{{ mail.number }}">{{ mail.subject or "No subject" }}</a></td>
      <td>{{ mail.recipients | join(", ") }}</td>
      <td><time datetime="{{ mail.received_at.isoformat() }}">{{ mail.received_at.strftime("%d %b %Y %H:%M:%S") }}</time></td>
    </tr>
  {% endfor %}
  </tbody>
</table>
{% else %}
<p>No mail yet.</p>
{% endif %}
"""

ONE = """
<p><a href="/">All messages</a></p>
<h1>{{ title }}</h1>
<dl>
  <dt>From</dt><dd>{{ mail.message["From"] or mail.sender }}</dd>
  <dt>To</dt><dd>{{ mail.recipients | join(", ") }}</dd>
  <dt>Received</dt><dd>{{ mail.received_at.strftime("%d %b %Y %H:%M:%S") }} UTC</dd>
</dl>
{% if mail.text %}<pre>{{ mail.text }}</pre>{% else %}<p>This message has no text part.</p>{% endif %}
"""

STYLE = """
:root { color-scheme: light dark; --page: #f3f5f4; --card: #fff; --text: #1b2421; --quiet: #52605b; --line: #c9d2ce;
  --accent: #235e4f; }
@media (prefers-color-scheme: dark) {
  :root { --page: #131816; --card: #1d2421; --text: #e8eeeb; --quiet: #a7b5af; --line: #3d4a45; --accent: #8fd1bd; }
}
body { margin: 0; background: var(--page); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 52rem; margin: 2rem auto; padding: 1.5rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .75rem; }
h1 { margin: 0 0 1rem; font-size: 1.5rem; overflow-wrap: anywhere; }
a { color: var(--accent); }
table { width: 100%; border-collapse: collapse; }
th, td { padding: .5rem; text-align: left; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
th, dt { color: var(--quiet); font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; }
dd { margin: 0; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; padding: 1rem; border: 1px solid var(--line); border-radius: .5rem; }
"""
