"""A real HTTP server that keeps the webhooks it is sent, answers by script and checks signatures."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOLERANCE_SECONDS = 300


class BadSignature(Exception):
    """A webhook that its receiver has to refuse; the text says why."""


@dataclass(frozen=True)
class Answer:
    """What to answer, and after how many seconds. `cut` closes the connection instead."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0.0
    cut: bool = False


@dataclass(frozen=True)
class Webhook:
    """One request as it came, and the status that it was answered with (None: the connection was cut)."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    status: int | None

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """A header's value, whatever the case of its name."""
        return next((value for key, value in self.headers.items() if key.lower() == name.lower()), None)


def verify(webhook: Webhook, secret: str, *, now: float | None = None) -> None:
    """Check a webhook by Standard Webhooks 1.0: one of the signatures (`v1,<base64>`, separated by blanks) has to be
    HMAC-SHA256 of `id.timestamp.body` under the secret (`whsec_` and base64), not older or newer than five minutes.

    `now` is in seconds since 1970. Raises BadSignature.
    """
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    message_id, timestamp, signatures = (webhook.header(f"webhook-{name}") for name in ("id", "timestamp", "signature"))
    if not message_id or not timestamp or not signatures:
        raise BadSignature("a webhook- header is missing")
    if not timestamp.isascii() or not timestamp.isdigit():
        raise BadSignature("the timestamp is not whole seconds")
    if abs((time.time() if now is None else now) - int(timestamp)) > TOLERANCE_SECONDS:
        raise BadSignature("the timestamp is too far from now")
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + webhook.body, hashlib.sha256).digest()
    expected = base64.b64encode(digest).decode()
    versions = [part.partition(",") for part in signatures.split(" ")]
    if not any(name == "v1" and hmac.compare_digest(value, expected) for name, _, value in versions):
        raise BadSignature("no signature fits")


class WebhookSink:
    """Collects requests in `.received`. `url` is where to send them; any path is taken."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.received: list[Webhook] = []
        self._script: list[Answer] = []
        self._changed = threading.Condition()

    def answer_next(self, *answers: Answer | int) -> None:
        """Give these answers (a number is a bare status) to the next requests; after them, 204 again."""
        with self._changed:
            self._script += [Answer(each) if isinstance(each, int) else each for each in answers]

    def wait_for(self, count: int, timeout: float = 5.0) -> list[Webhook]:
        """The requests once there are at least `count`; TimeoutError otherwise."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.received) >= count, timeout):
                raise TimeoutError(f"{len(self.received)} of {count} webhooks came within {timeout:g} s")
            return list(self.received)

    def take(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Keep a request and say how to answer it."""
        with self._changed:
            answer = self._script.pop(0) if self._script else Answer()
            status = None if answer.cut else answer.status
            self.received.append(Webhook(method, path, headers, body, status))
            self._changed.notify_all()
        return answer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer = self.server.sink.take(self.command, self.path, dict(self.headers.items()), body)
        # A wait that the end of the test cuts short, unlike a sleep.
        if self.server.stopping.wait(answer.delay) or answer.cut:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status not in (204, 304):
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if answer.status not in (204, 304):
            self.wfile.write(answer.body)

    do_GET = do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    sink: WebhookSink

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.stopping = threading.Event()
        super().__init__(address, handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that gave up waiting is what some tests are about."""


@contextmanager
def webhook_sink() -> Iterator[WebhookSink]:
    """A sink on a free loopback port."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.sink = sink = WebhookSink(f"http://127.0.0.1:{server.server_address[1]}/hook")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield sink
        finally:
            server.stopping.set()
            server.shutdown()
            thread.join(5)
