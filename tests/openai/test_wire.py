"""The client over real sockets: deadlines, cut connections, and servers that no fake of an organization would be."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from govern.core.crypto import Secret
from govern.core.errors import CredentialRefused, Rejected, Unavailable
from govern.core.lanes import Lane, in_lane
from govern.fakes.server import serve
from govern.openai.client import OpenAIClient, make_client
from govern.openai.directory import OpenAIDirectory
from govern.openai.keys import OpenAIKeys
from govern.openai.paths import path
from tests.openai.conftest import Peer

USERS = path("/organization/users")
KEY = Secret("sk-admin-" + "k" * 40)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

Talk = Callable[[socket.socket, bytes], None]


@contextmanager
def server_that(talk: Talk, tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[bytes]]]:
    """A server in a few lines: reads one request, lets `talk` do what it likes, closes. Yields its address and the requests;
    one whose TLS handshake failed is an empty one."""
    listener = socket.create_server(("127.0.0.1", 0))
    heard: list[bytes] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                with tls.wrap_socket(connection, server_side=True) if tls else connection as spoken:
                    request = b""
                    while b"\r\n\r\n" not in request and (more := spoken.recv(65536)):
                        request += more
                    heard.append(request)
                    talk(spoken, request)
            except ssl.SSLError:
                heard.append(b"")
            except OSError:
                continue  # the client has gone, which is what most of these tests want

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{listener.getsockname()[1]}/v1", heard
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


@contextmanager
def client_of(address: str, **options: object) -> Iterator[OpenAIClient]:
    client = make_client(base_url=address, admin_key=KEY, sleep=lambda _: None, **options)  # type: ignore[arg-type]
    try:
        yield client
    finally:
        client.close()


def answering(body: bytes, head: bytes = OK) -> Talk:
    return lambda connection, _: connection.sendall(head + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)


def test_the_whole_way_over_http(peer: Peer) -> None:
    with serve(peer.fake.app) as server:
        client = make_client(base_url=f"{server.url}/v1", admin_key=Secret(peer.fake.admin_key))
        project = peer.open_project()
        keys = OpenAIKeys(client)
        issued = keys.create(project, "govern:one", 3600)
        assert peer.fake.oracle().authenticates(issued.value.reveal())
        keys.delete(project, issued.service_account_id)
        assert not peer.fake.oracle().authenticates(issued.value.reveal())
        client.close()


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "truncate"])
def test_a_connection_that_is_cut(peer: Peer, kind: str) -> None:
    with serve(peer.fake.app) as server:
        client = make_client(base_url=f"{server.url}/v1", admin_key=Secret(peer.fake.admin_key), sleep=peer.ticker.sleep)
        peer.fake.fault("users.list", kind=kind)
        assert len(OpenAIDirectory(client).members()) == 4
        peer.fake.fault("projects.service_accounts.create", kind=kind)
        with pytest.raises(Unavailable):
            OpenAIKeys(client).create(peer.open_project(), "govern:one", 3600)
        assert peer.served("POST", "/service_accounts") == 1
        client.close()


def drip(data: bytes) -> Talk:
    def talk(connection: socket.socket, _: bytes) -> None:
        for byte in data:
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    return talk


@pytest.mark.parametrize(
    "talk",
    [
        drip(OK + b"X: " + b"x" * 1000),  # headers, one byte at a time
        drip(OK + b"Content-Length: 1000\r\n\r\n" + b" " * 1000),  # the body likewise
        lambda connection, _: connection.recv(1),  # nothing at all, until the client hangs up
    ],
    ids=["headers drip", "body drips", "silence"],
)
def test_an_exchange_ends_at_its_deadline_however_the_server_dawdles(talk: Talk) -> None:
    with server_that(talk) as (address, _), client_of(address, deadline=0.4) as client:
        began = time.monotonic()
        with pytest.raises(Unavailable):
            client.create(USERS, {})
        assert time.monotonic() - began < 2  # the drops would go on for a minute


def test_a_packed_endless_body_is_cut() -> None:
    bomb = gzip.compress(b"[" + b" " * (32 * 2**20))
    head = OK + b"Content-Encoding: gzip\r\n"
    with (
        server_that(answering(bomb, head)) as (address, _),
        client_of(address) as client,
        pytest.raises(Unavailable, match="8 MiB"),
    ):
        client.get(USERS)


def test_nobody_listening_is_tried_again_even_for_a_creation() -> None:
    naps: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    client = make_client(base_url=address, admin_key=KEY, sleep=naps.append)
    with pytest.raises(Unavailable, match="nothing was sent"):
        client.create(USERS, {})
    client.close()
    assert len(naps) == 2


def test_a_creation_that_was_heard_is_sent_once() -> None:
    with server_that(lambda connection, _: None) as (address, heard), client_of(address) as client:
        with in_lane(Lane.BACKGROUND), pytest.raises(Unavailable):
            client.create(USERS, {})
        assert len(heard) == 1


def test_a_redirect_does_not_take_the_key_elsewhere() -> None:
    with server_that(answering(b"{}")) as (elsewhere, heard):
        head = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {elsewhere}/organization/users\r\n".encode()
        with server_that(answering(b"", head)) as (address, _), client_of(address) as client, pytest.raises(Unavailable):
            client.get(USERS)
        assert heard == []


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with server_that(answering(b"{}")) as (proxy, heard), server_that(answering(b'{"data": []}')) as (address, _):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.removesuffix("/v1"))
        with client_of(address) as client:
            assert client.get(USERS) == {"data": []}
        assert heard == []


def test_the_key_goes_in_the_header_and_nowhere_else() -> None:
    with server_that(answering(b"{}")) as (address, heard), client_of(address) as client:
        client.get(USERS, [("limit", "1")])
        client.create(path("/organization/projects/{}/service_accounts", "proj/../1"), {"name": "x"})
    assert [request.split(b"\r\n")[0] for request in heard] == [
        b"GET /v1/organization/users?limit=1 HTTP/1.1",
        b"POST /v1/organization/projects/proj%2F..%2F1/service_accounts HTTP/1.1",
    ]
    assert all(request.count(KEY.reveal().encode()) == 1 for request in heard)
    assert all(b"uthorization: Bearer " + KEY.reveal().encode() in request for request in heard)


def test_an_error_that_echoes_secrets_is_told_without_them() -> None:
    said = f"Incorrect API key provided: {KEY.reveal()}, also sk-proj-{'z' * 30}\n and more" + "x" * 2000
    body = json.dumps({"error": {"message": said, "type": "invalid_request_error", "param": None, "code": "invalid_api_key"}})
    head = b"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\n"
    with (
        server_that(answering(body.encode(), head)) as (address, _),
        client_of(address) as client,
        pytest.raises(CredentialRefused) as refused,
    ):
        client.get(USERS)
    assert "Incorrect API key provided: [secret]" in refused.value.sentence
    assert "sk-" not in repr(refused.value) + repr(refused.value.facts)
    assert len(refused.value.sentence) < 500


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b"<html>Not Found</html>"),
        (404, b""),
        (400, b"<html>Bad Request</html>"),
        (403, b"<html>Blocked</html>"),
        (404, b'["not", "ours"]'),
    ],
)
def test_a_gateways_answer_is_no_verdict_of_openai(status: int, body: bytes) -> None:
    """Above all, its 404 must not pass for "it is gone"."""
    head = b"HTTP/1.1 %d Whatever\r\n" % status
    with server_that(answering(body, head)) as (address, _), client_of(address) as client, pytest.raises(Unavailable) as failed:
        OpenAIKeys(client).delete("proj_1", "svc_acct_1")
    assert not isinstance(failed.value, CredentialRefused)


def test_an_oauth_error_is_read() -> None:
    body = b'{"error": "invalid_grant", "error_description": "The token has expired."}'
    head = b"HTTP/1.1 401 Unauthorized\r\n"
    with (
        server_that(answering(body, head)) as (address, _),
        client_of(address) as client,
        pytest.raises(CredentialRefused, match=r"invalid_grant: The token has expired\.") as refused,
    ):
        client.get(USERS)
    assert refused.value.facts["provider_code"] == "invalid_grant"


def test_a_429_about_money_is_not_waited_for() -> None:
    error = {"message": "Limit reached", "type": "insufficient_quota", "param": None, "code": "project_spend_limit_exceeded"}
    body = json.dumps({"error": error}).encode()
    head = b"HTTP/1.1 429 Too Many Requests\r\n"
    with server_that(answering(body, head)) as (address, heard), client_of(address) as client:
        with pytest.raises(Rejected, match="spending limit"):
            client.get(USERS)
        assert len(heard) == 1


@pytest.mark.parametrize("body", [b'{"a": NaN}', b"[1]", b"[" * 100_000, b"\xff\xfe", b""])
def test_what_is_no_json_object_is_a_broken_answer(body: bytes) -> None:
    with server_that(answering(body)) as (address, _), client_of(address) as client, pytest.raises(Unavailable):
        client.create(USERS, {})


def test_a_certificate_that_cannot_be_verified_is_not_tried_again(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path))
    with (
        server_that(answering(b"{}"), context) as (address, heard),
        client_of(address) as client,
        pytest.raises(Unavailable, match="certificate"),
    ):
        client.get(USERS)
    assert heard == [b""]  # read when the server's thread has ended: it may learn of the refusal later than we do


def self_signed(folder: Path) -> Path:
    """A key and a certificate for it that nobody else vouches for, in one file."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / "server.pem"
    file.write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
    return file
