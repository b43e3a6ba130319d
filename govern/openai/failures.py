"""What went wrong, in our words: from an answer's status and body, or from the wire, to a `ProviderError`.

OpenAI's errors come in several shapes: `{"error": {"message", "type", "param", "code"}}`, a bare string in `error` (403 for a
missing scope), no wrapper at all (`{"code": 404, "message": …}`), OAuth's `error` and `error_description`, and whatever a
gateway in between makes of it (HTML, nothing). Only OpenAI's own words count as a refusal: a gateway's 404 must not pass for
"it is gone", nor its 400 for "never try again".
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from govern.core.crypto import Secret, redact
from govern.core.errors import CredentialRefused, Missing, ProviderError, Rejected, Throttled, Unavailable

_MONEY_CODES: Final = frozenset(
    {
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "credit_balance_exhausted",
        "insufficient_quota",
    }
)
"""429 with one of these is about money, and waiting does not help."""


@dataclass(frozen=True)
class Explanation:
    """What a body says about its error; `message` None where it is not OpenAI's."""

    message: str | None
    code: str | None = None
    param: str | None = None


def explain(body: bytes) -> Explanation:
    """Read any known shape of error body."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return Explanation(None)
    if not isinstance(parsed, dict):
        return Explanation(None)
    error = parsed.get("error")
    if isinstance(error, str) and error:
        described = parsed.get("error_description")
        return Explanation(f"{error}: {described}", code=error) if isinstance(described, str) else Explanation(error)
    inside = error if isinstance(error, dict) else parsed
    message = inside.get("message")
    if not isinstance(message, str):
        return Explanation(None)
    code, param = inside.get("code"), inside.get("param")
    return Explanation(message, code if isinstance(code, str) else None, param if isinstance(param, str) else None)


def from_answer(
    status: int, headers: httpx.Headers, body: bytes, *, operation: str, admin_key: Secret, now: datetime
) -> ProviderError:
    """The error for an answer that is not a success. Its text is free of secrets and at most a few hundred characters."""
    why, request_id = explain(body), headers.get("x-request-id")
    said = without_secrets(why.message or "", admin_key)
    facts: dict[str, object] = {"operation": operation, "provider_code": why.code, "param": why.param}
    if status == 429:
        if why.code in _MONEY_CODES:
            return Rejected(f"OpenAI refuses because of a spending limit: {said}", status=status, request_id=request_id, **facts)
        pause = retry_after(headers, now)
        return Throttled("OpenAI takes no more calls of this kind for now.", retry_after=pause, status=429, request_id=request_id)
    if why.message is None or status >= 500 or status in {408, 425} or status < 400:
        said = f": {said}" if said else " and no explanation"
        facts["retry_after"] = retry_after(headers, now)
        return Unavailable(f"OpenAI answered with status {status}{said}.", status=status, request_id=request_id, **facts)
    if status in {401, 403}:
        sentence = f"OpenAI does not accept the admin key for this: {said}"
        return CredentialRefused(sentence, status=status, request_id=request_id, **facts)
    if status == 404 and why.code != "unknown_url" and not why.message.startswith("Invalid URL"):  # those mean the address
        return Missing(f"OpenAI does not know it: {said}", status=status, request_id=request_id, **facts)
    return Rejected(f"OpenAI refused: {said}", status=status, request_id=request_id, **facts)


def from_wire(error: Exception) -> Unavailable:
    """The error for an exchange that broke: NeverSent where it is certain that the request did not reach OpenAI."""
    kind = type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return CertificateRefused("OpenAI's TLS certificate could not be verified; nothing was sent.", cause=kind)
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        return NeverSent("OpenAI could not be reached; nothing was sent.", cause=kind)
    if isinstance(error, httpx.TimeoutException):
        return Unavailable("OpenAI did not answer in time.", cause=kind)
    return Unavailable("The connection to OpenAI broke before the answer was complete.", cause=kind)


class NeverSent(Unavailable):
    """Not a byte of the request reached OpenAI, so that even a creation may be tried again."""


class CertificateRefused(Unavailable):
    """Somebody else may be answering in OpenAI's name: never tried again within the call."""


class Oversized(Unavailable):
    """The answer is longer than we take, or than the time allows: ask for less at once."""


def without_secrets(said: str, admin_key: Secret) -> str:
    """Text of theirs that may be shown and logged."""
    return " ".join(redact(said.replace(admin_key.reveal(), "[secret]")).split())[:300]


def retry_after(headers: httpx.Headers, now: datetime) -> float | None:
    """Seconds to wait, from `retry-after-ms`, or `Retry-After` as seconds or as a date; None if neither can be read."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "")
        try:
            seconds = float(value) * scale
        except ValueError:
            continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    date = http_date(headers.get("retry-after"))
    return None if date is None else max(0.0, (date - now).total_seconds())


def http_date(value: str | None) -> datetime | None:
    """An HTTP date as an aware UTC time; None if there is none to read."""
    try:
        date = parsedate_to_datetime(value) if value else None
    except ValueError:
        return None
    return date if date is None or date.tzinfo else date.replace(tzinfo=UTC)
