"""What goes wrong, as a sentence and an exit code. The codes are those of every other command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import click

INPUT, NOT_ALLOWED, NOT_POSSIBLE, POLICY, OUTSIDE = 2, 3, 4, 5, 6

_BY_CODE: Final[Mapping[str, int]] = {"policy_violation": POLICY}
_BY_STATUS: Final[Mapping[int, int]] = {
    401: NOT_ALLOWED,
    403: NOT_ALLOWED,
    404: NOT_POSSIBLE,
    409: NOT_POSSIBLE,
    410: NOT_POSSIBLE,
}


class Trouble(click.ClickException):
    """Ends the command. `code` is the server's word for it, where it came from there."""

    def __init__(self, sentence: str, exit_code: int, *, code: str | None = None) -> None:
        super().__init__(plain(sentence))
        self.exit_code = exit_code  # type: ignore[misc]
        self.code = code

    def show(self, file: object = None) -> None:
        click.secho(self.message, err=True, fg="red")


class Unreachable(Trouble):
    """The server did not answer. Whether it did what was asked is unknown."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, OUTSIDE)


class SignedOut(Trouble):
    """Nobody is signed in here (any more)."""

    def __init__(self, sentence: str = "You are not signed in. Run `govern login`.") -> None:
        super().__init__(sentence, NOT_ALLOWED)


def refused(status: int, code: str, sentence: str) -> Trouble:
    """What the server said no to."""
    exit_code = _BY_CODE.get(code) or _BY_STATUS.get(status) or (OUTSIDE if status >= 500 or status == 429 else INPUT)
    return Trouble(sentence or f"The server refused (status {status}).", exit_code, code=code)


def plain(text: str) -> str:
    """The text without anything that a terminal would obey: what a server says is somebody else's word."""
    return "".join(char if char.isprintable() or char == "\n" else "�" for char in text)
