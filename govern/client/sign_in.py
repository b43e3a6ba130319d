"""Signing in without typing a secret: a code here, a decision on the dashboard (RFC 8628)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from govern.client.server import Server
from govern.client.trouble import NOT_ALLOWED, NOT_POSSIBLE, Trouble, Unreachable, plain, refused

_SLOWER = 5
_LONGEST = 60.0


@dataclass(frozen=True)
class Asked:
    """What to show, and how to poll. `device_code` is a secret between the server and this process."""

    user_code: str
    address: str
    complete: str
    device_code: str
    interval: float
    lasts: float

    def __repr__(self) -> str:
        return f"Asked({self.user_code!r})"


def ask(server: Server, name: str) -> Asked:
    """Ask for a code."""
    status, found = server.form(server.endpoints().device, device_name=name)
    if status != 200:
        raise refused(status, "", str(found.get("error_description", "")))
    address = server.own(str(found["verification_uri"]))
    return Asked(
        user_code=plain(str(found["user_code"])), address=address,
        complete=server.own(str(found.get("verification_uri_complete", address))), device_code=str(found["device_code"]),
        interval=float(found.get("interval", 5)), lasts=float(found["expires_in"]),
    )  # fmt: skip


def wait(server: Server, asked: Asked, *, sleep: Callable[[float], None] = time.sleep) -> dict[str, Any]:
    """Poll until somebody has decided; the tokens. Raises Trouble when it was denied or nobody did."""
    interval, until = asked.interval, time.monotonic() + asked.lasts
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    while time.monotonic() < until:
        sleep(interval)
        try:
            status, found = server.form(server.endpoints().token, grant_type=grant, device_code=asked.device_code)
        except Unreachable:
            interval = min(interval * 2, _LONGEST)  # RFC 8628, section 3.5
            continue
        if status == 200:
            return found
        error = found.get("error")
        if error == "slow_down":
            interval += _SLOWER
        elif error == "access_denied":
            raise Trouble("It was denied on the dashboard.", NOT_ALLOWED)
        elif error == "expired_token":
            break
        elif status >= 500 or status == 429:
            interval = min(interval * 2, _LONGEST)
        elif error != "authorization_pending":
            raise refused(status, str(error), str(found.get("error_description") or f"The server refused ({error})."))
    raise Trouble("Nobody approved the code in time. Run `govern login` again.", NOT_POSSIBLE)
