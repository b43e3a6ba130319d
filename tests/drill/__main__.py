"""Kill and freeze workers and web processes at random places, while OpenAI is in trouble; ask the oracle whether all holds.

Run N of seed S is drawn from "S:N" alone: `scripts/drill --seed S --only N` does it again. With `--mutants` defects are planted
in the code instead, one at a time, and each must be noticed. The last line is one JSON object; exits 1 where something did not
hold, or a mutant lives.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

from tests.drill.mutants import MUTANTS, Mutant, plant_ordered
from tests.drill.planting import VARIABLE

Found = Mapping[str, Any]


def main() -> int:
    given = _arguments()
    if given.part is not None:
        plant_ordered()  # before anything of the service is imported
        from tests.drill.part import do_part

        return do_part(given)
    return _mutants(given) if given.mutants else _random(given)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/drill", description=__doc__)
    parser.add_argument("--runs", type=int, default=100, help="how many runs")
    parser.add_argument("--seed", default="1", help="what they are drawn from")
    parser.add_argument("--start", type=int, default=0, help="the number of the first run")
    parser.add_argument("--only", type=int, help="do this one run again")
    parser.add_argument("--jobs", type=int, default=2, help="so many at once")
    parser.add_argument("--freeze-share", type=float, default=0.25, help="the part of blows that freeze instead of killing")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--mutants", action="store_true", help="plant a defect, see that it is noticed; then the next")
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only is not None:
        given.start, given.runs = given.only, 1
    given.jobs = max(1, min(given.jobs, given.runs))
    return given


def _random(given: argparse.Namespace) -> int:
    began, figures, failed = time.monotonic(), Counter[str](), []
    with ThreadPoolExecutor(given.jobs) as pool:
        for found in _merged(pool, [_process(part, given) for part in range(given.jobs)]):
            figures.update(runs=1, violated=bool(found["bad"]), **found["figures"])
            run = f"--seed {given.seed} --only {found['run']}: {found['schedule']}"
            if found["bad"]:
                failed.append(found["run"])
                print(run, *found["bad"], sep="\n    ", flush=True)
            elif given.only is not None:
                print(run, f"holds: {found['figures']}", sep="\n    ")
            elif figures["runs"] % 250 == 0:
                print(f"{figures['runs']} runs, {figures['kills']} kills, {figures['freezes']} freezes", flush=True)
    seconds = round(time.monotonic() - began, 1)
    whole = {"name": "drill", "database": given.database, "seed": given.seed, **figures, "seconds": seconds, "failed": failed}
    print(json.dumps(whole))
    return 1 if failed or figures["runs"] < given.runs else 0


def _process(part: int, given: argparse.Namespace, mutant: str = "") -> subprocess.Popen[str]:
    options = {
        "runs": given.runs, "seed": given.seed, "start": given.start, "jobs": given.jobs, "freeze-share": given.freeze_share,
        "database": given.database, "part": part,
    }  # fmt: skip
    order = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.drill", *order, *(["--mutants"] if given.mutants else [])],
        stdout=subprocess.PIPE, text=True, env=os.environ | {VARIABLE: mutant},
    )  # fmt: skip


def _merged(pool: ThreadPoolExecutor, processes: Sequence[subprocess.Popen[str]]) -> Iterator[Found]:
    """What all the processes report, as it comes."""
    queue: SimpleQueue[Found | None] = SimpleQueue()

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


def _mutants(given: argparse.Namespace) -> int:
    """Each schedule must hold with the code as it is, and must not with the defect that it was written for."""

    def caught(mutant: Mutant) -> tuple[Mutant, Found | None]:
        report, _ = _process(0, given, mutant.name).communicate()
        return mutant, json.loads(report) if report else None

    report, _ = _process(0, given).communicate()
    broken = [found for found in map(json.loads, report.splitlines()) if found["bad"]]
    for found in broken:
        print(f"without any defect: {found['schedule']}", *found["bad"], sep="\n    ")
    alive = []
    with ThreadPoolExecutor(given.jobs) as pool:
        for mutant, found_or_none in pool.map(caught, MUTANTS):
            bad = found_or_none["bad"] if found_or_none else []
            print(f"{'caught' if bad else 'ALIVE '}  {mutant.name}", *bad[:1], sep="\n        ", flush=True)
            alive += [] if bad else [mutant.name]
    intact = len(report.splitlines()) - len(broken)
    whole = {"name": "mutants", "database": given.database, "mutants": len(MUTANTS), "caught": len(MUTANTS) - len(alive)}
    print(json.dumps({**whole, "holds_without": intact, "alive": alive}))
    return 1 if alive or broken or intact < len(MUTANTS) else 0


if __name__ == "__main__":
    sys.exit(main())
