"""The command itself: quick help, sentences instead of tracebacks, exit codes that scripts rely on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from govern.cli import main
from govern.core import errors
from tests.cli.conftest import Govern


def test_help_loads_no_command_and_none_of_what_they_stand_on() -> None:
    program = (
        "import sys\nfrom govern.cli.main import run\ncode = run(['--help'])\n"
        "heavy = {'sqlalchemy', 'flask', 'httpx', 'rich', 'pydantic', 'alembic', 'cryptography'} & set(sys.modules)\n"
        "print(code, sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
    for name in main.COMMANDS:
        assert f"  {name}" in done.stdout


def test_every_command_can_be_loaded_and_explains_itself() -> None:
    context = click.Context(main.cli)
    for name, (_, line) in main.COMMANDS.items():
        command = main.cli.get_command(context, name)
        assert command is not None
        assert command.help
        assert line.endswith(".")
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{name} {parameter.opts[0]} says nothing"


def test_every_error_has_an_exit_code() -> None:
    codes = {
        errors.InvalidInput("no"): 2, errors.NotAuthenticated("no"): 3, errors.NotAllowed("no"): 3, errors.NotFound("no"): 4,
        errors.Conflict("no"): 4, errors.Gone("no"): 4, errors.PolicyViolation("no", "rule"): 5, errors.Unavailable("no"): 6,
        errors.Throttled("no"): 6, errors.Rejected("no"): 6, errors.Missing("no"): 6, errors.CredentialRefused("no"): 6,
        RuntimeError("no"): 1,
    }  # fmt: skip
    for error, code in codes.items():
        assert main._explain(error) == code


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        ("keys revoke key_nobody --reason test", 4, "There is no key 'key_nobody'."),
        ("members invite not-an-address", 2, "address"),
        ("members show", 2, "No such command"),
        ("keys issue", 2, "Missing argument"),
        ("jobs run mine.bitcoin", 2, "is not one of"),
        ("budgets create all --usd lots", 2, "not an amount of dollars"),
        ("sync everything", 2, "is not one of"),
    ],
)
def test_faults_are_sentences(command: Govern, line: str, code: int, sentence: str) -> None:
    answer = command(line)
    assert answer.code == code
    assert sentence in answer.err


def test_a_misspelt_setting_stops_every_command(command: Govern, host: pytest.MonkeyPatch) -> None:
    host.setenv("GOVERN_SEALING_KEY", "x")
    answer = command("keys list")
    assert answer.code == 2
    assert "sealing" in answer.err.lower()


def test_an_empty_database_says_what_to_run(command: Govern, host: pytest.MonkeyPatch, tmp_path: Path) -> None:
    host.setenv("GOVERN_DATABASE_URL", f"sqlite:///{tmp_path}/empty.db")
    for line in ("keys list", "jobs list", "worker", "init --admin ada@acme.example"):
        answer = command(line)
        assert answer.code in (1, 4), line
        assert "govern db upgrade" in answer.err, line


def test_a_database_that_is_away_says_so(command: Govern, host: pytest.MonkeyPatch) -> None:
    host.setenv("GOVERN_DATABASE_URL", "postgresql://govern:hunter2@127.0.0.1:1/govern")
    answer = command("keys list")
    assert answer.code == 1
    assert "does not answer" in answer.err
    assert "hunter2" not in answer.err
