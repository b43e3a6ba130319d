from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage

import pytest

from tests.peers.mail import MailSink, mail_sink


def hello() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "govern@corp.example", "fin@corp.example", "Grüße"
    message.set_content("85 %")
    return message


def connect(sink: MailSink) -> smtplib.SMTP:
    return smtplib.SMTP(sink.host, sink.port, timeout=5)


def trust(sink: MailSink) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=sink.ca_file)


def test_it_keeps_parsed_messages_with_their_envelopes() -> None:
    with mail_sink() as sink, connect(sink) as smtp:
        smtp.send_message(hello())
        [message] = sink.wait_for(1)
        assert (message["Subject"], message.get_content().strip()) == ("Grüße", "85 %")
        [received] = sink.received
        assert (received.sender, received.recipients) == ("govern@corp.example", ("fin@corp.example",))
        assert (received.encrypted, received.username) == (False, None)


def test_starttls_and_login_are_demanded_and_the_certificate_holds() -> None:
    with mail_sink(security="starttls", username="govern", password="not real") as sink:
        with connect(sink) as smtp, pytest.raises(smtplib.SMTPSenderRefused, match="STARTTLS"):
            smtp.send_message(hello())
        with connect(sink) as smtp, pytest.raises(ssl.SSLCertVerificationError):
            smtp.starttls(context=ssl.create_default_context())
        with connect(sink) as smtp:
            smtp.starttls(context=trust(sink))
            with pytest.raises(smtplib.SMTPSenderRefused, match="Authentication required"):
                smtp.send_message(hello())
            with pytest.raises(smtplib.SMTPAuthenticationError):
                smtp.login("govern", "wrong")
            smtp.login("govern", "not real")
            smtp.send_message(hello())
        [received] = sink.received
        assert (received.encrypted, received.username) == (True, "govern")


def test_tls_from_the_first_byte() -> None:
    with mail_sink(security="tls", username="govern", password="not real") as sink:
        with smtplib.SMTP_SSL(sink.host, sink.port, timeout=5, context=trust(sink)) as smtp:
            smtp.login("govern", "not real")
            smtp.send_message(hello())
        [received] = sink.received
        assert received.encrypted


def test_it_refuses_on_request_and_recovers() -> None:
    with mail_sink() as sink, connect(sink) as smtp:
        sink.refuse_next("451 Try again later", "550 No such user")
        for code in (451, 550):
            with pytest.raises(smtplib.SMTPDataError) as refusal:
                smtp.send_message(hello())
            assert refusal.value.smtp_code == code
        smtp.send_message(hello())
        assert (len(sink.messages), sink.refused) == (1, 2)
