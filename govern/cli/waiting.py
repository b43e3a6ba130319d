"""Wait for what a command promised: for the worker that carries it out, or carry it out here where none runs.

Only one process may talk to OpenAI at a time, so "here" means: this process holds the workers' lock meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import click
from sqlalchemy.orm import Session

from govern.bootstrap import Govern, build
from govern.core.clock import utcnow
from govern.core.errors import Conflict, InvalidInput
from govern.jobs import queries
from govern.settings import load_settings
from govern.worker.election import election
from govern.worker.runner import drain

POLL: Final = 0.1
PATIENCE: Final = 20.0
"""Seconds until a command says "pending" instead of the outcome. The worker goes on all the same."""

Settled = Callable[[Session], bool]


def carried_out(govern: Govern, settled: Settled, *, patience: float = PATIENCE) -> bool:
    """Wait until `settled` says so; False when it takes longer than `patience` seconds, or when nobody can do it now."""
    if worker_lives(govern):
        return _watch(govern, settled, patience)
    try:
        with_key = build(load_settings(), outside=True)
    except InvalidInput:
        click.echo("No worker is running. It is written down, and done as soon as `govern worker` starts.", err=True)
        return False
    lock = election(with_key.engine)
    try:
        if not lock.hold():  # a worker is just starting
            return _watch(govern, settled, patience)
        return _drain(with_key, govern, settled, patience)
    finally:
        lock.release()
        with_key.close()


def need_worker(govern: Govern) -> None:
    """Raise Conflict when no worker is alive."""
    if not worker_lives(govern):
        raise Conflict("No worker is running. Start `govern worker`, or give the admin key to this command too.")


def worker_lives(govern: Govern) -> bool:
    """Whether a worker has been heard of lately."""
    with govern.unit_of_work.reading() as session:
        return bool(queries.live_workers(session, utcnow()))


def _watch(govern: Govern, settled: Settled, patience: float) -> bool:
    until = time.monotonic() + patience
    while True:
        with govern.unit_of_work.reading() as session:
            if settled(session):
                return True
        if time.monotonic() >= until:
            return False
        time.sleep(POLL)


def _drain(with_key: Govern, govern: Govern, settled: Settled, patience: float) -> bool:
    until = time.monotonic() + patience
    while True:
        drain(with_key)
        with govern.unit_of_work.reading() as session:
            if settled(session):
                return True
        if time.monotonic() >= until:
            return False
        time.sleep(POLL * 5)  # what is left was put off for a second or more
