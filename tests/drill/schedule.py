"""What happens in one run of the drill, drawn from its seed alone: what is owed, what goes wrong, who dies where."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from tests.drill.desk import ASKS
from tests.drill.flows import FLOWS
from tests.drill.mutants import Mutant
from tests.drill.points import MONEY_FLOWS, flow_of, points

LEADS_TO: Final[dict[str, tuple[str, ...]]] = {
    "offboarding": ("key.revoke", "invite.cancel"),
    "batch.row": ("offboarding", "invite.send"),
    "leak.probe": ("leak.revoke",),
}
"""What else an act of this flow brings about, so that one may die there as well."""
AFTER_ANOTHER: Final = ("key.issue.fenced",)
"""Passed only by a worker that was overtaken: drawn for those who wake."""
TROUBLE: Final[dict[str, tuple[str, ...]]] = {
    "*.create": ("status:500", "status:503", "drop_before", "drop_after", "500_after", "truncate", "bad_json", "html"),
    "*.delete": ("status:500", "status:503", "drop_before", "drop_after", "500_after", "truncate", "bad_json", "lie_200"),
    "*.list": ("status:500", "drop_after", "truncate", "bad_json", "dup_page", "reorder", "cursor_400", "skip_item", "extra:x"),
    "*": ("status:500", "drop_before", "drop_after", "html", "status:429:1"),
}
"""What may go wrong with which calls. One lost row in a listing is the most that a comparison of two listings can see."""


@dataclass(frozen=True)
class Trouble:
    operation: str
    kind: str
    nth: int

    def __str__(self) -> str:
        return f"{self.kind} at {self.operation} {self.nth}"


@dataclass(frozen=True)
class Blow:
    """A worker is killed or frozen: at a named place (`where:nth`), or while it waits for the answer to its nth request.

    `then` is where a frozen one is killed after it woke up, '' for nowhere.
    """

    where: str
    nth: int
    freezes: bool
    done: bool = True
    then: str = ""

    @property
    def at_request(self) -> bool:
        return self.where == "request"

    @property
    def order(self) -> str:
        """For the variable that orders crashes."""
        first = [] if self.at_request else [f"{self.where}:{self.nth}{':stop' if self.freezes else ''}"]
        return ",".join([*first, *([self.then] if self.then else [])])

    def __str__(self) -> str:
        how = "freeze" if self.freezes else "kill"
        place = f"request {self.nth} ({'done' if self.done else 'not done'})" if self.at_request else f"{self.where} {self.nth}"
        return f"{how} at {place}" + (f", then kill at {self.then}" if self.then else "")


@dataclass(frozen=True)
class Schedule:
    flow: str
    troubles: tuple[Trouble, ...]
    blows: tuple[Blow, ...]
    page: int | None = None
    """The most rows that OpenAI puts on a page; None for its own habit."""
    ask: str = ""
    """What clients ask of web processes (`desk.ASKS`); '' where the flow is begun without one."""
    asked: tuple[Blow, ...] = ()
    """At the web processes that are asked, one after the other."""

    @property
    def needs_comparison(self) -> bool:
        """Whether only the hourly comparison can find what is left: of a worker that had lost its claim, and then was killed
        before it took back what it had made, or never learned what it had made; and what a listing has not shown."""
        unanswered = any(trouble.operation in ("*.create", "*") for trouble in self.troubles)
        overlooked = any(trouble.kind == "skip_item" for trouble in self.troubles)
        return overlooked or any(blow.then or (blow.freezes and unanswered) for blow in self.blows)

    def __str__(self) -> str:
        pages = [f"pages of {self.page}"] if self.page else []
        begun = [f"asked to {self.ask}", *(f"the web process: {blow}" for blow in self.asked)] if self.ask else []
        return "; ".join([self.flow, *begun, *pages, *map(str, self.troubles), *map(str, self.blows)])


def of_mutant(mutant: Mutant) -> Schedule:
    """The schedule that finds this defect."""
    troubles = tuple(Trouble(*trouble) for trouble in mutant.troubles)
    blows, asked = (tuple(Blow(*blow) for blow in given) for given in (mutant.blows, mutant.asked))
    return Schedule(mutant.flow, troubles, blows, mutant.page, mutant.ask, asked)


def draw(seed: str, freeze_share: float) -> Schedule:
    """The schedule of this seed. `freeze_share` is the part of blows that freeze, between 0 and 1."""
    chance = random.Random(seed)
    flow, ask = chance.choice(sorted(FLOWS)), ""
    asked: tuple[Blow, ...] = ()
    if chance.random() < 0.3:
        ask = chance.choice(sorted(ASKS))
        flow = ASKS[ask][0]
        asked = tuple(_blow_at_web(chance, chance.random() < freeze_share) for _ in range(chance.choice((1, 1, 2))))
    troubles = []
    if chance.random() < 0.5:
        for _ in range(chance.randint(1, 3)):
            operation = chance.choice(sorted(TROUBLE))
            kinds = [kind for kind in TROUBLE[operation] if kind != "skip_item" or kind not in {one.kind for one in troubles}]
            troubles.append(Trouble(operation, chance.choice(kinds), chance.randint(1, 6)))
    blows = tuple(_blow(chance, flow, chance.random() < freeze_share) for _ in range(chance.choice((1, 1, 1, 2, 2, 3))))
    return Schedule(flow, tuple(troubles), blows, chance.choice((None, None, None, 2)), ask, asked)


def _blow_at_web(chance: random.Random, freezes: bool) -> Blow:
    """A web process asks OpenAI nothing: it dies at a statement or around a commit, and is frozen only after one."""
    where, most = ("db.committed", 6) if freezes else chance.choice((("sql", 60), ("db.before_commit", 6), ("db.committed", 6)))
    return Blow(where, chance.randint(1, most), freezes)


def _blow(chance: random.Random, flow: str, freezes: bool) -> Blow:
    """Inside a transaction a frozen worker holds the database's locks: others wait for it, they do not overtake. So freezing is
    for places outside of one."""
    named = places(flow)
    if freezes:
        named = [point for point in named if not point.endswith("before_commit")]
    then = chance.choice([*AFTER_ANOTHER, *(f"{point}" for point in named)]) + ":1" if freezes and chance.random() < 0.2 else ""
    kind = chance.random()
    if kind < 0.5:
        return Blow(chance.choice(named), chance.choice((1, 1, 1, 2)), freezes, then=then)
    if kind < 0.75:
        return Blow("request", chance.randint(1, 8), freezes, chance.random() < 0.7, then)
    if freezes:
        return Blow("db.committed", chance.randint(1, 8), freezes, then=then)
    where, most = chance.choice((("sql", 60), ("db.before_commit", 8), ("db.committed", 8)))
    return Blow(where, chance.randint(1, most), freezes)


def places(flow: str) -> list[str]:
    """The named points that acts of this flow may pass."""
    flows, left = {flow}, [flow]
    while left:
        more = set(LEADS_TO.get(left.pop(), ())) - flows
        flows |= more
        left += more
    return [point for point in points() if flow_of(point) in flows and point not in AFTER_ANOTHER and flow not in MONEY_FLOWS]
