"""Walk the log event by event and say where it does not hold: in the database, or in an export far from it. Pure.

Two things prove an event. Who has the ring computes its keyed digest. Who has not compares with signed checkpoints: each
holds, as an `Anchor`, a SHA-256 over all lines up to its event. Only an anchor shows that a tail was cut.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from govern.audit import chain
from govern.audit.chain import Link
from govern.core.crypto import SecretBox


@dataclass(frozen=True)
class Anchor:
    """What is known of the log up to the event `seq`: its digest, and `root`, the SHA-256 (hex) over all lines so far."""

    seq: int
    digest: str
    root: str


START: Final = Anchor(0, "", "")


@dataclass(frozen=True)
class Verdict:
    """The log's state: how many events hold, and the first place that does not (`broken_at` is its seq)."""

    events: int
    broken_at: int | None
    problem: str | None


def grown(root: str, line: bytes) -> str:
    """The root that includes this line too."""
    return hashlib.sha256(root.encode("ascii") + line).hexdigest()


class Walk:
    """One way along the log, from `start` on. `box` None: without the ring, so that only anchors prove anything.

    `rooted`: `at` holds the root too, also where no anchor is compared with it.
    """

    def __init__(
        self, box: SecretBox | None, anchors: Mapping[int, Anchor], start: Anchor = START, *, rooted: bool = False
    ) -> None:
        self._box = box
        self._anchors = anchors
        self._rooted = rooted or bool(anchors)  # else nobody asks for the root, and it is not computed
        self._begin = start.seq
        self._proven = self._agreed = start.seq
        self._seq, self._digest, self._root = start.seq, start.digest, start.root

    @property
    def at(self) -> Anchor:
        """Where the walk stands. The root is empty where nobody asked for it."""
        return Anchor(self._seq, self._digest, self._root)

    def step(self, link: Link, line: bytes) -> Verdict | None:
        """Take the next event, written as `line`. A verdict where the log does not hold, else None."""
        seq = self._seq + 1
        if link.seq != seq:
            return self._broken(seq, f"Event {seq} is missing.")
        if self._box is not None and chain.digest(self._box, self._digest, link) != link.digest:
            return self._broken(seq, f"Event {seq} was changed.")
        self._seq, self._digest, self._root = seq, link.digest, grown(self._root, line) if self._rooted else ""
        anchor = self._anchors.get(seq)
        if anchor is not None and anchor != self.at:
            first, self._proven = self._agreed + 1, self._agreed
            return self._broken(first, f"Events {first} to {seq} are not those that were signed: one of them was changed.")
        if anchor is not None:
            self._agreed = seq
        if self._box is not None or anchor is not None:
            self._proven = seq
        return None

    def broken_line(self) -> Verdict:
        """The next line is none."""
        seq = self._seq + 1
        return self._broken(seq, f"Event {seq} was changed: its line is not as it was written.")

    def end(self) -> Verdict:
        """The verdict where no more events follow."""
        last, signed = self._seq, max(self._anchors, default=0)
        if signed > last:
            return self._broken(last + 1, f"The log ends at {last}, but a checkpoint of event {signed} was signed.")
        if self._proven < last:
            return self._broken(
                self._proven + 1,
                f"Events {self._proven + 1} to {last} are behind the newest checkpoint, so nothing here proves them.",
            )
        return Verdict(last - self._begin, None, None)

    def _broken(self, seq: int, problem: str) -> Verdict:
        return Verdict(max(self._proven - self._begin, 0), seq, problem)


def verify_lines(lines: Iterable[bytes], anchors: Mapping[int, Anchor], box: SecretBox | None, *, after: int = 0) -> Verdict:
    """The verdict on an export: its lines with their line breaks. `after`: it is a part that begins behind this event.

    That has to be said, or events taken out at the beginning would pass; and a checkpoint of that event has to be at hand.
    """
    start = anchors.get(after) if after else START
    if start is None:
        return Verdict(0, after + 1, f"No checkpoint of event {after} is at hand, so nothing says what came before.")
    walk = Walk(box, anchors, start)
    for line in lines:
        link = _read(line, exact=box is not None)
        verdict = walk.broken_line() if link is None else walk.step(link, line)
        if verdict is not None:
            return verdict
    return walk.end()


def _read(line: bytes, *, exact: bool) -> Link | None:
    """The event of a line; None where it is no line of an export. `exact`: byte for byte, for what no root will cover."""
    try:
        link = chain.read(line)
        same = line.endswith(b"\n") and (not exact or chain.line(link) == line)
    except (ValueError, RecursionError):
        return None
    return link if same else None
