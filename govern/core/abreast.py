"""Do calls side by side: plain threads, each in the context of whoever asked (its lane, the effect that it acts for).

A few dozen threads are all that helps: the pacing decides how many calls go out, and more threads only queue before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from govern.core.errors import ProviderError

THREADS: Final = 16

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


def interleaved(items: Iterable[T], group: Callable[[T], Hashable]) -> list[T]:
    """One of each group in turn: groups wait for throttles of their own, and none shall hold all the threads."""
    seen: Counter[Hashable] = Counter()
    placed = []
    for place, item in enumerate(items):
        seen[group(item)] += 1
        placed.append((seen[group(item)], place, item))
    return [item for _, _, item in sorted(placed, key=lambda each: each[:2])]


@dataclass(frozen=True)
class Outcomes(Generic[K, T]):
    """What came of each task, by its key: an answer, or why there is none."""

    answers: Mapping[K, T]
    refusals: Mapping[K, ProviderError]


def abreast(tasks: Mapping[K, Callable[[], T]], *, threads: int = THREADS) -> Outcomes[K, T]:
    """Carry out all of them and wait for the last. A ProviderError is an outcome; anything else is raised when all are done."""
    answers: dict[K, T] = {}
    refusals: dict[K, ProviderError] = {}
    if not tasks:
        return Outcomes(answers, refusals)
    with ThreadPoolExecutor(max_workers=min(threads, len(tasks)), thread_name_prefix="abreast") as pool:
        # A context can be entered by one thread at a time, so each task gets its own copy.
        begun = {key: pool.submit(copy_context().run, task) for key, task in tasks.items()}
    for key, future in begun.items():
        try:
            answers[key] = future.result()
        except ProviderError as error:
            refusals[key] = error
    return Outcomes(answers, refusals)
