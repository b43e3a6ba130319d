"""Signed webhooks after Standard Webhooks 1.0: `webhook-id`, `webhook-timestamp`, `webhook-signature: v1,…` over a JSON body."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
import threading
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import httpx

from govern.core.clock import utcnow
from govern.core.crypto import Secret
from govern.core.errors import InvalidInput, Rejected, Throttled, Unavailable
from govern.notify.egress import Target, find_target
from govern.ports import Message

_REFUSED_FOR_GOOD: Final = frozenset({400, 405, 410, 411, 413, 414, 415, 422, 501})


@dataclass(frozen=True)
class Webhook:
    """Posts JSON to a URL. Redirects are not followed, proxies of the environment are not used, the URL is never logged.

    `deadline` bounds the whole exchange: a receiver that drips bytes holds nobody up. `tls` replaces the machine's trusted
    certificates.
    """

    allow_private: bool = False
    deadline: float = 15.0
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    def send(self, address: str, message: Message, *, secret: Secret | None = None) -> str:
        """Post the message, signed. `webhook-id` is `message.id`, the same on each attempt.

        Raises Rejected where sending again is of no use: a forbidden place, a redirect, 410 or another final refusal. Raises
        Unavailable or Throttled for everything else, also where the answer was lost and the receiver may have it.
        """
        if secret is None:
            raise Rejected("The webhook has no signing secret.")
        target = find_target(address, allow_private=self.allow_private)
        body = encode(message)
        timestamp = int(utcnow().timestamp())
        headers = {
            "host": target.host_header, "content-type": "application/json", "user-agent": "govern",
            "webhook-id": message.id, "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(signing_key(secret), message.id, timestamp, body),
        }  # fmt: skip
        status, retry_after = self._post(target, headers, body)
        return self._judge(target, status, retry_after)

    def _post(self, target: Target, headers: dict[str, str], body: bytes) -> tuple[int, str | None]:
        # The bare transport: a client would log the URL, and the URL of a webhook is often a secret itself.
        waits = dict.fromkeys(("connect", "read", "write", "pool"), self.deadline / 2)
        request = httpx.Request(
            "POST", target.url, headers=headers, content=body,
            extensions={"timeout": waits, "sni_hostname": target.host},
        )  # fmt: skip
        with httpx.HTTPTransport(verify=self.tls or ssl.create_default_context(), trust_env=False) as transport:
            # Timeouts bound the wait for the next byte only. Closing the connection ends an answer that never ends.
            bell = threading.Timer(self.deadline, transport.close)
            bell.daemon = True
            bell.start()
            try:
                response = transport.handle_request(request)
                # Its status is all that matters; the text interests nobody.
                response.close()
            except (httpx.TransportError, RuntimeError) as error:
                raise Unavailable(f"The webhook's host {target.host} did not answer ({type(error).__name__}).") from None
            finally:
                bell.cancel()
        return response.status_code, response.headers.get("retry-after")

    def _judge(self, target: Target, status: int, retry_after: str | None) -> str:
        if 200 <= status < 300:
            return f"HTTP {status}"
        sentence = f"The webhook's host {target.host} answered {status}."
        if 300 <= status < 400:
            raise Rejected(f"{sentence} Redirects are not followed: enter the final URL.", status=status)
        if status in _REFUSED_FOR_GOOD:
            raise Rejected(sentence, status=status)
        if status == 429:
            raise Throttled(sentence, status=status, retry_after=_seconds(retry_after))
        raise Unavailable(sentence, status=status)


def signing_key(secret: Secret) -> bytes:
    """The bytes behind `whsec_…` (base64 of 24 to 64 bytes). Raises InvalidInput without showing them."""
    try:
        key = base64.b64decode(secret.reveal().removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not 24 <= len(key) <= 64:
        raise InvalidInput("The webhook's signing secret must be whsec_ and the base64 of 24 to 64 random bytes.")
    return key


def sign(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`."""
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def encode(message: Message) -> bytes:
    """The body: `type` and `timestamp` (when it happened, not when it was sent), and `data` with the words and the facts."""
    facts = {name: _plain(value) for name, value in message.facts.items()}
    document = {
        "type": facts.pop("type", "message"),
        "timestamp": facts.pop("at", None),
        "data": {"subject": message.subject, "text": message.text, **facts},
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _plain(value: object) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")  # money as text: a JSON number would lose its exactness on the way
    return value.isoformat() if isinstance(value, datetime | date) else value


def _seconds(retry_after: str | None) -> float | None:
    return float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else None
