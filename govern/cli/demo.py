"""`govern demo`: the whole service on this machine, with an invented organization."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import click
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from govern.bootstrap import Govern, build
from govern.cli import demo_keys, demo_words, host, output
from govern.cli import demo_samples as samples
from govern.cli.demo_children import Children
from govern.cli.demo_folder import Folder, Made
from govern.cli.demo_peers import CAST, peers
from govern.cli.runs import RunFailed
from govern.cli.web import web_environment
from govern.core import migrations, sealing
from govern.core.db import make_engine
from govern.core.errors import Unavailable
from govern.core.ids import new_id
from govern.jobs import queries, service
from govern.jobs.models import JobRun, RunState
from govern.settings import CONFIG_VARIABLE, PREFIX, load_settings

FOLDER: Final = Path("var/demo")


class _Stopped(Exception):
    """Somebody pressed Ctrl-C while the demo was being prepared."""


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port of the dashboard (8000, or as the last time; 0 takes a free one)."
)
@click.option("--people", type=click.IntRange(4, 10_000), help="How many people the invented organization has (60).")
@click.option("--seed", type=int, help="The same seed makes the same organization (7).")
@click.option("--fresh", is_flag=True, help="Throw away what an earlier demo left.")
@click.option("--folder", type=click.Path(path_type=Path), default=FOLDER, show_default=True, help="Where it keeps its data.")
def demo(port: int | None, people: int | None, seed: int | None, fresh: bool, folder: Path) -> None:
    """Try everything on this machine: no account, no configuration, nothing leaves it.

    Starts an invented OpenAI organization, an identity provider, a mailbox, the web server and the worker, and prints where
    to go. A second start keeps the data; Ctrl-C stops all of it.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    with Folder(folder) as home:
        if fresh:
            home.empty()
        made = home.made(port=port, people=people, seed=seed)
        _Demo(home, made, stop).run()


class _Demo:
    def __init__(self, home: Folder, made: Made, stop: threading.Event) -> None:
        self.home, self.made, self.stop = home, made, stop
        self.settings_file = home.write_settings(made)
        self.children = Children()

    def run(self) -> None:
        """Prepare, say so, and wait for the end."""
        try:
            with peers(self.made):
                try:
                    words = self._prepare()
                except _Stopped:
                    return
                print(words, flush=True)
                while not self.stop.wait(0.5):
                    self.children.check()
        finally:
            quiet = not sys.stdout.isatty()
            with nullcontext() if quiet else output.console().status("Stopping …"):
                self.children.stop()
        if not quiet:
            click.echo("Stopped. Everything is kept; the next start goes on from here.")

    def _prepare(self) -> str:
        bars = Progress(
            SpinnerColumn(), TextColumn("{task.description:<34}"), BarColumn(24), TextColumn("{task.fields[what]}"),
            TimeElapsedColumn(), console=output.console(),
        )  # fmt: skip
        with bars:
            self._step(bars, "Database", self._migrate)
            govern = build(load_settings(self._environment(), config=self.settings_file, without_admin_key=True))
            try:
                return self._fill(bars, govern)
            finally:
                govern.close()

    def _fill(self, bars: Progress, govern: Govern) -> str:
        with govern.unit_of_work(host.host_actor()) as uow:
            sealing.note_ring(uow)
        self._step(bars, f"Organization of {self.made.people} people", self._start_openai)
        began = new_id("run")  # ids sort by time: later runs have larger ones
        self._start_servers()
        for job, title in (
            ("directory.sync", "People, projects and keys"), ("usage.sync", "Usage"), ("costs.sync", "Costs"),
        ):  # fmt: skip
            self._watch(bars, govern, job, title, newer_than=began)
        alerting = None
        if not samples.has_budgets(govern):
            self._step(bars, "Teams and cost centres", lambda: samples.give_places(govern))
            self._step(bars, "Keys of a few people", lambda: demo_keys.issue_keys(govern, self.stop.is_set))
            demo_keys.use_keys(govern, self.made.url("openai"))
            if samples.needs_spend(govern):
                samples.add_spend(govern, self.made.url("openai"))
            self._run(bars, govern, "usage.sync", "Use of those keys")
            self._run(bars, govern, "costs.sync", "What they cost")
            alerting = samples.make_budgets(govern)
        self._run(bars, govern, "usage.roll_up", "Spend by team and cost centre")
        self._run(bars, govern, "budgets.evaluate", "Budgets")
        self._step(bars, "Dashboard", lambda: self._wait(f"{self.made.url('web')}/healthz", "The dashboard"))
        token = samples.admin_token(govern, self.home.told().get("admin_token"))
        self._tell(token)
        return demo_words.ready(self.made, token, samples.somebody(govern), self.settings_file, alerting)

    def _migrate(self) -> None:
        engine = make_engine(f"sqlite:///{self.home.file('govern.db')}")
        try:
            migrations.upgrade(engine)
        finally:
            engine.dispose()

    def _start_openai(self) -> None:
        made = self.made
        arguments = [
            "fake-openai", "--port", str(made.ports["openai"]), "--people", str(made.people), "--projects", str(made.projects),
            "--months", str(made.months), "--seed", str(made.seed), "--generation", "2026-11", "--propagation", "1",
            "--state", str(self.home.file("openai.json")),
        ]  # fmt: skip
        environment = self._environment() | {"GOVERN_FAKE_ADMIN_KEY": made.admin_key}
        environment.pop(CONFIG_VARIABLE)
        self.children.start("invented organization", arguments, environment, self.home.log("openai"))
        self._wait(f"{made.url('openai')}/_control/", "The invented organization")

    def _start_servers(self) -> None:
        self.children.start("worker", ["worker"], self._environment(), self.home.log("worker"))
        environment = web_environment(self._environment())
        self.children.start("web", ["web", "--port", str(self.made.ports["web"])], environment, self.home.log("web"))

    def _environment(self) -> dict[str, str]:
        """This process's environment without any setting of a real installation, and with the demo's settings file."""
        mine = {name: value for name, value in os.environ.items() if not name.startswith((PREFIX, "OPENAI_"))}
        return mine | {CONFIG_VARIABLE: str(self.settings_file)}

    def _step(self, bars: Progress, title: str, act: Callable[[], None]) -> None:
        bar = bars.add_task(title, total=None, what="")
        self._check()
        act()
        self._check()
        bars.update(bar, total=1, completed=1, what="ready")

    def _wait(self, url: str, what: str) -> None:
        try:
            self.children.wait_for(url, what, stopping=self.stop.is_set)
        except TimeoutError as error:
            raise Unavailable(str(error)) from None

    def _run(self, bars: Progress, govern: Govern, job: str, title: str) -> None:
        with govern.unit_of_work(host.host_actor()) as uow:
            run_id = service.request_run(uow, job).id
        self._follow(bars, title, lambda: _one(govern, run_id))

    def _watch(self, bars: Progress, govern: Govern, job: str, title: str, *, newer_than: str) -> None:
        """Wait for the timetable's own first run of the job; one that has run in an earlier start is asked for again."""
        with govern.unit_of_work.reading() as session:
            known = queries.last_success(session, job) is not None
        if known:
            self._run(bars, govern, job, title)
            return
        self._follow(bars, title, lambda: _newest(govern, job, newer_than))

    def _follow(self, bars: Progress, title: str, look: Callable[[], JobRun | None]) -> None:
        bar = bars.add_task(title, total=None, what="")
        while True:
            self._check()
            run = look()
            if run is not None and run.state is RunState.FAILED:
                raise RunFailed(f"{run.job} failed. {run.problem} The log is {self.home.log('worker')}.")
            if run is not None and run.state is RunState.DONE:
                bars.update(bar, total=1, completed=1, what="ready")
                return
            if run is not None and run.progress:
                bars.update(bar, total=run.progress["total"], completed=run.progress["done"], what=run.progress["what"])
            time.sleep(0.2)

    def _check(self) -> None:
        if self.stop.is_set():
            raise _Stopped
        self.children.check()

    def _tell(self, token: str) -> None:
        """Write demo.json, by which scripts drive the demo."""
        told: dict[str, Any] = {
            "url": self.made.url("web"),
            "openai_url": self.made.url("openai"),
            "openai_admin_key": self.made.admin_key,
            "oidc_issuer": self.made.url("oidc"),
            "admin_token": token,
            "people": [person.name for person, _ in CAST],
            "emails": {person.name: person.email for person, _ in CAST},
            "mailbox_url": self.made.url("mailbox"),
            "settings": str(self.settings_file),
            "processes": self.children.pids(),
        }
        self.home.write_private("demo.json", json.dumps(told, indent=2, ensure_ascii=False) + "\n")


def _one(govern: Govern, run_id: str) -> JobRun:
    with govern.unit_of_work.reading() as session:
        return queries.get_run(session, run_id)


def _newest(govern: Govern, job: str, newer_than: str) -> JobRun | None:
    with govern.unit_of_work.reading() as session:
        newest = next(iter(queries.find_runs(session, job=job, limit=1)), None)
    return newest if newest is not None and newest.id > newer_than else None
