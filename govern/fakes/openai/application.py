"""The WSGI application: finds the operation, lets faults strike, asks who is calling, runs it under the lock, and
writes the answer.
"""

from __future__ import annotations

import functools
import gzip
import json
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from govern.fakes.openai import access, actions
from govern.fakes.openai.faults import CURSORS, Fault, Faults, refuse_before, rewrite
from govern.fakes.openai.operations import OPERATIONS
from govern.fakes.openai.organization import Organization
from govern.fakes.openai.problems import Refusal, refusal
from govern.fakes.openai.tables import Json
from govern.fakes.openai.throttle import Throttle
from govern.fakes.openai.wire import Call, Operation, Query
from govern.fakes.server import ConnectionCut

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_CUT = {"drop_before", "drop_after"}
# A Decimal goes through the encoder as a string between these two; nobody can send a text that holds them.
_OPEN, _CLOSE = f"<{secrets.token_hex(8)}", f"{secrets.token_hex(8)}>"


@functools.cache
def _rules() -> Map:
    """Built once per process: it takes longer than a small organization, and tests make thousands of those."""
    return Map([Rule(o.rule, endpoint=o.name, methods=[o.method]) for o in OPERATIONS], strict_slashes=False)


def _with_version(path: str) -> str:
    """The path as the API knows it: a client's base address may name the version, not name it, or name it twice."""
    if path.startswith("/v1/v1/"):
        return path.removeprefix("/v1")
    return path if path.startswith(("/v1/", "/oauth/", "/_control")) else f"/v1{path}"


class Served(NamedTuple):
    """One line of the log of requests."""

    method: str
    path: str
    status: int
    request_id: str


@dataclass(slots=True)
class Late:
    """A change that was accepted and will be made at `due`."""

    due: float
    operation: Operation
    request: Request
    path: dict[str, str]


class Application:
    """`control` answers everything under /_control/, without key, faults or log."""

    def __init__(self, org: Organization, control: Callable[[Request], Response]) -> None:
        self._org = org
        self._control = control
        self._by_name = {operation.name: operation for operation in OPERATIONS}
        self._map = _rules()
        self.faults = Faults()
        self.throttle = Throttle()
        self.requests: list[Served] = []
        self._late: list[Late] = []

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["PATH_INFO"] = _with_version(environ.get("PATH_INFO", ""))
        request = Request(environ)
        if request.path.startswith("/_control"):
            return self._control(request)(environ, start_response)
        request_id = f"req_{secrets.token_hex(16)}"
        try:
            response = self._respond(request)
        except ConnectionCut:
            self.requests.append(Served(request.method, request.path, 0, request_id))
            raise
        response.headers["x-request-id"] = request_id
        response.headers["openai-processing-ms"] = "7"
        self.requests.append(Served(request.method, request.path, response.status_code, request_id))
        return response(environ, start_response)

    # -- one request --------------------------------------------------------------------------------------------------

    def _respond(self, request: Request) -> Response:
        try:
            operation, path = self._find(request)
        except Refusal as error:
            return _refused(error)
        request.get_data(cache=True)
        with self._org.lock:
            has_cursor = any(name in request.args for name in CURSORS)
            faults = self.faults.take(operation.name, request.method, request.path, has_cursor=has_cursor)
        for fault in faults:
            if fault.word == "delay":
                time.sleep(fault.number(1))
            if fault.word == "drop_before":
                raise ConnectionCut("Server disconnected without sending a response.")
        try:
            with self._org.lock:
                self._make_late_changes()
                answer = self._run(operation, request, path, faults)
        except Refusal as error:
            return _refused(error)
        return _broken(answer, faults)

    def _find(self, request: Request) -> tuple[Operation, dict[str, str]]:
        adapter = self._map.bind_to_environ(request.environ)
        try:
            name, path = adapter.match()
        except MethodNotAllowed:
            raise refusal(405, f"Not allowed to {request.method} on {request.path}", code="method_not_supported") from None
        except HTTPException:
            raise _unknown(request) from None
        operation = self._by_name[name]
        if operation.since > self._org.behaviour.generation:
            raise _unknown(request)
        return operation, dict(path)

    def _run(self, operation: Operation, request: Request, path: dict[str, str], faults: list[Fault]) -> Response:
        now = self._org.clock.instant()
        for fault in faults:
            refuse_before(fault, operation.name, now)
        call = self._call(operation, request, path)
        for fault in faults:
            if fault.word == "late":
                self._late.append(Late(now + fault.number(90), operation, request, path))
                raise refusal(504, "The server timed out.", kind="server_error")
        words = {fault.word for fault in faults}
        stale = next((f for f in faults if f.word == "stale_list" and request.method == "GET" and now < f.until), None)
        if "lie_200" in words:
            with self._org.pretending(None):
                answer = operation.handler(call)
        elif stale:
            with self._org.pretending(stale.snapshot):
                answer = operation.handler(call)
        else:
            answer = operation.handler(call)
            if request.method != "GET":
                self._org.changed()
        for fault in faults:
            if fault.word in {"disable_key", "rename_sa"}:
                actions.meddle(self._org, fault.word, ":".join(fault.values))
        if isinstance(answer, Response):
            return answer
        return Response(encode(self._rewritten(request.path, answer, faults)), mimetype="application/json")

    def _call(self, operation: Operation, request: Request, path: dict[str, str]) -> Call:
        org, call = self._org, Call(self._org, request, path, Query(request))
        if operation.plane == "admin":
            call.admin = access.admin(org, request, operation.scope)
            limit = org.behaviour.requests_per_minute
            if limit is not None:
                self.throttle.take(operation.family, limit, org.behaviour.burst, org.behaviour.retry_after, org.clock.instant())
        elif operation.plane == "data":
            call.holder = access.holder(org, request)
        return call

    def _rewritten(self, path: str, answer: Json, faults: list[Fault]) -> Json:
        before = self.faults.last_page(path)
        self.faults.remember(path, answer)
        for fault in faults:
            answer = rewrite(fault, answer, before)
        return answer

    def _make_late_changes(self) -> None:
        now = self._org.clock.instant()
        due, self._late = [late for late in self._late if late.due <= now], [late for late in self._late if late.due > now]
        for late in due:
            try:
                late.operation.handler(self._call(late.operation, late.request, late.path))
            except Refusal:
                continue
            self._org.changed()


def _broken(response: Response, faults: list[Fault]) -> Response:
    """The answer as it leaves after the change was made, for faults of that sort."""
    for fault in faults:
        match fault.word:
            case "500_after":
                return _refused(refusal(500, "The server had an error while processing your request.", kind="server_error"))
            case "drop_after":
                raise ConnectionCut("Server disconnected without sending a response.")
            case "bad_json":
                return Response('{"object": "list", "data": [', mimetype="application/json")
            case "truncate":
                whole = response.get_data()
                return _raw(response, _half(whole), len(whole))
            case "slow":
                return _raw(response, _slowly(response.get_data(), fault.number(10)), None)
            case "gzip_bomb":
                body = gzip.compress(response.get_data() + b" " * int(fault.number(64) * 2**20))
                return Response(body, mimetype="application/json", headers={"Content-Encoding": "gzip"})
            case "endless":
                return _raw(response, _endlessly(response.get_data()), None)
    return response


def _raw(response: Response, chunks: Iterator[bytes], length: int | None) -> Response:
    headers = {} if length is None else {"Content-Length": str(length)}
    return Response(chunks, status=response.status_code, mimetype="application/json", headers=headers)


def _half(whole: bytes) -> Iterator[bytes]:
    yield whole[: len(whole) // 2]
    raise ConnectionCut("peer closed connection without sending complete message body")


def _slowly(whole: bytes, per_second: float) -> Iterator[bytes]:
    for index in range(len(whole)):
        time.sleep(1 / per_second)
        yield whole[index : index + 1]


def _endlessly(whole: bytes) -> Iterator[bytes]:
    yield whole[:-1]
    while True:
        time.sleep(0.005)
        yield b" " * 65_536


def _unknown(request: Request) -> Refusal:
    return refusal(404, f"Invalid URL ({request.method} {request.path})", code="unknown_url")


def _refused(error: Refusal) -> Response:
    if isinstance(error.body, str):
        return Response(error.body, status=error.status, headers=error.headers)
    return Response(encode(error.body), status=error.status, mimetype="application/json", headers=error.headers)


def encode(document: Any) -> str:
    """JSON in which a `Decimal` is a number with exactly its digits."""
    text = json.dumps(document, default=_decimal, separators=(",", ":"))
    return text.replace(f'"{_OPEN}', "").replace(f'{_CLOSE}"', "")


def _decimal(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{_OPEN}{value:f}{_CLOSE}"
    raise TypeError(f"cannot be written as JSON: {type(value).__name__}")
