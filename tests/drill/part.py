"""One process of the drill: a stage of its own, and a line of JSON for each run."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import structlog

from tests.drill.mutants import BY_NAME, MUTANTS
from tests.drill.planting import ordered
from tests.drill.run import carry_out_all
from tests.drill.schedule import Schedule, draw, of_mutant
from tests.drill.stage import memory_folder, stage
from tests.peers import postgres


def do_part(given: argparse.Namespace) -> int:
    """Do the runs of this part and report each."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="drill-", dir=memory_folder())))
        server = stack.enter_context(postgres.server()) if given.database == "postgresql" else None
        ready = stack.enter_context(stage(folder, server))
        for number, schedule, outcome in carry_out_all(ready, _schedules(given)):
            found = {"run": number, "schedule": str(schedule), "figures": outcome.figures, "bad": outcome.bad}
            sys.stdout.write(json.dumps(found) + "\n")
            sys.stdout.flush()
    return 0


def _schedules(given: argparse.Namespace) -> Iterator[tuple[int, Schedule]]:
    if given.mutants:
        wanted = [BY_NAME[ordered()]] if ordered() else MUTANTS
        yield from enumerate(map(of_mutant, wanted))
        return
    for number in range(given.start + given.part, given.start + given.runs, given.jobs):
        yield number, draw(f"{given.seed}:{number}", given.freeze_share)
