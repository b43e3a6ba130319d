"""Mail through a real SMTP server: plain, encrypted, signed in, refused, and gone."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import pytest

from govern.core.crypto import Secret
from govern.core.errors import Rejected, Unavailable
from govern.notify.email import Email
from govern.ports import Message
from tests.peers.mail import MailSink, mail_sink

MESSAGE = Message("dlv_1", "search has used 85 % – März", "Wörter.\n", "<p>Wörter.</p>", {})


def email(sink: MailSink, **more: Any) -> Email:
    facts: dict[str, Any] = {"security": "none", "sender": "Govern <govern@acme.example>"} | more
    return Email(sink.host, sink.port, **facts)


def test_a_mail_has_text_and_html_and_a_stable_id() -> None:
    with mail_sink() as sink:
        receipt = email(sink).send("fin@acme.example", MESSAGE)
        email(sink).send("fin@acme.example", MESSAGE)
        first, second = sink.wait_for(2)
    assert receipt == "250 Kept"
    assert first["Subject"] == "search has used 85 % – März"
    assert first["To"] == "fin@acme.example"
    assert first["From"] == "Govern <govern@acme.example>"
    assert first["Message-ID"] == second["Message-ID"] == "<dlv_1@acme.example>"
    assert first["Auto-Submitted"] == "auto-generated"
    text, html = first.get_body(("plain",)), first.get_body(("html",))
    assert text is not None
    assert html is not None
    assert (text.get_content().strip(), html.get_content().strip()) == ("Wörter.", "<p>Wörter.</p>")
    assert sink.received[0].sender == "govern@acme.example"


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_encrypted_and_signed_in(security: Any) -> None:
    with mail_sink(security=security, username="govern", password="correct horse") as sink:
        trusted = ssl.create_default_context(cafile=str(sink.ca_file))
        mail = email(sink, security=security, username="govern", password=Secret("correct horse"), tls=trusted)
        assert mail.send("fin@acme.example", MESSAGE) == "250 Kept"
    assert (sink.received[0].encrypted, sink.received[0].username) == (True, "govern")


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_that_is_not_trusted_ends_it(security: Any) -> None:
    with mail_sink(security=security) as sink, pytest.raises(Unavailable, match="not trusted"):
        email(sink, security=security).send("fin@acme.example", MESSAGE)
    assert sink.received == []


def test_there_is_no_falling_back_to_plain_text() -> None:
    with mail_sink() as sink, pytest.raises(Unavailable, match="does not offer"):
        email(sink, security="starttls").send("fin@acme.example", MESSAGE)
    assert sink.received == []


def test_a_wrong_password_is_tried_again_later_and_never_shown() -> None:
    with mail_sink(security="starttls", username="govern", password="right") as sink:
        trusted = ssl.create_default_context(cafile=str(sink.ca_file))
        wrong = email(sink, security="starttls", username="govern", password=Secret("hunter2"), tls=trusted)
        with pytest.raises(Unavailable, match="user name and password") as raised:
            wrong.send("fin@acme.example", MESSAGE)
    assert "hunter2" not in raised.value.sentence + repr(wrong)


@pytest.mark.parametrize(
    ("answer", "error"),
    [("451 Try later", Unavailable), ("452 Full", Unavailable), ("554 Spam", Rejected)],
)
def test_what_each_answer_means(answer: str, error: type[Exception]) -> None:
    with mail_sink() as sink:
        sink.refuse_next(answer)
        with pytest.raises(error, match=answer[4:]):
            email(sink).send("fin@acme.example", MESSAGE)


def test_nobody_listening_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(Unavailable, match="did not take the mail"):
        Email("127.0.0.1", port, "none", "a@b.example", timeout=1).send("fin@acme.example", MESSAGE)


def test_a_server_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(Unavailable):
        Email("127.0.0.1", server.getsockname()[1], "none", "a@b.example", timeout=0.3).send("fin@acme.example", MESSAGE)


@pytest.mark.parametrize(
    ("address", "subject"),
    [
        ("fin@acme.example", "two\r\nBcc: mal@acme.example"),
        ("fin@acme.example\r\nBcc: mal@acme.example", "fine"),
        ("fin@acme.example, mal@acme.example", "fine"),
        ("no address", "fine"),
        ("dörte@acme.example", "fine"),
    ],
)
def test_headers_cannot_be_smuggled_in(address: str, subject: str) -> None:
    message = Message("dlv_1", subject, "x", None, {})
    with mail_sink() as sink, pytest.raises(Rejected):
        email(sink).send(address, message)
    assert sink.received == []
