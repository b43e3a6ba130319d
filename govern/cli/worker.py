"""`govern worker`."""

from __future__ import annotations

import os
import signal
import sys

import click


@click.command()
def worker() -> None:
    """Run the timetable and carry out what is owed to OpenAI.

    Start as many as you like: one leads, the others stand by and take over within about a second. This is the only process
    that needs the admin key. SIGTERM lets it finish what is in hand (at most 30 seconds).
    """
    from govern.cli.host import check_ready, note_ring, opened
    from govern.worker.runner import Worker

    with opened(outside=True) as govern:
        check_ready(govern)
        note_ring(govern)
        process = Worker(govern)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: process.stop())
        finished = process.run()
    if not finished:
        # Threads that are still in the middle of something would trip over an interpreter that is being taken down.
        sys.stderr.flush()
        os._exit(0)
