"""`govern web`: gunicorn in place of this process, without the admin key."""

from __future__ import annotations

import os
import socket
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from govern.core.errors import Conflict, InvalidInput
from govern.settings import ADMIN_KEY_VARIABLES, CONFIG_VARIABLE, DEFAULT_CONFIG, Settings, load_settings

if TYPE_CHECKING:
    from flask import Flask

WITHHELD: Final = (*ADMIN_KEY_VARIABLES, "GOVERN_FAKE_ADMIN_KEY")
"""Variables that the web process never gets."""


@click.command()
@click.option("--host", help="Address to listen on (web.host).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (web.port).")
def web(host: str | None, port: int | None) -> None:
    """Serve the dashboard and the REST API.

    The world can reach this process, so it never has the admin key: `govern worker` alone talks to OpenAI.
    """
    from govern.cli.host import check_ready, opened

    refuse_key_in_config()
    with opened() as govern:
        check_ready(govern)
        settings = govern.settings
    host, port = host or settings.web.host, settings.web.port if port is None else port
    check_free(host, port)
    command = gunicorn(settings, host, port)
    sys.stdout.flush()
    # A new image, not a fork: memory of this process, whatever it has seen of the environment, does not go along.
    os.execve(command[0], command, web_environment(os.environ))  # noqa: S606


def web_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what the web process must not have."""
    return {name: value for name, value in environment.items() if name not in WITHHELD}


def refuse_key_in_config() -> None:
    """Raise InvalidInput when the admin key itself stands in the configuration file, which the web process reads."""
    path = Path(os.environ.get(CONFIG_VARIABLE, DEFAULT_CONFIG))
    if path.is_file() and "admin_key" in tomllib.loads(path.read_text(encoding="utf-8")).get("openai", {}):
        raise InvalidInput(
            f"{path} holds the admin key, and the web process reads that file. Put the key into a file of its own "
            "and write `admin_key_file` instead (see docs/connect.md)."
        )


def check_free(host: str, port: int) -> None:
    """Raise Conflict when somebody listens there already; gunicorn would try for five seconds and then say it less clearly."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError:
            raise Conflict(f"This account may not listen on port {port}. Choose one above 1023.") from None
        except OSError as error:
            raise Conflict(f"Port {port} on {host} cannot be used: {error.strerror}. Choose another with --port.") from None


def gunicorn(settings: Settings, host: str, port: int) -> list[str]:
    """The command that serves. Threads, because requests wait for the worker to settle what they asked for."""
    bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    command = [
        sys.executable, "-m", "gunicorn", "govern.cli.web:application()", "--bind", bind, "--worker-class", "gthread",
        "--workers", str(settings.web.workers), "--threads", str(settings.web.threads), "--timeout", "60",
        "--graceful-timeout", "25", "--keep-alive", "15", "--no-control-socket", "--log-level", "warning",
        "--name", "govern web",
    ]  # fmt: skip
    # Workers touch a file to show that they live; on a slow disk that can block long enough to be killed for it.
    return [*command, "--worker-tmp-dir", "/dev/shm"] if Path("/dev/shm").is_dir() else command  # noqa: S108


def application() -> Flask:
    """The WSGI application, made in each gunicorn worker."""
    from govern.bootstrap import build
    from govern.cli.logs import configure
    from govern.web.app import create_app

    configure()
    app: Flask = create_app(build(load_settings(without_admin_key=True)))
    return app
