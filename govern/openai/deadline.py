"""A deadline for a whole exchange.

httpx limits each single read, so a server that sends a byte every few seconds, be it headers or body, holds a call for ever.
Here every read and write of the socket gets what is left of the exchange's time.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpcore
import httpx

_ends_at: ContextVar[float | None] = ContextVar("govern_openai_deadline", default=None)


@contextmanager
def ends_within(seconds: float) -> Iterator[None]:
    """Let every socket operation of the block end within `seconds` from now."""
    token = _ends_at.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends_at.reset(token)


def has_passed() -> bool:
    """Whether the time of the current exchange is over: for transports without sockets, asked between chunks."""
    ends_at = _ends_at.get()
    return ends_at is not None and time.monotonic() >= ends_at


def _left(timeout: float | None) -> float | None:
    ends_at = _ends_at.get()
    if ends_at is None:
        return timeout
    left = max(0.001, ends_at - time.monotonic())  # zero would mean "do not block" to a socket
    return left if timeout is None else min(timeout, left)


class DeadlineTransport(httpx.HTTPTransport):
    """An HTTP transport whose sockets obey `ends_within`. No proxy, no retries, nothing from the environment."""

    def __init__(self, *, connections: int = 32, verify: ssl.SSLContext | bool = True) -> None:
        super().__init__(verify=verify, trust_env=False)
        # httpx has no public way to hand httpcore a network backend, so its pool is replaced by one that has ours.
        self._pool: httpcore.ConnectionPool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(verify=verify, trust_env=False),
            max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=30.0,
            network_backend=_Backend(),
        )  # fmt: skip


class _Backend(httpcore.SyncBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(super().connect_tcp(host, port, _left(timeout), local_address, socket_options))


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, _left(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
