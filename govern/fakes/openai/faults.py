"""Faults on demand: which request of which operation goes wrong, and how.

A kind is a word, with values after colons. Before the operation runs (nothing changes):
  status:N[:S]        that status with a normal error body, and `Retry-After: S` if given
  delay:S             wait S real seconds, then answer normally
  drop_before         cut the connection
  html                a gateway's 502 page
  redirect:URL        307 to another host
  bare_403            403 whose `error` is a string
  admin_key_401       401, as if the admin key had been ended
  cursor_400          400 for a request that carries a cursor (others do not count)
  throttle:N          429 after N requests a minute, for good; `throttle:N:retry-after` also says how long to wait
  late:S              504 now, and the change happens S seconds later
  lie_200             the right answer, but nothing was done
  stale_list:S        reads show the world as it was when the fault was scripted, for S seconds
After it ran (the change was made):
  500_after           500
  drop_after          cut the connection
  truncate            half of the body, then cut
  bad_json            a body that is no JSON
  dup_page            the rows of the page served before (or of this one) come again
  skip_item           the first row is missing
  reorder             rows in reverse
  stuck_cursor        the page served before again, with its cursor, for ever has_more
  missing:NAME, null:NAME, extra:NAME    that member is taken out, made null, or added; in each row of a list
  string_amounts      amounts as JSON strings
  set:NAME:VALUE      that member becomes VALUE, a string: an enum value that nobody knows
  slow:N              N bytes a second
  gzip_bomb:N         N mebibytes of blanks after the answer, packed small
  endless             the body never ends
  disable_key         OpenAI itself ends the newest key of a service account, as one found in public
  rename_sa:NAME      somebody renames the newest service account

A fault strikes the nth matching request and as many as `times` says; with a `share` it strikes that part of the requests,
at random, the same ones for the same `seed`.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

from govern.fakes.openai.problems import Refusal, invalid, refusal, throttled
from govern.fakes.openai.tables import Json
from govern.fakes.openai.throttle import Throttle

CURSORS: Final = ("after", "before", "page")
# Faults that make no sense once: they last until they are cleared.
_LASTING = {"throttle", "stale_list"}
KINDS: Final = {
    "status", "delay", "drop_before", "html", "redirect", "bare_403", "cursor_400", "throttle", "late", "lie_200",
    "stale_list", "500_after", "drop_after", "truncate", "bad_json", "dup_page", "skip_item", "reorder",
    "stuck_cursor", "missing", "set", "gzip_bomb", "null", "extra", "string_amounts", "slow", "endless", "admin_key_401",
    "disable_key", "rename_sa",
}  # fmt: skip


@dataclass(slots=True)
class Fault:
    """One line of the script.

    `operation` and `path` may hold `*`. `nth` counts matching requests from 1; `times` 0 means for ever. `share` is between
    0 and 1; below 1, `times` counts the strikes.
    """

    operation: str
    kind: str
    nth: int = 1
    times: int = 1
    path: str = "*"
    share: float = 1.0
    seed: int = 0
    seen: int = 0
    struck: int = 0
    snapshot: Any = None
    until: float = 0.0
    throttle: Throttle = field(default_factory=Throttle)

    @property
    def word(self) -> str:
        return self.kind.partition(":")[0]

    @property
    def values(self) -> list[str]:
        return self.kind.split(":")[1:] if self.word != "redirect" else [self.kind.partition(":")[2]]

    def number(self, default: float) -> float:
        return float(self.values[0]) if self.values else default

    def strikes(self) -> bool:
        """Whether the request that was just counted is struck."""
        if self.seen < self.nth:
            return False
        if self.share >= 1:
            strikes = self.times == 0 or self.seen < self.nth + self.times
            self.struck += strikes
            return strikes
        if self.times and self.struck >= self.times:
            return False
        if random.Random(f"{self.seed} {self.operation} {self.kind} {self.seen}").random() >= self.share:  # noqa: S311
            return False
        self.struck += 1
        return True


class Faults:
    """The script, and the memory of pages served that some faults need."""

    def __init__(self) -> None:
        self._script: list[Fault] = []
        self._last_pages: dict[str, Json] = {}

    def add(self, fault: Fault) -> None:
        if fault.word not in KINDS:
            raise ValueError(f"no fault of kind {fault.word!r}; known: {', '.join(sorted(KINDS))}")
        if not 0 < fault.share <= 1:
            raise ValueError("the share of a fault lies above 0 and at most at 1")
        if fault.word in _LASTING:
            fault.times = 0
        self._script.append(fault)

    def clear(self) -> None:
        self._script.clear()
        self._last_pages.clear()

    def pending(self) -> list[Json]:
        """What is still to come, for people to look at."""
        names = ("operation", "kind", "nth", "times", "path", "share", "seed", "seen", "struck")
        return [{name: getattr(fault, name) for name in names} for fault in self._script]

    def take(self, operation: str, method: str, path: str, *, has_cursor: bool) -> list[Fault]:
        """The faults that strike this request; counts it for those that wait."""
        struck = []
        for fault in self._script:
            known_as = operation if fault.operation.partition(" ")[0] not in {"GET", "POST", "DELETE"} else f"{method} {path}"
            if not fnmatchcase(known_as, fault.operation) or not fnmatchcase(path, fault.path):
                continue
            if fault.word in {"cursor_400", "stuck_cursor"} and not has_cursor:
                continue
            fault.seen += 1
            if fault.strikes():
                struck.append(fault)
        return struck

    def remember(self, path: str, document: Json) -> None:
        if self._script and isinstance(document.get("data"), list):
            self._last_pages[path] = copy.deepcopy(document)

    def last_page(self, path: str) -> Json | None:
        return self._last_pages.get(path)


def refuse_before(fault: Fault, operation: str, now: float) -> None:
    """Raise what the fault answers instead of running the operation, if it is of that sort."""
    match fault.word:
        case "status":
            headers = {"Retry-After": fault.values[1]} if len(fault.values) > 1 else None
            raise refusal(int(fault.number(500)), "The server had an error.", kind="server_error", headers=headers)
        case "html":
            raise Refusal(502, "<html><body><h1>502 Bad Gateway</h1></body></html>", {"Content-Type": "text/html"})
        case "redirect":
            raise Refusal(307, {}, {"Location": fault.values[0]})
        case "bare_403":
            raise Refusal(
                403, {"error": "You have insufficient permissions for this operation. Missing scopes: api.management.read."}
            )
        case "admin_key_401":
            raise refusal(401, "Incorrect API key provided: sk-admin************.", code="invalid_api_key")
        case "cursor_400":
            raise invalid("Invalid cursor", "after", "invalid_cursor")
        case "throttle":
            try:
                fault.throttle.take(operation, fault.number(6), None, "retry-after" in fault.values, now)
            except Refusal as error:
                raise throttled(error.headers) from None


def _on_rows(change: Callable[[Json], None]) -> Callable[[Json], None]:
    def apply(document: Json) -> None:
        rows = document.get("data")
        for row in rows if isinstance(rows, list) else [document]:
            change(row)

    return apply


def rewrite(fault: Fault, document: Json, before: Json | None) -> Json:
    """Change the body that the operation gave. `before` is the page served before this one, if there was one."""
    document = copy.deepcopy(document)
    rows = document.get("data")
    name = fault.values[0] if fault.values else ""
    match fault.word:
        case "dup_page" if isinstance(rows, list):
            document["data"] = [*(before["data"] if before else rows), *rows]
        case "skip_item" if isinstance(rows, list):
            document["data"] = rows[1:]
        case "reorder" if isinstance(rows, list):
            document["data"] = rows[::-1]
        case "stuck_cursor" if before:
            document = copy.deepcopy(before) | {"has_more": True}
        case "missing":
            _on_rows(lambda row: row.pop(name, None))(document)
        case "null":
            _on_rows(lambda row: row.update({name: None}))(document)
        case "extra":
            _on_rows(lambda row: row.update({name: "unexpected"}))(document)
        case "set":
            _on_rows(lambda row: row.update({name: ":".join(fault.values[1:])}))(document)
        case "string_amounts":
            _strings(document)
    return document


def _strings(document: Json) -> None:
    for bucket in document.get("data", []):
        for result in bucket.get("results", []):
            if "amount" in result:
                result["amount"]["value"] = str(result["amount"]["value"])
