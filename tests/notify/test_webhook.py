"""Webhooks against a receiver that checks signatures, and against receivers that misbehave."""

from __future__ import annotations

import base64
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from govern.core.crypto import Secret
from govern.core.errors import GovernError, InvalidInput, Rejected, Throttled, Unavailable
from govern.notify.webhook import Webhook, signing_key
from govern.ports import Message
from tests.peers.webhooks import Answer, BadSignature, WebhookSink, verify, webhook_sink

SECRET = Secret("whsec_" + base64.b64encode(b"0123456789abcdefghijklmnop").decode())
FACTS = {"type": "budget.threshold_crossed", "at": datetime(2026, 3, 10, 12, tzinfo=UTC), "spent_usd": Decimal("85.10")}
MESSAGE = Message("dlv_1", "search has used 85 %", "Words.", None, dict(FACTS))


@pytest.fixture
def sink() -> Iterator[WebhookSink]:
    with webhook_sink() as found:
        yield found


def send(url: str, message: Message = MESSAGE, *, deadline: float = 2.0) -> str:
    return Webhook(allow_private=True, deadline=deadline).send(url, message, secret=SECRET)


def test_the_receiver_can_verify_what_came(sink: WebhookSink) -> None:
    assert send(sink.url) == "HTTP 204"
    (got,) = sink.received
    verify(got, SECRET.reveal())
    assert got.header("webhook-id") == "dlv_1"
    assert got.header("host") == sink.url.split("/")[2]
    assert got.json == {
        "type": "budget.threshold_crossed",
        "timestamp": "2026-03-10T12:00:00+00:00",
        "data": {"subject": "search has used 85 %", "text": "Words.", "spent_usd": "85.10"},
    }


def test_another_secret_or_a_changed_body_does_not_verify(sink: WebhookSink) -> None:
    send(sink.url)
    with pytest.raises(BadSignature):
        verify(sink.received[0], "whsec_" + base64.b64encode(b"x" * 32).decode())


def test_a_second_attempt_has_the_same_id_and_body_and_a_new_time(sink: WebhookSink) -> None:
    sink.answer_next(500)
    with pytest.raises(Unavailable):
        send(sink.url)
    send(sink.url)
    first, second = sink.received
    assert (first.header("webhook-id"), first.body) == (second.header("webhook-id"), second.body)
    verify(second, SECRET.reveal())


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (500, Unavailable), (503, Unavailable), (404, Unavailable), (401, Unavailable), (408, Unavailable), (429, Throttled),
        (410, Rejected), (400, Rejected), (422, Rejected), (301, Rejected), (307, Rejected),
    ],
)  # fmt: skip
def test_what_each_answer_means(sink: WebhookSink, status: int, error: type[GovernError]) -> None:
    sink.answer_next(Answer(status, {"Retry-After": "7", "Location": "/elsewhere"}))
    with pytest.raises(error) as raised:
        send(sink.url)
    assert type(raised.value) is error
    assert len(sink.received) == 1, "a redirect is not followed"
    if isinstance(raised.value, Throttled):
        assert raised.value.retry_after == 7


def test_a_receiver_that_hangs_or_hangs_up_is_unavailable(sink: WebhookSink) -> None:
    sink.answer_next(Answer(delay=30), Answer(cut=True))
    for _ in range(2):
        with pytest.raises(Unavailable):
            send(sink.url, deadline=0.6)


@contextmanager
def dripping(first: bytes) -> Iterator[str]:
    """A server that answers a byte now and then, for ever."""
    stop = threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(first)
            while not stop.wait(0.05):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/hook"
        stop.set()
        thread.join(5)


def test_headers_that_never_end_do_not_hold_anybody_up() -> None:
    with dripping(b"HTTP/1.1 200 OK\r\nx-") as url:
        began = time.monotonic()
        with pytest.raises(Unavailable):
            send(url, deadline=0.8)
        assert time.monotonic() - began < 3


def test_a_body_that_never_ends_is_not_read() -> None:
    with dripping(b"HTTP/1.1 200 OK\r\n\r\n") as url:
        began = time.monotonic()
        assert send(url) == "HTTP 200"
        assert time.monotonic() - began < 1


def test_nothing_is_sent_to_a_private_address_unless_allowed(sink: WebhookSink) -> None:
    with pytest.raises(Rejected):
        Webhook().send(sink.url, MESSAGE, secret=SECRET)
    with pytest.raises(Rejected):
        Webhook().send(sink.url.replace("http:", "https:"), MESSAGE, secret=SECRET)
    assert sink.received == []


def test_a_proxy_of_the_environment_is_not_used(sink: WebhookSink, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert send(sink.url) == "HTTP 204"


def test_the_url_is_in_no_log_and_no_error(sink: WebhookSink, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    sink.answer_next(204, 500)
    send(sink.url + "/token-in-the-path")
    with pytest.raises(Unavailable) as raised:
        send(sink.url + "/token-in-the-path")
    assert "token-in-the-path" not in caplog.text + raised.value.sentence


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_not base64", "whsec_" + "A" * 100])
def test_a_weak_or_broken_signing_secret_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        signing_key(Secret(text))
    assert text in ("", "whsec_") or text not in raised.value.sentence


def test_an_unsigned_webhook_is_not_sent(sink: WebhookSink) -> None:
    with pytest.raises(Rejected, match="secret"):
        Webhook(allow_private=True).send(sink.url, MESSAGE)
    assert sink.received == []
