"""E-mail by SMTP: text and HTML, TLS and sign-in, and an honest word on what the server answered."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from typing import Final, Literal

from govern.core.clock import utcnow
from govern.core.crypto import Secret
from govern.core.errors import Rejected, Unavailable
from govern.ports import Message

TIMEOUT_SECONDS: Final = 6.0
"""For each answer of the server; the whole dialogue of about eight stays below an effect's lease."""


@dataclass(frozen=True)
class Email:
    """Sends through one server. With `starttls` or `tls` nothing is ever sent in the clear: there is no falling back.

    `tls` replaces the trusted certificates of the machine.
    """

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    sender: str
    username: str | None = None
    password: Secret | None = None
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    timeout: float = TIMEOUT_SECONDS

    def send(self, address: str, message: Message, *, secret: Secret | None = None) -> str:
        """Hand the mail to the server and return its answer. `Message-ID` follows from `message.id`, the same on each attempt.

        Raises Unavailable where trying again may help: no connection, no encryption, a failed sign-in or a sender that it
        does not like (somebody will mend the settings), a temporary refusal, or a connection lost after the text, when it may
        have been taken. Raises Rejected where the server refused this mail or this address for good.
        """
        mail = self._compose(address, message)
        with self._session() as smtp:
            code, answer = smtp.mail(self.sender_address)
            if code != 250:  # our settings are wrong, not this mail: once they are mended it should still go out
                raise Unavailable(f"The mail server does not let us send as {self.sender_address} ({code}).", status=code)
            self._accept(*smtp.rcpt(address), f"the recipient {address}")
            code, answer = smtp.data(mail.as_bytes(policy=SMTP_POLICY))
            self._accept(code, answer, "the message")
        return f"{code} {answer.decode(errors='replace')}"

    @property
    def sender_address(self) -> str:
        """The bare address out of `Name <address>`."""
        return self.sender.rpartition("<")[2].rstrip("> ")

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        where = f"The mail server {self.host}:{self.port}"
        try:
            smtp = self._connect()
            try:
                if self.security == "starttls":
                    smtp.starttls(context=self.tls or ssl.create_default_context())
                if self.username and self.password is not None:
                    smtp.login(self.username, self.password.reveal())
                smtp.ehlo_or_helo_if_needed()
                yield smtp
            finally:
                # A clumsy goodbye must not turn a mail that was taken into one that is sent again.
                with suppress(smtplib.SMTPException, OSError):
                    smtp.quit()
                smtp.close()
        except smtplib.SMTPAuthenticationError as error:
            raise Unavailable(f"{where} did not accept our user name and password ({error.smtp_code}).") from None
        except smtplib.SMTPNotSupportedError:
            raise Unavailable(f"{where} does not offer what the settings ask for (STARTTLS or sign-in).") from None
        except ssl.SSLCertVerificationError as error:
            raise Unavailable(f"{where} has a certificate that is not trusted: {error.verify_message}.") from None
        except (smtplib.SMTPException, OSError) as error:
            # An SMTP exception's own text may hold a line that the server sent; the kind says enough.
            raise Unavailable(f"{where} did not take the mail ({type(error).__name__}).") from None

    def _connect(self) -> smtplib.SMTP:
        if self.security == "tls":
            context = self.tls or ssl.create_default_context()
            return smtplib.SMTP_SSL(self.host, self.port, timeout=self.timeout, context=context)
        return smtplib.SMTP(self.host, self.port, timeout=self.timeout)

    def _accept(self, code: int, answer: bytes, what: str) -> None:
        if 200 <= code < 300:
            return
        text = answer.decode(errors="replace")[:150]
        if 500 <= code < 600:
            raise Rejected(f"The mail server refused {what}: {code} {text}", status=code)
        raise Unavailable(f"The mail server put off {what}: {code} {text}", status=code)

    def _compose(self, address: str, message: Message) -> EmailMessage:
        mail = EmailMessage(policy=SMTP_POLICY)
        try:
            mail["From"] = self.sender
            mail["To"] = Address(addr_spec=address)
            mail["Subject"] = message.subject
            mail["Date"] = format_datetime(utcnow())
            mail["Message-ID"] = f"<{message.id}@{self.sender_address.rpartition('@')[2] or 'localhost'}>"
            mail["Auto-Submitted"] = "auto-generated"  # so that an absence notice does not answer it
            address.encode("ascii")
        except (ValueError, IndexError, MessageError):  # a line break, a broken address, or one that needs SMTPUTF8
            raise Rejected(f"No mail can be addressed to {address!r}.") from None
        mail.set_content(message.text)
        if message.html is not None:
            mail.add_alternative(message.html, subtype="html")
        return mail
