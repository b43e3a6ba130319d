"""Ask for runs of jobs and watch them, with a bar for each."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from govern.bootstrap import Govern, build
from govern.cli import host, output, waiting
from govern.core.errors import Conflict, GovernError
from govern.jobs import queries, service
from govern.jobs.models import JobRun, RunState
from govern.settings import load_settings
from govern.worker.election import election
from govern.worker.runner import drain

POLL = 0.2


class RunFailed(GovernError):
    """A job that was asked for did not finish well."""

    code = "run_failed"


def run_and_watch(jobs: Sequence[str], *, quiet: bool = False) -> list[JobRun]:
    """Run these jobs one after the other and wait for each; their runs. Raises RunFailed, Conflict, InvalidInput."""
    with host.opened() as govern:
        host.check_ready(govern)
        if waiting.worker_lives(govern):
            return _watched(govern, jobs, quiet=quiet)
    with_key = build(load_settings(), outside=True)  # says what is missing where there is no admin key
    lock = election(with_key.engine)
    try:
        if not lock.hold():
            return _watched(with_key, jobs, quiet=quiet)
        return _watched(with_key, jobs, quiet=quiet, here=True)
    finally:
        lock.release()
        with_key.close()


def _watched(govern: Govern, jobs: Sequence[str], *, quiet: bool, here: bool = False) -> list[JobRun]:
    """Watch the worker do it; `here`: do it in a thread of this process."""
    runs = []
    console = output.console(err=True)
    bars = Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[what]}"), TimeElapsedColumn(),
        TextColumn("left:"), TimeRemainingColumn(elapsed_when_finished=False),
        console=console, disable=quiet or not console.is_terminal,
    )  # fmt: skip
    with bars:
        for job in jobs:
            with govern.unit_of_work(host.host_actor()) as uow:
                run_id = service.request_run(uow, job).id
            drained = _begin_draining(govern) if here else None
            bar = bars.add_task(job, total=None, what="waiting for the worker")
            while True:
                over = drained is not None and drained.done()
                if drained is not None and over:
                    drained.result()  # raises what it raised
                run = _run(govern, run_id)
                if run.state in (RunState.DONE, RunState.FAILED):
                    bars.update(bar, total=1, completed=1, what=run.state.value)
                    runs.append(_checked(run))
                    break
                if run.state is RunState.RUNNING:
                    at = run.progress or {}
                    bars.update(bar, total=at.get("total"), completed=at.get("done", 0), what=at.get("what", "at work"))
                elif over or (drained is None and not waiting.worker_lives(govern)):
                    raise Conflict("The worker has stopped. The run is written down, and done when `govern worker` starts again.")
                time.sleep(POLL)
    return runs


def _begin_draining(govern: Govern) -> Future[int]:
    """Carry out everything that is due, in a thread that does not outlive an impatient Ctrl-C."""
    outcome: Future[int] = Future()

    def work() -> None:
        try:
            outcome.set_result(drain(govern))
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=work, name="drain", daemon=True).start()
    return outcome


def _run(govern: Govern, run_id: str) -> JobRun:
    with govern.unit_of_work.reading() as session:
        return queries.get_run(session, run_id)


def _checked(run: JobRun) -> JobRun:
    if run.state is RunState.FAILED:
        raise RunFailed(f"{run.job} failed. {run.problem}")
    return run
