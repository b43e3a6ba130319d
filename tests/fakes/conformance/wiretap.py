"""Listens between the server and the application, so that answers are judged as they are sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.fakes.conformance.specification import Answer


class Wiretap:
    """A WSGI application around another that keeps each answer under /v1 and /oauth."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app
        self.answers: list[Answer] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        status = 0

        def start(line: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            nonlocal status
            status = int(line.split(" ", 1)[0])
            return start_response(line, headers, exc_info)

        heard = []
        for chunk in self._app(environ, start):
            heard.append(chunk)
            yield chunk
        path = environ["PATH_INFO"]
        if not path.startswith("/_control"):
            self.answers.append(Answer(environ["REQUEST_METHOD"], path, status, b"".join(heard)))
