"""The loopback server over real sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from govern.fakes.server import ConnectionCut, LoopbackServer, serve


def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    path, body = environ["PATH_INFO"], environ["wsgi.input"].read()
    if path == "/cut":
        raise ConnectionCut("gone")
    if path == "/half":
        start_response("200 OK", [("Content-Length", "100")])
        yield b"half"
        raise ConnectionCut("gone")
    if path == "/stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield from (b"one ", b"", b"two")
        return
    if path == "/nothing":
        start_response("204 No Content", [])
        return
    said = f"{environ['REQUEST_METHOD']} {path}?{environ['QUERY_STRING']} {environ.get('HTTP_X_WORD')} ".encode() + body
    start_response("200 OK", [("Content-Length", str(len(said)))])
    yield said


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with serve(app) as running:
        yield running


def test_a_request_reaches_the_application_whole(server: LoopbackServer) -> None:
    answer = httpx.post(f"{server.url}/a%20b?x=1&x[]=2", content=b"body", headers={"X-Word": "hello"})
    assert answer.text == "POST /a b?x=1&x[]=2 hello body"


def test_a_connection_is_kept_alive(server: LoopbackServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as line:
        for _ in range(3):
            line.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert line.recv(4_096).startswith(b"HTTP/1.1 200")


def test_a_chunked_body_and_a_streamed_answer(server: LoopbackServer) -> None:
    assert httpx.post(f"{server.url}/", content=iter([b"a", b"bc"])).text == "POST /? None abc"
    with httpx.stream("GET", f"{server.url}/stream") as answer:
        assert answer.headers["transfer-encoding"] == "chunked"
        assert answer.read() == b"one two"


def test_an_answer_without_a_body_leaves_the_connection_usable(server: LoopbackServer) -> None:
    with httpx.Client() as client:
        assert client.get(f"{server.url}/nothing").status_code == 204
        assert client.head(f"{server.url}/").content == b""
        assert client.get(f"{server.url}/").status_code == 200


@pytest.mark.parametrize("path", ["/cut", "/half"])
def test_an_application_can_cut_the_connection(server: LoopbackServer, path: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(server.url + path)
    assert httpx.get(server.url).status_code == 200


def test_requests_are_served_side_by_side() -> None:
    both = threading.Barrier(2, timeout=5)

    def meeting(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        both.wait()
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    with serve(meeting) as running:
        answers: list[str] = []
        threads = [threading.Thread(target=lambda: answers.append(httpx.get(running.url).text)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == ["ok", "ok"]


def test_a_stopped_server_answers_nobody_and_frees_its_port() -> None:
    running = serve(app)
    running.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(running.url)
    with serve(app, port=running.port) as again:
        assert httpx.get(again.url).status_code == 200
        with pytest.raises(OSError, match="in use"):
            serve(app, port=again.port)
