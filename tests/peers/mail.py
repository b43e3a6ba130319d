"""A real SMTP server that keeps what it is sent, as plain as a relay on loopback or as guarded as a company's."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as default_policy
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Received:
    """One message with its envelope and what the session was like."""

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage
    encrypted: bool
    username: str | None


class MailSink:
    """Collects messages: `.messages` parsed, `.received` with their envelopes.

    `refuse_next(…)` makes the following messages fail with these SMTP answers, such as "451 Try again later".
    `ca_file` is the certificate that a client has to trust, where encryption is on.
    """

    def __init__(self, username: str = "", password: str = "", ca_file: Path | None = None) -> None:
        self.host = "127.0.0.1"
        self.port = 0
        self.username = username
        self.password = password
        self.ca_file = ca_file
        self.received: list[Received] = []
        self.refused = 0
        self._answers: list[str] = []
        self._changed = threading.Condition()

    @property
    def messages(self) -> list[EmailMessage]:
        """The parsed messages in the order in which they came."""
        with self._changed:
            return [received.message for received in self.received]

    def refuse_next(self, *answers: str) -> None:
        """Give these answers to the next messages instead of taking them."""
        with self._changed:
            self._answers += answers

    def wait_for(self, count: int, timeout: float = 5.0) -> list[EmailMessage]:
        """The messages once there are at least `count`; TimeoutError otherwise."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.received) >= count, timeout):
                raise TimeoutError(f"{len(self.received)} of {count} messages came within {timeout:g} s")
        return self.messages

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Called by the SMTP server for each message."""
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=default_policy)
        assert isinstance(message, EmailMessage)
        with self._changed:
            if self._answers:
                self.refused += 1
                return self._answers.pop(0)
            user = str(session.auth_data.login, "utf-8") if isinstance(session.auth_data, LoginPassword) else None
            # `session.ssl` would know of STARTTLS only.
            encrypted = server.transport is not None and server.transport.get_extra_info("sslcontext") is not None
            self.received.append(Received(envelope.mail_from or "", tuple(envelope.rcpt_tos), message, encrypted, user))
            self._changed.notify_all()
        return "250 Kept"

    def check(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        """Called by the SMTP server for each login."""
        wanted = LoginPassword(self.username.encode(), self.password.encode())
        return AuthResult(success=data == wanted, handled=False, auth_data=data)


class _OnSocket(Controller):
    def __init__(self, sink: MailSink, bound: socket.socket, **options: Any) -> None:
        # Aiosmtpd cannot report a port that it chose itself, so the socket is bound before.
        super().__init__(sink, hostname=sink.host, port=sink.port, server_hostname="localhost", **options)
        self._bound = bound

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, sock=self._bound, ssl=self.ssl_context)


@contextmanager
def mail_sink(*, security: str = "none", username: str = "", password: str = "") -> Iterator[MailSink]:
    """A sink on a free loopback port.

    `security` is "none", "starttls" (required before anything else) or "tls" (from the first byte); the certificate is
    made for the occasion, for `localhost` and 127.0.0.1. With a `username` the client has to log in.
    """
    if security not in ("none", "starttls", "tls"):
        raise ValueError(f"security is none, starttls or tls, not {security!r}")
    with tempfile.TemporaryDirectory() as folder:
        encrypted = security != "none"
        certificate, key = make_certificate(Path(folder)) if encrypted else (None, None)
        sink = MailSink(username, password, certificate)
        options: dict[str, Any] = {}
        if certificate and key:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate, key)
            options |= {"ssl_context": context} if security == "tls" else {"tls_context": context, "require_starttls": True}
        if username:
            # Aiosmtpd believes a session encrypted only after STARTTLS, so the other variants must not ask for it.
            asks_tls = security == "starttls"
            options |= {"authenticator": sink.check, "auth_required": asks_tls, "auth_require_tls": asks_tls}
        with socket.create_server((sink.host, 0)) as bound:
            sink.port = bound.getsockname()[1]
            controller = _OnSocket(sink, bound, **options)
            controller.start()
            try:
                yield sink
            finally:
                controller.stop()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate that vouches for itself, and its key, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem = serialization.PrivateFormat.PKCS8
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, pem, serialization.NoEncryption()))
    return certificate_file, key_file
