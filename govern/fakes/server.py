"""A threaded HTTP/1.1 server for WSGI applications on the loopback interface.

It differs from the servers of the standard library and of Werkzeug in three points that tests of a client need:
connections are kept alive, an application can cut the connection in the middle of an answer (`ConnectionCut`), and
nothing is written to the terminal.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

import httpx

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

NO_BODY = {204, 304}


class ConnectionCut(httpx.RemoteProtocolError, ConnectionResetError):
    """Raised by an application that wants its client to see a dead connection.

    `LoopbackServer` closes the socket without another byte. In process, through `httpx.WSGITransport`, the exception
    itself reaches the client, as the same kind that httpx raises for a cut connection.
    """


class LoopbackServer:
    """Serves `app` from background threads until `stop()`; a context manager.

    `port=0` takes a free one. `url` has no trailing slash. A port that is taken raises `OSError` at once.
    """

    def __init__(self, app: WSGIApplication, host: str = "127.0.0.1", port: int = 0) -> None:
        self._server = _Server((host, port), _Handler)
        self._server.app = app
        self.host = host
        self.port = int(self._server.server_address[1])
        self.url = f"http://{host}:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="loopback", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and cut the connections that are still open. A second call does nothing."""
        self._server.shutdown()
        self._server.server_close()
        self._server.cut_all()
        self._thread.join(5)

    def __enter__(self) -> LoopbackServer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def serve(app: WSGIApplication, host: str = "127.0.0.1", port: int = 0) -> LoopbackServer:
    """Start serving; use the result as a context manager or call its `stop()`."""
    return LoopbackServer(app, host, port)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    app: WSGIApplication

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(address, handler)

    def server_bind(self) -> None:
        # HTTPServer's own asks the resolver for the host's name, which can hang on a machine without one.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            self._open.add(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._open_lock:
                self._open.discard(request)

    def cut_all(self) -> None:
        with self._open_lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that goes away is daily life; anything else is a bug of the application and should be seen.
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            traceback.print_exc()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "loopback"
    sys_version = ""
    # Status line, headers and body leave in separate writes; with Nagle's algorithm each answer would wait 40 ms for an ACK.
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_GET  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def _answer(self) -> None:
        body = self._read_body()
        if body is None:
            return
        reply = _Reply(self)
        chunks: Iterable[bytes] = ()
        try:
            chunks = self.server.app(self._environ(body), reply.start)
            for chunk in chunks:
                reply.write(chunk)
            reply.finish()
        except ConnectionError:
            self._cut()
        except Exception:
            traceback.print_exc()
            self._cut()
        finally:
            close: Callable[[], None] | None = getattr(chunks, "close", None)
            if close:
                close()

    def _cut(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)

    def _read_body(self) -> bytes | None:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._read_chunks()
        length = self.headers.get("Content-Length") or "0"
        if not length.isdigit():
            self.close_connection = True
            self.send_error(400)
            return None
        return self.rfile.read(int(length))

    def _read_chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline(1000).split(b";")[0].strip() or b"0", 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline(10)
        while self.rfile.readline(10_000).strip():
            pass
        return b"".join(parts)

    def _environ(self, body: bytes) -> dict[str, Any]:
        target = urlsplit(self.path)
        environ: dict[str, Any] = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(target.path).decode("latin-1"),
            "QUERY_STRING": target.query,
            "REQUEST_URI": self.path,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "SERVER_NAME": self.server.server_name,
            "SERVER_PORT": str(self.server.server_port),
            "SERVER_PROTOCOL": self.request_version,
            "REMOTE_ADDR": self.client_address[0],
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(body),
            "wsgi.input_terminated": True,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name in self.headers:
            key = "HTTP_" + name.upper().replace("-", "_")
            if key not in {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"}:
                environ[key] = ",".join(self.headers.get_all(name) or ())
        return environ


class _Reply:
    """The answer as it goes out: headers with the first bytes, chunked where the application names no length."""

    def __init__(self, handler: _Handler) -> None:
        self._handler = handler
        self._status = 0
        self._headers: list[tuple[str, str]] = []
        self._sent = False
        self._chunked = False

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        self._status, self._headers = int(status.split(" ", 1)[0]), headers
        return self.write

    def write(self, data: bytes) -> None:
        self._send_head()
        if not data or self._handler.command == "HEAD":
            return
        out = self._handler.wfile
        out.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
        out.flush()

    def finish(self) -> None:
        self._send_head()
        if self._chunked:
            self._handler.wfile.write(b"0\r\n\r\n")
        self._handler.wfile.flush()

    def _send_head(self) -> None:
        if self._sent:
            return
        self._sent = True
        handler = self._handler
        handler.send_response(self._status)
        names = {name.lower() for name, _ in self._headers}
        for name, value in self._headers:
            handler.send_header(name, value)
        bare = handler.command == "HEAD" or self._status in NO_BODY
        if "content-length" not in names and not bare:
            self._chunked = handler.request_version == "HTTP/1.1"
            handler.send_header("Transfer-Encoding", "chunked") if self._chunked else handler.send_header("Connection", "close")
        handler.end_headers()
