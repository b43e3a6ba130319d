"""Syslog as servers read it: counted octets over TCP and TLS, a datagram each over UDP, and a server that refuses."""

from __future__ import annotations

import re
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from govern.core.errors import Unavailable
from govern.notify.syslog import Syslog
from govern.ports import Signed
from tests.peers.mail import make_certificate

SIGNED = Signed("audit-checkpoint-7", 7, datetime(2026, 3, 10, 12, tzinfo=UTC), ('{"a":"wäre"}\n', '{"b":2}\n'))
HEADER = re.compile(rb"<109>1 2026-03-10T12:00:00\.000000Z [!-~]+ govern - checkpoint - \xef\xbb\xbf(.*)", re.DOTALL)
TEXTS = ['{"a":"wäre"}'.encode(), b'{"b":2}']


@contextmanager
def listening(tls: ssl.SSLContext | None = None, *, reset: bool = False) -> Iterator[tuple[int, list[bytes]]]:
    """A server for one connection: its port, and what it received once the client is done."""
    got: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            plain, _ = server.accept()
            with plain:
                if reset:
                    plain.recv(1)
                    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                with suppress(ssl.SSLError), tls.wrap_socket(plain, server_side=True) if tls else plain as sock:
                    while part := sock.recv(4096):
                        got.append(part)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1], got
        thread.join(5)


def texts(stream: bytes) -> list[bytes]:
    """The texts of the messages in a stream of counted octets."""
    found = []
    while stream:
        count, _, rest = stream.partition(b" ")
        match = HEADER.fullmatch(rest[: int(count)])
        assert match, rest
        found.append(match[1])
        stream = rest[int(count) :]
    return found


def test_over_tcp() -> None:
    with listening() as (port, got):
        assert Syslog("tcp", "127.0.0.1", port).push(SIGNED) == "2 messages by tcp"
    assert texts(b"".join(got)) == TEXTS


def test_over_udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        Syslog("udp", "127.0.0.1", server.getsockname()[1]).push(SIGNED)
        matches = [HEADER.fullmatch(server.recv(4096)) for _ in SIGNED.lines]
    assert [match and match[1] for match in matches] == TEXTS


def test_over_tls_to_a_server_that_is_trusted_and_to_no_other(tmp_path: Path) -> None:
    server, client = certified(tmp_path)
    with listening(server) as (port, got):
        Syslog("tls", "localhost", port, tls=client).push(SIGNED)
    assert texts(b"".join(got)) == TEXTS
    with listening(server) as (port, got), pytest.raises(Unavailable, match="SSLCertVerificationError"):
        Syslog("tls", "localhost", port).push(SIGNED)
    assert got == []


def test_a_server_that_is_away_or_refuses_is_tried_again() -> None:
    with listening(reset=True) as (port, _), pytest.raises(Unavailable, match=f"127.0.0.1:{port} did not take it"):
        Syslog("tcp", "127.0.0.1", port).push(SIGNED)
    with pytest.raises(Unavailable, match="ConnectionRefusedError"):
        Syslog("tcp", "127.0.0.1", port).push(SIGNED)


def certified(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for localhost, and a client's that trusts it."""
    certificate, key = make_certificate(folder)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    return server, ssl.create_default_context(cafile=certificate)
