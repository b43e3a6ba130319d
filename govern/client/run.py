"""Run a program with the key in its environment, and nowhere else."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn

from govern.client.trouble import Trouble
from govern.client.vault import Secret

VARIABLE: Final = "OPENAI_API_KEY"
NOT_FOUND, NOT_RUNNABLE = 127, 126


def run(command: Sequence[str], key: Secret, environment: Mapping[str, str]) -> NoReturn:
    """Become the program: its signals, its terminal and its exit code are its own. Raises Trouble when it cannot be started.

    The key goes by the environment of the new image. A command line would show it to everybody on the machine.
    """
    given = {**environment, VARIABLE: key.reveal()}
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        if sys.platform == "win32":
            _wait_for(command, given)  # there, exec would return to the shell at once
        os.execvpe(command[0], list(command), given)  # noqa: S606 - the person's own program, without a shell
    except FileNotFoundError:
        raise Trouble(f"There is no program “{command[0]}”.", NOT_FOUND) from None
    except OSError as error:
        raise Trouble(f"“{command[0]}” cannot be run: {error.strerror}.", NOT_RUNNABLE) from None


def _wait_for(command: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    import subprocess

    with subprocess.Popen(list(command), env=dict(environment)) as child:  # noqa: S603 - the person's own program
        while True:
            try:
                sys.exit(child.wait())
            except KeyboardInterrupt:  # the program got it too, and decides
                continue
