"""Syslog after RFC 5424: over TLS or TCP with counted octets (RFC 5425, RFC 6587), or over UDP.

Syslog has no receipt. Over TCP and TLS what was written counts as delivered when the server closed in good order; over UDP
nobody knows, so it is for servers on the same machine.
"""

from __future__ import annotations

import re
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from govern.core.errors import Unavailable
from govern.ports import Signed

_PRIORITY: Final = 13 * 8 + 5  # facility "log audit", severity "notice"
_BOM: Final = "\ufeff"  # RFC 5424 marks a message in UTF-8 so


@dataclass(frozen=True)
class Syslog:
    """A server. `scheme` is tls, tcp or udp; `tls` replaces the machine's trusted certificates; `deadline` is in seconds."""

    scheme: str
    host: str
    port: int
    deadline: float = 10.0
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    def push(self, signed: Signed) -> str:
        """Send a message per line. Raises Unavailable."""
        messages = [message(line.rstrip("\n"), signed.at) for line in signed.lines]
        try:
            if self.scheme == "udp":
                self._send_datagrams(messages)
            else:
                self._send_stream(b"".join(b"%d %b" % (len(each), each) for each in messages))
        except OSError as error:
            where = f"{self.host}:{self.port}"
            raise Unavailable(f"The syslog server {where} did not take it ({type(error).__name__}).") from None
        return f"{len(messages)} messages by {self.scheme}"

    def _send_datagrams(self, messages: list[bytes]) -> None:
        family, kind, protocol, _, address = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as sock:
            sock.settimeout(self.deadline)
            sock.connect(address)
            for each in messages:
                sock.send(each)

    def _send_stream(self, frames: bytes) -> None:
        with socket.create_connection((self.host, self.port), timeout=self.deadline) as plain:
            if self.scheme == "tls":
                context = self.tls or ssl.create_default_context()
                with context.wrap_socket(plain, server_hostname=self.host) as sock:
                    sock.sendall(frames)
                    with suppress(OSError):  # many servers do not say goodbye
                        sock.unwrap()
                return
            plain.sendall(frames)
            plain.shutdown(socket.SHUT_WR)
            plain.settimeout(min(self.deadline, 2.0))
            with suppress(TimeoutError):  # a server that keeps the connection has nothing against it
                plain.recv(1)  # one that refuses resets it, which raises


def message(text: str, at: datetime) -> bytes:
    """One message: header, no structured data, and the text in UTF-8."""
    host = re.sub(r"[^!-~]", "", socket.gethostname())[:255] or "-"
    instant = at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return f"<{_PRIORITY}>1 {instant} {host} govern - checkpoint - {_BOM}{text}".encode()
