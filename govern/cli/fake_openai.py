"""`govern fake-openai`: the fake organization as a server of its own."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click

from govern.fakes.openai import FakeOpenAI, WorldSpec
from govern.fakes.openai.spec import GENERATIONS
from govern.fakes.server import serve


@click.command("fake-openai")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=0, show_default=True, help="Port to listen on; 0 takes a free one.")
@click.option("--people", default=12, show_default=True, type=click.IntRange(1, 20_000), help="Members of the organization.")
@click.option("--projects", default=3, show_default=True, type=click.IntRange(0, 2_000), help="Projects beside the default one.")
@click.option(
    "--months", default=2, show_default=True, type=click.IntRange(0, 36), help="Whole months of traffic before this one."
)
@click.option("--seed", default=7, show_default=True, help="The same seed gives the same organization.")
@click.option(
    "--generation", default=GENERATIONS[-1], show_default=True, type=click.Choice(GENERATIONS), help="Which API to imitate."
)
@click.option(
    "--throttle", type=click.FloatRange(min=0.01), help="Requests a minute for each endpoint family (default: no limit)."
)
@click.option("--propagation", default=0.0, show_default=True, help="Seconds until the data plane learns of a revocation.")
@click.option("--cost-lag", default=8.0, show_default=True, help="Hours that costs stay behind usage.")
@click.option("--admin-key", envvar="GOVERN_FAKE_ADMIN_KEY", help="Value of the admin key (default: a random one, printed).")
@click.option("--state", type=click.Path(dir_okay=False, path_type=Path), help="Keep the organization in this file between runs.")
def fake_openai(
    *,
    host: str,
    port: int,
    people: int,
    projects: int,
    months: int,
    seed: int,
    generation: str,
    throttle: float | None,
    propagation: float,
    cost_lag: float,
    admin_key: str | None,
    state: Path | None,
) -> None:
    """Serve a fake OpenAI organization until interrupted.

    Point a client's base URL at the printed address plus /v1. GET /_control/ on it tells how to move time, add
    spend, accept invites and script faults. Nothing here reaches OpenAI.
    """
    fake = FakeOpenAI(
        WorldSpec(people=people, projects=projects, months=months, seed=seed),
        generation=generation,
        requests_per_minute=throttle,
        propagation_seconds=propagation,
        cost_lag_hours=cost_lag,
        admin_key=admin_key,
        state=state,
    )
    over = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda _number, _frame: over.set())
    try:
        server = serve(fake.app, host, port)
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror}") from None
    # The only key that is ever printed is one that nobody could know otherwise.
    click.echo(server.url if admin_key else f"{server.url} admin key {fake.admin_key}")
    try:
        over.wait()
    finally:
        server.stop()
        fake.close()
