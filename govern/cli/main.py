"""The `govern` command: commands loaded when used, errors as sentences, exit codes that scripts can rely on."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Mapping
from typing import Final, NoReturn

import click

from govern import __version__

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "approvals": ("govern.cli.approvals:approvals", "List and decide what waits for an approval."),
    "audit": ("govern.cli.audit:audit", "Verify and read the audit log."),
    "batches": ("govern.cli.batches:batches", "See lists of people that were removed or invited together."),
    "alerts": ("govern.cli.alerts:alerts", "Thresholds that were reached: acknowledge, snooze, assign."),
    "budgets": ("govern.cli.budgets:budgets", "List, create and retire budgets; see alerts."),
    "costs": ("govern.cli.report:costs", "Dollars, billed and estimated, by any groups."),
    "db": ("govern.cli.database:db", "Bring the database to the newest schema, or check it."),
    "demo": ("govern.cli.demo:demo", "Try everything on this machine, with an invented organization."),
    "devices": ("govern.cli.devices:devices", "List and end the command lines that act for people."),
    "doctor": ("govern.cli.doctor:doctor", "Look for what is wrong and say what to do about it."),
    "evidence": ("govern.cli.evidence:evidence", "Get and check the signed evidence of removals."),
    "fake-openai": ("govern.cli.fake_openai:fake_openai", "Serve an invented OpenAI organization for tests and demos."),
    "findings": ("govern.cli.findings:findings", "List what should not be; fix, accept or assign it."),
    "init": ("govern.cli.init:init", "Make a sealing key, or a one-time link for the first administrator."),
    "inventory": ("govern.cli.inventory:inventory", "See everything at OpenAI that spends or administers, and its log."),
    "jobs": ("govern.cli.jobs:jobs", "See the timetable and its runs; run a job now."),
    "key": ("govern.client.commands:key", "Fetch, see, rotate and return your own keys on this machine."),
    "keys": ("govern.cli.keys:keys", "List, issue, reveal and revoke keys."),
    "login": ("govern.client.commands:login", "Sign in on this machine, to fetch your own key."),
    "logout": ("govern.client.commands:logout", "Sign this machine out."),
    "members": ("govern.cli.members:members", "List, invite and revoke members."),
    "people": ("govern.cli.people:people", "See people and keep the directory: import, export, end dates."),
    "report": ("govern.cli.report:report", "Chargeback, movers, the estimate against the bill, FOCUS, history."),
    "policies": ("govern.cli.policies:policies", "See and set what keys may be without approval."),
    "run": ("govern.client.commands:run", "Run a program with your key in its environment, and nowhere else."),
    "sync": ("govern.cli.sync:sync", "Pull the directory, usage and costs now."),
    "token": ("govern.cli.token:token", "Create, list and revoke API tokens."),
    "usage": ("govern.cli.report:usage", "Requests and tokens, by any groups."),
    "web": ("govern.cli.web:web", "Serve the dashboard and the REST API."),
    "worker": ("govern.cli.worker:worker", "Run the timetable and carry out what is owed to OpenAI."),
}
"""Command → where it is, and its line in the help. The line stands here so that `--help` loads no command."""

SERVERS: Final = ("web", "worker")
"""These log what they do. The others speak to the person who called them, and log only what is wrong."""

EXIT_CODES: Final[Mapping[str, int]] = {
    "InvalidInput": 2,
    "NotAuthenticated": 3,
    "NotAllowed": 3,
    "NotFound": 4,
    "Conflict": 4,
    "Gone": 4,
    "PolicyViolation": 5,
    "ProviderError": 6,
}
"""Error → exit code; a kind of it has the same. 1 is anything unexpected, 130 is Ctrl-C."""


class Commands(click.Group):
    """A group that imports a command when it is called, so that `govern --help` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        # The thin client logs nothing, and nothing of the server is imported for it.
        if ctx.obj and ctx.obj.get("own_process") and not module.startswith("govern.client"):
            from govern.cli.logs import configure

            configure(logging.INFO if cmd_name in SERVERS else logging.WARNING)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in sorted(COMMANDS.items())])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="govern")
def cli() -> None:
    """Know who holds your OpenAI credentials, what they cost, and prove that they are gone.

    Settings come from config/govern.toml (or the file that GOVERN_CONFIG names) and from GOVERN_… variables.

    Exit codes: 0 done, 1 something unexpected, 2 input or settings, 3 not allowed, 4 not found or not possible now,
    5 a policy forbids it, 6 OpenAI did not do it, 7 a plan has changes to make, 130 interrupted.
    """


def main() -> NoReturn:
    """Run the command line and exit. No traceback is ever shown: it could hold what nobody should see."""
    sys.exit(run(sys.argv[1:], own_process=True))


def run(arguments: list[str], *, own_process: bool = False) -> int:
    """Run one command line; the exit code. `own_process`: logging is ours to set up."""
    try:
        answer = cli.main(arguments, prog_name="govern", standalone_mode=False, obj={"own_process": own_process})
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        return 130
    except BrokenPipeError:  # the reader of a pipe had enough
        sys.stderr.close()
        return 0
    except Exception as error:
        return _explain(error)
    return answer if isinstance(answer, int) else 0


def _explain(error: Exception) -> int:
    from govern.core.errors import GovernError, InvalidInput

    if isinstance(error, GovernError):
        click.secho(error.sentence, err=True, fg="red")
        if isinstance(error, InvalidInput):
            for field, sentence in error.fields.items():
                if sentence not in error.sentence:
                    click.echo(f"  {field}: {sentence}", err=True)
        return next((EXIT_CODES[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in EXIT_CODES), 1)
    from govern.cli.faults import unexpected

    click.secho(unexpected(error), err=True, fg="red")
    return 1
