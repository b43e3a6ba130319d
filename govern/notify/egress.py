"""Where outgoing requests to addresses that people type in may go: to the public internet, checked before connecting.

A name is resolved once, every address it has is checked, and the connection is made to the checked address. A name that
resolves to something else a moment later (DNS rebinding) therefore gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from govern.core.errors import Rejected, Unavailable

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_NEVER: Final = tuple(
    ipaddress.ip_network(net)
    for net in (
        "100.64.0.0/10",  # carrier-grade NAT
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # 6to4 relays
        "64:ff9b:1::/48",  # local NAT64
        "fec0::/10",  # site-local
    )
)


@dataclass(frozen=True)
class Target:
    """A checked place: connect to `address`, but speak (Host, TLS) to `host`."""

    scheme: str
    host: str
    port: int
    address: IPAddress
    path: str

    @property
    def url(self) -> str:
        """The URL with the checked address in place of the name."""
        literal = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{self.scheme}://{literal}:{self.port}{self.path}"

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"http": 80, "https": 443}[self.scheme] else f"{host}:{self.port}"


def find_target(url: str, *, allow_private: bool = False) -> Target:
    """Resolve and check. Without `allow_private` only https on port 443 of public addresses will do.

    Raises Rejected for a place that is not allowed, Unavailable where the name does not resolve now.
    """
    parts = urlsplit(url)
    host, port = _host_and_port(parts, allow_private)
    found = _resolve(host, port)
    if not allow_private and not all(is_public(address) for address in found):
        raise Rejected(f"The webhook's host {host} is inside a private network, which is not allowed.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port, found[0], path)


def is_public(address: IPAddress) -> bool:
    """Whether it is an ordinary address of the public internet; addresses that wrap another are judged by what they wrap."""
    if isinstance(address, ipaddress.IPv6Address):
        wrapped = _wrapped(address)
        if wrapped:
            return all(is_public(each) for each in wrapped)
    if any(address in net for net in _NEVER):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _wrapped(address: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        return [address.sixtofour]
    if address.teredo is not None:
        return list(address.teredo)
    if address in _NAT64:
        return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    return []


def _host_and_port(parts: SplitResult, allow_private: bool) -> tuple[str, int]:
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in ("http", "https") or parts.username is not None or parts.password is not None:
        raise Rejected("A webhook's URL is https://host/path, without a user name in it.")
    if not allow_private and (parts.scheme != "https" or port not in (None, 443)):
        raise Rejected("A webhook must use https on port 443.")
    return host, port or (443 if parts.scheme == "https" else 80)


def _resolve(host: str, port: int) -> list[IPAddress]:
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Unavailable(f"The name {host} does not resolve.") from None
    return [ipaddress.ip_address(str(answer[4][0]).partition("%")[0]) for answer in answers]
