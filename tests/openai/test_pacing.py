"""Lanes, patience, and the memory that survives a restart."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import pytest
import sqlalchemy as sa

from govern.core.crypto import SecretBox
from govern.core.db import make_engine
from govern.core.errors import Throttled, Unavailable
from govern.core.lanes import Lane
from govern.core.uow import UnitsOfWork
from govern.openai.models import PacingBucket
from govern.openai.pacing import Pacing
from govern.openai.rates import LearnedRates
from tests.ticker import BEGIN, Ticker

FAMILY = "GET /organization/projects/{}/api_keys"


@pytest.fixture
def rates(database_url: str) -> Iterator[LearnedRates]:
    engine = make_engine(database_url)
    yield LearnedRates(UnitsOfWork(engine, SecretBox({"test": bytes(32)})))
    engine.dispose()


def paced(ticker: Ticker, **options: object) -> Pacing:
    return Pacing(clock=ticker, wall=ticker.wall, sleep=ticker.sleep, **options)  # type: ignore[arg-type]


def row(rates: LearnedRates) -> PacingBucket:
    with rates._unit_of_work.reading() as session:
        return session.scalars(sa.select(PacingBucket)).one()


def test_without_a_known_limit_nobody_waits(ticker: Ticker) -> None:
    pacing = paced(ticker)
    for _ in range(1000):
        pacing.accepted(pacing.acquire(FAMILY, Lane.BACKGROUND, 0))
    assert ticker.naps == []
    assert pacing.rate(FAMILY) is None


def test_a_configured_rate_is_kept_from_the_first_call(ticker: Ticker) -> None:
    pacing = paced(ticker, requests_per_minute=60, burst=4)
    for _ in range(64):
        pacing.acquire(FAMILY, Lane.INTERACTIVE, 60)
    assert ticker.seconds == pytest.approx(60)


def test_families_do_not_share_a_bucket(ticker: Ticker) -> None:
    pacing = paced(ticker, requests_per_minute=6, burst=1)
    pacing.acquire(FAMILY, Lane.INTERACTIVE, 0)
    pacing.acquire("GET /organization/users", Lane.INTERACTIVE, 0)
    assert ticker.seconds == 0


def test_who_would_wait_too_long_is_told_at_once_how_long_and_leaves_no_debt(ticker: Ticker) -> None:
    pacing = paced(ticker, requests_per_minute=6, burst=1)
    pacing.acquire(FAMILY, Lane.INTERACTIVE, 0)
    for _ in range(5):
        with pytest.raises(Throttled) as refused:
            pacing.acquire(FAMILY, Lane.INTERACTIVE, 9)
        assert refused.value.retry_after == pytest.approx(10)
    assert ticker.naps == []
    pacing.acquire(FAMILY, Lane.INTERACTIVE, 10)
    assert ticker.seconds == pytest.approx(10)


def test_what_flows_in_meanwhile_is_kept_for_whoever_was_turned_away_and_comes_back(ticker: Ticker) -> None:
    """A removal that comes back in ten seconds must not find that a sync has taken its tokens in between."""
    pacing = paced(ticker, requests_per_minute=60, burst=4)
    for _ in range(14):
        pacing.acquire(FAMILY, Lane.INTERACTIVE, 60)
    debt = ticker.seconds
    with pytest.raises(Throttled):
        pacing.acquire(FAMILY, Lane.INTERACTIVE, 0.5)
    ticker.sleep(4)  # the bucket is full again
    with pytest.raises(Throttled):
        pacing.acquire(FAMILY, Lane.BACKGROUND, 0)
    pacing.acquire(FAMILY, Lane.INTERACTIVE, 0)
    ticker.sleep(5)
    pacing.acquire(FAMILY, Lane.BACKGROUND, 0)
    assert debt > 0


def test_patience_ends_even_on_a_clock_that_stands_still() -> None:
    naps: list[float] = []
    pacing = Pacing(requests_per_minute=6, burst=1, clock=lambda: 0.0, sleep=naps.append)
    pacing.acquire(FAMILY, Lane.INTERACTIVE, 0)
    with pytest.raises(Throttled):
        pacing.acquire(FAMILY, Lane.BACKGROUND, 60)
    assert sum(naps) <= 60


def test_a_refusal_holds_up_also_those_who_already_wait(ticker: Ticker) -> None:
    pacing = paced(ticker, requests_per_minute=60, burst=1)
    first = pacing.acquire(FAMILY, Lane.INTERACTIVE, 60)
    slept = ticker.sleep

    def refused_meanwhile(seconds: float) -> None:
        slept(seconds)
        if len(ticker.naps) == 1:
            pacing.refused(first, 20.0)

    pacing._sleep = refused_meanwhile
    pacing.acquire(FAMILY, Lane.INTERACTIVE, 60)
    assert ticker.seconds == pytest.approx(21)


def test_a_person_is_delayed_by_background_by_no_more_than_one_call() -> None:
    """With real threads: eight that sync without pause, and a person who comes by now and then, at two calls a second."""
    pacing, stop, background = Pacing(requests_per_minute=120, burst=4), threading.Event(), [0]

    def sync() -> None:
        with suppress(Unavailable):  # at the end
            while not stop.is_set():
                pacing.accepted(pacing.acquire(FAMILY, Lane.BACKGROUND, 60))
                background[0] += 1

    threads = [threading.Thread(target=sync) for _ in range(8)]
    for thread in threads:
        thread.start()
    delays = []
    for _ in range(3):
        time.sleep(0.7)
        began = time.monotonic()
        pacing.accepted(pacing.acquire(FAMILY, Lane.INTERACTIVE, 60))
        delays.append(time.monotonic() - began)
    stop.set()
    pacing.close()
    for thread in threads:
        thread.join(10)
    assert max(delays) < 0.5
    assert background[0] >= 3  # nor was background starved


def test_threads_together_keep_the_rate() -> None:
    pacing, began = Pacing(requests_per_minute=1200, burst=4), time.monotonic()

    def work() -> None:
        for _ in range(6):
            pacing.acquire(FAMILY, Lane.INTERACTIVE, 60)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert time.monotonic() - began >= (48 - 20) / 20 - 0.05  # a burst of a second's worth, the rest at twenty a second


def test_stopping_lets_who_waits_give_up() -> None:
    pacing = Pacing(requests_per_minute=1, burst=1)
    pacing.acquire(FAMILY, Lane.BACKGROUND, 0)
    raised: list[BaseException] = []

    def work(lane: Lane) -> None:
        try:
            pacing.acquire(FAMILY, lane, 300)
        except Unavailable as error:
            raised.append(error)

    threads = [threading.Thread(target=work, args=(lane,)) for lane in Lane]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    pacing.close()
    for thread in threads:
        thread.join(5)
    assert len(raised) == 2


@pytest.mark.one_database
def test_what_was_learned_survives_a_restart(ticker: Ticker, rates: LearnedRates) -> None:
    before = paced(ticker, rates=rates)
    for _ in range(10):
        before.accepted(before.acquire(FAMILY, Lane.INTERACTIVE, 0))
    before.refused(before.acquire(FAMILY, Lane.INTERACTIVE, 0), 45.0)
    assert before.rate(FAMILY) == 8.0

    ticker.seconds += 15
    after = paced(ticker, rates=rates)
    assert after.rate(FAMILY) == 8.0
    with pytest.raises(Throttled) as refused:
        after.acquire(FAMILY, Lane.INTERACTIVE, 10)
    assert refused.value.retry_after == pytest.approx(30)
    kept = row(rates)
    assert (kept.family, kept.refusals, kept.last_refused_at) == (FAMILY, 1, BEGIN)


@pytest.mark.one_database
def test_a_restart_brings_no_new_burst(ticker: Ticker, rates: LearnedRates) -> None:
    before = paced(ticker, requests_per_minute=8, burst=8, rates=rates)
    before.accepted(before.acquire(FAMILY, Lane.INTERACTIVE, 0))
    ticker.seconds += 3600
    after = paced(ticker, requests_per_minute=8, burst=8, rates=rates)
    free = 0
    while after._buckets.get(FAMILY) is None or after._buckets[FAMILY].tokens >= 1:
        after.acquire(FAMILY, Lane.INTERACTIVE, 0)
        free += 1
    assert free <= 3


def test_a_clock_set_back_does_not_block_for_hours(ticker: Ticker, rates: LearnedRates) -> None:
    before = paced(ticker, rates=rates)
    before.refused(before.acquire(FAMILY, Lane.INTERACTIVE, 0), 60.0)
    after = Pacing(rates=rates, clock=ticker, wall=lambda: BEGIN - timedelta(days=1), sleep=ticker.sleep)
    after.acquire(FAMILY, Lane.INTERACTIVE, 301)
    assert ticker.seconds <= 301


def test_acceptances_are_written_at_most_every_few_seconds_and_refusals_at_once(ticker: Ticker, rates: LearnedRates) -> None:
    pacing = paced(ticker, requests_per_minute=600, burst=4, rates=rates)
    writes: list[object] = []
    sa.event.listen(rates._unit_of_work.engine, "commit", lambda connection: writes.append(connection))
    while ticker.seconds < 12:
        pacing.accepted(pacing.acquire(FAMILY, Lane.INTERACTIVE, 60))
    assert len(writes) == 3  # at 0, 5 and 10 seconds
    pacing.refused(pacing.acquire(FAMILY, Lane.INTERACTIVE, 60), None)
    assert len(writes) == 4


def test_a_database_that_fails_costs_the_memory_and_not_the_call(ticker: Ticker) -> None:
    engine = make_engine("sqlite://")
    pacing = paced(ticker, rates=LearnedRates(UnitsOfWork(engine, SecretBox({"test": bytes(32)}))))
    pacing.refused(pacing.acquire(FAMILY, Lane.INTERACTIVE, 0), 1.0)
    pacing.accepted(pacing.acquire(FAMILY, Lane.INTERACTIVE, 60))
    assert pacing.rate(FAMILY) is not None
    engine.dispose()
