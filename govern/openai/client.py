"""The one client of OpenAI's admin API: paced, guarded, logged, and quiet about secrets."""

from __future__ import annotations

import logging
import random
import re
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

import httpx
import structlog

from govern import __version__
from govern.core import calls
from govern.core.clock import utcnow
from govern.core.crypto import Secret
from govern.core.errors import CredentialRefused, ProviderError, Throttled, Unavailable
from govern.core.lanes import Lane, current_lane
from govern.core.uow import UnitsOfWork
from govern.openai import failures, fields, pages
from govern.openai.bucket import Permit
from govern.openai.deadline import DeadlineTransport, ends_within, has_passed
from govern.openai.fields import Fields
from govern.openai.pacing import Pacing
from govern.openai.pages import Paging
from govern.openai.paths import Path
from govern.openai.rates import LearnedRates

DEADLINE: Final = 20.0
"""Seconds for one exchange, from the first byte sent to the last received; an effect's lease is three times as long."""
LIST_BYTES: Final = 8 * 2**20
USAGE_BYTES: Final = 64 * 2**20
"""A bucket of an organization with ten thousand people, grouped by everything, is some thirty megabytes."""
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

Query = Sequence[tuple[str, str]]
Generation = Literal["auto", "2026-08", "2026-11"]

log = structlog.get_logger("govern.openai")


class Call(NamedTuple):
    """One thing to ask of OpenAI."""

    method: str
    where: Path
    query: Query = ()
    body: Fields | None = None
    most_bytes: int = LIST_BYTES
    bearer: Secret | None = None  # instead of the admin key

    @property
    def operation(self) -> str:
        return f"{self.method} {self.where.template}"


@dataclass(frozen=True)
class Patience:
    """How long a call may go on trying: attempts in all, seconds of waiting in all, and the age past which it begins no other."""

    attempts: int
    waiting: float
    age: float
    first_backoff: float
    longest_backoff: float


PATIENCE: Final = {
    # A person waits, and an effect's lease runs: be brief, the outbox tries again.
    Lane.INTERACTIVE: Patience(attempts=3, waiting=10, age=20, first_backoff=0.25, longest_backoff=2),
    Lane.BACKGROUND: Patience(attempts=6, waiting=300, age=600, first_backoff=1, longest_backoff=60),
}


class OpenAIClient:
    """Speaks HTTP with OpenAI; adapters turn what it returns into our words. Thread-safe.

    Every method may raise `ProviderError`. `generation` says which fields the organization's API knows; `auto` begins with
    the newest and steps back when OpenAI refuses one by name.
    """

    def __init__(
        self,
        http: httpx.Client,
        pacing: Pacing,
        *,
        admin_key: Secret,
        base_url: str,
        generation: Generation = "auto",
        deadline: float = DEADLINE,
        record: calls.Record | None = None,
    ) -> None:
        self._record = record
        self._http, self._admin_key, self._deadline = http, admin_key, deadline
        self.pacing, self.generation = pacing, generation
        self._base = httpx.URL(base_url.rstrip("/"))
        self._skew = timedelta(0)

    def __repr__(self) -> str:
        return f"OpenAIClient({self._base}, generation={self.generation!r})"

    def close(self) -> None:
        """Let waiting calls give up and close the connections."""
        self.pacing.close()
        self._http.close()

    def get(self, where: Path, query: Query = (), *, most_bytes: int = LIST_BYTES) -> dict[str, Any]:
        """Read one thing. Tried again where that can help."""
        return self._request(Call("GET", where, query, most_bytes=most_bytes))

    def get_as(self, where: Path, bearer: Secret) -> dict[str, Any]:
        """Read one thing with another key than ours. Raises CredentialRefused if OpenAI does not accept that one."""
        return self._request(Call("GET", where, bearer=bearer))

    def create(self, where: Path, body: Fields) -> dict[str, Any]:
        """Make something, once: tried again only if it is certain that nothing was made.

        Raises Unavailable if the outcome is unknown; then look before making another.
        """
        return self._request(Call("POST", where, body=body))

    def delete(self, where: Path) -> None:
        """End something. Raises Missing if OpenAI does not know it; the success of this call alone proves nothing."""
        call = Call("DELETE", where)
        if self._request(call).get("deleted") is False:
            raise Unavailable("OpenAI answered that it did not delete it.", operation=call.operation)

    def listing(self, where: Path, query: Query = (), *, paging: Paging = Paging.LAST_ID, size: int = 100) -> list[Fields]:
        """Every item of a list, or an error."""

        def page(cursor: str | None) -> dict[str, Any]:
            more = [] if cursor is None else [(paging.parameter, cursor)]
            return self.get(where, [*query, ("limit", str(size)), *more])

        return pages.collect(page, paging)

    def buckets(self, where: Path, query: Query, *, most_bytes: int = USAGE_BYTES) -> list[Fields]:
        """Every bucket of a range of usage or costs, or an error. Raises Oversized if the range is to be asked for in parts."""

        def page(cursor: str | None) -> dict[str, Any]:
            more = [] if cursor is None else [(Paging.PAGE.parameter, cursor)]
            return self.get(where, [*query, *more], most_bytes=most_bytes)

        return pages.collect_buckets(page)

    def is_own_key(self, redacted: str) -> bool:
        """Whether OpenAI's shortened form, such as `sk-admin-abc***xyz`, is that of the key with which we call."""
        shown = re.split(r"[*.…]+", redacted)
        value = self._admin_key.reveal()
        return len(shown) == 2 and len(shown[1]) >= 3 and value.startswith(shown[0]) and value.endswith(shown[1])

    @property
    def skew(self) -> timedelta:
        """How far OpenAI's clock is ahead of ours, by the last answer's `Date`; whole seconds are all that it tells."""
        return self._skew

    def their_now(self) -> datetime:
        """The time at OpenAI, as far as we know it."""
        return utcnow() + self._skew

    def _request(self, call: Call) -> dict[str, Any]:
        # A loop of our own and not a retry library: each attempt needs a permit from the pacing, in its lane, and the
        # libraries at hand log the arguments of what they repeat.
        lane = current_lane()
        patience, began, waited = PATIENCE[lane], time.monotonic(), 0.0
        for attempt in range(1, patience.attempts + 1):
            permit = self.pacing.acquire(call.where.family, lane, patience.waiting - waited)
            waited += permit.waited
            try:
                return self._attempt(call, permit, attempt)
            except ProviderError as error:
                pause = _pause(error, attempt, patience)
                over = waited + pause > patience.waiting or time.monotonic() - began + pause > patience.age
                if attempt == patience.attempts or over or not _may_repeat(error, call.method):
                    raise
            if pause:
                self.pacing.wait_for(pause)
                waited += pause
        raise AssertionError("the last attempt returns or raises")

    def _attempt(self, call: Call, permit: Permit, attempt: int) -> dict[str, Any]:
        url = f"{self._base}{call.where.filled()}"
        request = self._http.build_request(call.method, url, params=list(call.query) or None, json=call.body)
        self._authorize(request, call.bearer or self._admin_key)
        said = log.bind(method=call.method, path=call.where.template, lane=current_lane().value, attempt=attempt)
        changing = self._record is not None and call.method != "GET"
        kept = self._record.begin(call.method, call.where.filled()) if self._record and changing else None
        began = time.monotonic()
        try:
            with ends_within(self._deadline):
                response = self._http.send(request, stream=True, follow_redirects=False)
                try:
                    answer = _read(response, call.most_bytes)
                finally:
                    response.close()
        except (httpx.HTTPError, OSError, zlib.error, failures.Oversized) as error:
            said.warning("openai.request", status=None, ms=_ms(began), request_id=None, error=type(error).__name__)
            if isinstance(error, failures.Oversized):
                raise
            raise failures.from_wire(error) from error
        request_id = response.headers.get("x-request-id")
        said.info("openai.request", status=response.status_code, ms=_ms(began), request_id=request_id)
        if self._record is not None and changing:
            touched = fields.ids(answer) if response.is_success else ()
            self._record.finish(kept, response.status_code, request_id, touched)
        self._note_date(response.headers)
        if response.status_code == 429:
            self.pacing.refused(permit, failures.retry_after(response.headers, self.their_now()))
        else:
            self.pacing.accepted(permit)
        if not response.is_success:
            raise failures.from_answer(
                response.status_code, response.headers, answer, operation=call.operation,
                admin_key=call.bearer or self._admin_key,
                now=self.their_now(),
            )  # fmt: skip
        return fields.parse(answer)

    def _authorize(self, request: httpx.Request, bearer: Secret) -> None:
        """Add the key, having made sure that it goes to OpenAI's host and to no other."""
        url = request.url
        if (url.scheme, url.host, url.port) != (self._base.scheme, self._base.host, self._base.port):
            raise AssertionError("The admin key is for OpenAI's host only.")
        request.headers["authorization"] = f"Bearer {bearer.reveal()}"

    def _note_date(self, headers: httpx.Headers) -> None:
        date = failures.http_date(headers.get("date"))
        if date is not None:
            skew = date - utcnow()
            # The header is cut to whole seconds and the answer travelled: a second or two is no skew.
            self._skew = skew if abs(skew) > timedelta(seconds=3) else timedelta(0)


def _read(response: httpx.Response, most_bytes: int) -> bytes:
    """The body, unpacked here and not by httpx, which unpacks a whole chunk before anybody can say that it is too much."""
    gunzip = zlib.decompressobj(wbits=31) if response.headers.get("content-encoding") == "gzip" else None
    body = bytearray()
    try:
        for chunk in response.iter_raw():
            body += gunzip.decompress(chunk, most_bytes + 1 - len(body)) if gunzip else chunk
            if len(body) > most_bytes:
                raise failures.Oversized(f"OpenAI's answer is longer than {most_bytes / 2**20:.0f} MiB.")
            if has_passed():
                raise failures.Oversized("OpenAI's answer was not complete in time.")
    except httpx.ReadTimeout:
        raise failures.Oversized("OpenAI's answer was not complete in time.") from None
    return bytes(body)


def _may_repeat(error: ProviderError, method: str) -> bool:
    if isinstance(error, Throttled | failures.NeverSent):
        return True  # nothing was done
    if isinstance(error, CredentialRefused | failures.CertificateRefused | failures.Oversized):
        return False
    return isinstance(error, Unavailable) and method in {"GET", "DELETE"}


def _pause(error: ProviderError, attempt: int, patience: Patience) -> float:
    """Seconds until the next attempt. After a 429 the pacing itself holds everybody back."""
    if isinstance(error, Throttled):
        return 0.0
    asked = error.facts.get("retry_after")
    if isinstance(asked, float):
        return asked
    backoff: float = min(patience.longest_backoff, patience.first_backoff * 2 ** (attempt - 1))
    return backoff * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries, guards nothing


def _ms(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def make_client(
    *,
    base_url: str,
    admin_key: Secret,
    transport: httpx.BaseTransport | None = None,
    unit_of_work: UnitsOfWork | None = None,
    requests_per_minute: int | None = None,
    burst: int = 4,
    generation: Generation = "auto",
    deadline: float = DEADLINE,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] | None = None,
) -> OpenAIClient:
    """The client of this process. `transport` puts something else in the network's place; without `unit_of_work` the learned
    rates are forgotten at the end. Raises ValueError for an address that would carry the admin key in clear text."""
    url = httpx.URL(base_url)
    if transport is None and not (url.scheme == "https" or (url.scheme == "http" and url.host in _LOOPBACK)):
        raise ValueError(f"The address of OpenAI's API must begin with https://, because the admin key travels there: {url.host}")
    http = httpx.Client(
        transport=transport or DeadlineTransport(), trust_env=False, follow_redirects=False,
        timeout=httpx.Timeout(deadline, connect=min(5.0, deadline), pool=min(5.0, deadline)),
        headers={"user-agent": f"govern/{__version__}", "accept": "application/json", "accept-encoding": "gzip"},
    )  # fmt: skip
    # These two log whole addresses, with the ids and mail addresses in them; `openai.request` says what is needed.
    for chatty in ("httpx", "httpcore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    rates = None if unit_of_work is None else LearnedRates(unit_of_work)
    pacing = Pacing(requests_per_minute=requests_per_minute, burst=burst, rates=rates, clock=clock, sleep=sleep)
    record = None if unit_of_work is None else calls.Record(unit_of_work)
    return OpenAIClient(
        http, pacing, admin_key=admin_key, base_url=base_url, generation=generation, deadline=deadline, record=record
    )
