"""Carry out a removal: what lets somebody in dies first and side by side, then places and the seat, the proof last.

Each run goes as far as OpenAI lets it, writes down what it saw and did, and comes back later for the rest: a run that dies, or
that waits for a throttle, loses nothing that was written down, and what it repeats does no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from govern.core import outbox
from govern.core.abreast import Outcomes, abreast, interleaved
from govern.core.clock import utcnow
from govern.core.crashpoints import crashpoint
from govern.core.errors import Missing, ProviderError, Rejected, Throttled
from govern.core.outbox import Claim, Later
from govern.core.uow import UnitOfWork, UnitsOfWork
from govern.offboarding import case as cases
from govern.offboarding import record, rules, service
from govern.offboarding.case import Case, Thing
from govern.offboarding.endings import Endings
from govern.offboarding.looks import Catalogue, Looks, Seen
from govern.offboarding.models import Kind
from govern.offboarding.record import CLEARED, FIRST, SECOND

ROUNDS = 3
"""How often a run asks again at once for what a listing still shows."""


class _NotYet(Exception):
    """This run goes no further: come back after so many seconds."""

    def __init__(self, seconds: float, sentence: str) -> None:
        super().__init__(sentence)
        self.seconds, self.sentence = seconds, sentence


@dataclass(frozen=True)
class Run:
    """`offboarding.run`: subject is the removal. Never given up: a refusal is shown and tried again later.

    `key_patience`: how long memberships and the seat wait for a credential that OpenAI does not end.
    """

    unit_of_work: UnitsOfWork
    endings: Endings
    looks: Looks
    second_look: timedelta
    key_patience: timedelta

    def __call__(self, claim: Claim) -> Later | None:
        case = self._load(claim)
        if case.is_done:
            with self.unit_of_work(claim.actor) as uow:
                outbox.settle(uow, claim)
            return None
        early = case.first_look_at + self.second_look - utcnow() if case.first_look_at else timedelta(0)
        if early > timedelta(0):
            return Later(early.total_seconds(), rules.SECOND_LOOK)
        try:
            _Walk(self, claim, case).walk()
        except _NotYet as not_yet:
            seconds, sentence = not_yet.seconds, not_yet.sentence
        except ProviderError as error:  # nothing can go on without what was asked for
            seconds, sentence = self.wait_for(case, [error]), error.sentence
        else:
            return None
        with self.unit_of_work(claim.actor) as uow:
            record.waiting(uow, case.id, sentence)
        return Later(seconds, sentence)

    def pause(self, case: Case) -> float:
        """Seconds until it is worth looking again."""
        return rules.pause(utcnow() - case.started_at)

    def wait_for(self, case: Case, troubles: Sequence[ProviderError]) -> float:
        """Seconds until the first of these calls may go out, where the throttle says so."""
        waits = [error.retry_after for error in troubles if isinstance(error, Throttled) and error.retry_after]
        return max(0.05, min(waits)) if len(waits) == len(troubles) else self.pause(case)

    def _load(self, claim: Claim) -> Case:
        with self.unit_of_work.reading() as session:
            return cases.load(session, claim.subject_id)


@dataclass
class _Walk:
    """One run. `troubles`: calls that could not be made or answered; what they were for is done by a later run."""

    run: Run
    claim: Claim
    case: Case

    def __post_init__(self) -> None:
        self.troubles: list[ProviderError] = []

    def walk(self) -> None:
        """Go as far as possible. Raises _NotYet, and ProviderError where nothing can go on."""
        self._end(rules.CREDENTIALS)
        here = self.run.looks.catalogue()
        self._meet_the_seat()
        self._clear(here)
        self._read(here, self.case.lacking(here.places(self.case), CLEARED), CLEARED, keep=True)
        self._read(here, self.case.lacking(here.roles(self.case), CLEARED), CLEARED, keep=True)
        self._end(rules.PLACES)
        self._stop_if_troubled()
        if self.case.ours:
            raise _NotYet(self.run.pause(self.case), rules.OWN_BRANCH)
        self._end((Kind.SEAT,))
        self._stop_if_troubled()
        self._prove(here)

    # -- keys before memberships -------------------------------------------------------------------------------------------

    def _meet_the_seat(self) -> None:
        """A seat that they have taken since, by an invite or under another id, counts from now on."""
        member = self.run.looks.seat(self.case.email)
        if member is not None and member.id not in self.case.seats:
            self._note(CLEARED, (), {Thing(Kind.SEAT, "", member.id): member.role})

    def _clear(self, here: Catalogue) -> None:
        """End what the listings show of credentials until they show none; then places may go.

        After `key_patience` they go although OpenAI still shows a credential that it was asked to end: it stays unproven.
        """
        shown: Seen = {}
        for _ in range(ROUNDS):
            shown = self._read(here, self.case.lacking(here.credentials(self.case), CLEARED), CLEARED)
            if not shown.keys() - self.case.ours:
                break
            self._end(rules.CREDENTIALS)
            if any(thing.kind is Kind.INVITES for thing in shown):
                self._meet_the_seat()
            if self.troubles:
                break
        self._stop_if_troubled()
        left, making = shown.keys() - self.case.ours, any(version.making for version in self.case.versions)
        if (left or making) and utcnow() - self.case.started_at < self.run.key_patience:
            raise _NotYet(self.run.pause(self.case) if left else 1, self._said(left))
        done = [kind for kind in rules.CREDENTIALS if not any(thing.kind is kind for thing in shown)]
        self._commit(lambda uow: record.steps_done(uow, self.case.id, done))

    def _said(self, left: Collection[Thing]) -> str:
        if not left:
            return "An attempt to make a key for them is still under way."
        proven = len(self.case.held) - len(left)
        named = sorted({rules.SHOWN_AS[thing.kind] for thing in left})
        refusals = [self.case.refused[thing] for thing in left if thing in self.case.refused]
        return f"{proven} of {len(self.case.held)} ended. OpenAI still lists {', '.join(named)}. {' '.join(refusals[:1])}".strip()

    # -- the proof ---------------------------------------------------------------------------------------------------------

    def _prove(self, here: Catalogue) -> None:
        """Read everything twice, so long apart. A listing that shows something begins anew; the others keep what they proved."""
        run = self.run
        shown = dict(self._look(here, self.case.lacking(here.everything(self.case), FIRST), FIRST))
        if not self.case.lacking(here.everything(self.case), FIRST) and self.case.first_look_at is None:
            self._commit(lambda uow: record.first_look(uow, self.case.id))
            crashpoint("offboarding.looked")
            if run.second_look > timedelta(0):
                raise _NotYet(run.second_look.total_seconds(), rules.SECOND_LOOK)
        shown |= self._look(here, list(filter(self._is_ripe, self.case.lacking(here.everything(self.case), SECOND))), SECOND)
        if shown or self.case.lacking(here.everything(self.case), SECOND):
            raise _NotYet(run.pause(self.case), self._said(shown) if shown else rules.SECOND_LOOK)
        crashpoint("offboarding.verify.after")
        with run.unit_of_work(self.claim.actor) as uow:
            outbox.settle(uow, self.claim)
            service.record_done(uow, self.case.id)
            crashpoint("offboarding.before_commit")
        crashpoint("offboarding.recorded")

    def _is_ripe(self, listing: str) -> bool:
        """Whether enough time went by since the listing was read for the first time."""
        first = self.case.marks.get(listing, {}).get(FIRST)
        return first is not None and utcnow() - datetime.fromisoformat(first) >= self.run.second_look

    def _look(self, here: Catalogue, listings: Sequence[str], mark: str) -> Seen:
        """Invites are read before members: one that was accepted a moment ago shows as a seat."""
        early = [name for name in listings if name == "invites"]
        shown = dict(self._read(here, early, mark))
        shown |= self._read(here, [name for name in listings if name not in early], mark)
        self._stop_if_troubled()
        return shown

    # -- calls, and what is written down of them -----------------------------------------------------------------------------

    def _end(self, kinds: Sequence[Kind]) -> None:
        """Ask for the end of everything of these kinds that stands, side by side."""
        endings, seats = self.run.endings, set(self.case.seats)
        standing = [thing for thing in self.case.standing(kinds) if thing not in self.case.ours]
        for name in kinds:
            crashpoint(f"offboarding.{name}.before")
        in_turn = interleaved(standing, lambda thing: thing.kind)
        found = abreast({thing: partial(endings.end, thing, seats) for thing in in_turn})
        refused = {thing: error.sentence for thing, error in found.refusals.items() if isinstance(error, Rejected | Missing)}
        self.troubles += [error for thing, error in found.refusals.items() if thing not in refused]
        if standing:
            self._commit(lambda uow: record.asked(uow, self.case.id, found.answers.keys(), refused))
        for name in kinds:
            crashpoint(f"offboarding.{name}.after")
        for thing, sentence in refused.items():
            if thing.kind is Kind.SEAT:  # the last owner
                raise _NotYet(self.run.pause(self.case), sentence)
        if kinds != rules.CREDENTIALS and not self.troubles:
            self._commit(lambda uow: record.steps_done(uow, self.case.id, kinds))

    def _read(self, here: Catalogue, listings: Sequence[str], mark: str, *, keep: bool = False) -> Seen:
        """Read these listings side by side; what they show of the person. `keep`: see `record.read`."""
        case = self.case
        unready = {f"{name}:{version.project}" for version in case.versions if version.making for name in ("keys", "accounts")}
        in_turn = interleaved(listings, lambda name: name.partition(":")[0])
        tasks = {name: partial(self.run.looks.read, case, here, name) for name in in_turn if name not in unready}
        found: Outcomes[str, Seen] = abreast(tasks)
        self.troubles += found.refusals.values()
        shown: dict[Thing, str | None] = {}
        for seen in found.answers.values():
            shown |= seen
        clean = [name for name, seen in found.answers.items() if keep or not seen]
        if found.answers:
            self._note(mark, clean, shown, here, keep=keep)
        return shown

    def _note(self, mark: str, clean: Sequence[str], shown: Seen, here: Catalogue | None = None, *, keep: bool = False) -> None:
        """Write down what was read, and what that proves of the keys that we issued."""
        case = self.case
        marked = {name for name, marks in case.marks.items() if mark in marks} | set(clean)
        gone = [
            version.id
            for version in case.versions
            if here is not None and not version.making and all(name in marked for name in here.of_keys(version.project))
        ]

        def write(uow: UnitOfWork) -> None:
            record.read(uow, case.id, mark, clean, shown, keep=keep)
            record.versions_ended(uow, gone)

        self._commit(write)

    def _commit(self, write: Callable[[UnitOfWork], None]) -> None:
        """Write it down, if this run still owns the effect, and take note of it. Raises ClaimLost."""
        with self.run.unit_of_work(self.claim.actor) as uow:
            outbox.extend(uow, self.claim)
            write(uow)
            uow.session.flush()
            ours, self.case = self.case.ours, cases.load(uow.session, self.case.id)
            self.case.ours = ours

    def _stop_if_troubled(self) -> None:
        if self.troubles:
            raise _NotYet(self.run.wait_for(self.case, self.troubles), self.troubles[0].sentence)
