"""Kill and freeze workers at random places, while OpenAI is in trouble, and ask the oracle whether everything holds.

Run N of seed S is drawn from "S:N" alone: `scripts/drill --seed S --only N` does it again. The last line is one JSON object;
exits 1 where something did not hold.
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import structlog

from tests.drill.run import carry_out_all
from tests.drill.schedule import Schedule, draw
from tests.drill.stage import memory_folder, stage
from tests.peers import postgres


def main() -> int:
    given = _arguments()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    numbers = [given.only] if given.only is not None else range(given.start, given.start + given.runs)
    if given.part is not None:
        return _part(given, numbers[given.part :: given.jobs])
    began, figures, failed = time.monotonic(), Counter[str](), []
    jobs = min(given.jobs, len(numbers))
    with ThreadPoolExecutor(jobs) as pool:
        for found in _merged(pool, [[*sys.argv[1:], "--jobs", str(jobs), "--part", str(part)] for part in range(jobs)]):
            figures.update(runs=1, violated=bool(found["bad"]), **found["figures"])
            if found["bad"]:
                failed.append(found["run"])
                print(f"--seed {given.seed} --only {found['run']}: {found['schedule']}", *found["bad"], sep="\n    ", flush=True)
            elif given.only is not None:
                print(f"--seed {given.seed} --only {found['run']}: {found['schedule']}\n    holds: {found['figures']}")
            elif figures["runs"] % 250 == 0:
                print(f"{figures['runs']} runs, {figures['kills']} kills, {figures['freezes']} freezes", flush=True)
    seconds = round(time.monotonic() - began, 1)
    whole = {"name": "drill", "database": given.database, "seed": given.seed, **figures, "seconds": seconds, "failed": failed}
    print(json.dumps(whole))
    return 1 if failed or figures["runs"] < len(numbers) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/drill", description=__doc__)
    parser.add_argument("--runs", type=int, default=100, help="how many runs")
    parser.add_argument("--seed", default="1", help="what they are drawn from")
    parser.add_argument("--start", type=int, default=0, help="the number of the first run")
    parser.add_argument("--only", type=int, help="do this one run again")
    parser.add_argument("--jobs", type=int, default=2, help="so many at once")
    parser.add_argument("--freeze-share", type=float, default=0.25, help="the part of blows that freeze instead of killing")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def _merged(pool: ThreadPoolExecutor, orders: list[list[str]]) -> Iterator[dict[str, Any]]:
    """What all the processes report, as it comes."""
    processes = [
        subprocess.Popen([sys.executable, "-m", "tests.drill", *order], stdout=subprocess.PIPE, text=True) for order in orders
    ]
    queue: SimpleQueue[dict[str, Any] | None] = SimpleQueue()

    def read(process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            queue.put(json.loads(line))
        process.wait()
        queue.put(None)

    for process in processes:
        pool.submit(read, process)
    left = len(processes)
    while left:
        found = queue.get()
        if found is None:
            left -= 1
        else:
            yield found


def _part(given: argparse.Namespace, numbers: Any) -> int:
    """In one of the processes: do these runs and report each with a line of JSON."""

    def schedules() -> Iterator[tuple[str, Schedule]]:
        for number in numbers:
            yield str(number), draw(f"{given.seed}:{number}", given.freeze_share)

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="drill-", dir=memory_folder())))
        server = stack.enter_context(postgres.server()) if given.database == "postgresql" else None
        ready = stack.enter_context(stage(folder, server))
        for number, schedule, outcome in carry_out_all(ready, schedules()):
            figures = {"kills": outcome.kills, "freezes": outcome.freezes, "missed": outcome.missed, "faults": outcome.faults}
            print(json.dumps({"run": int(number), "schedule": str(schedule), "figures": figures, "bad": outcome.bad}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
