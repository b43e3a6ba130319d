"""What may be said about an error that nobody expected: enough to find it, nothing that was in hand."""

from __future__ import annotations

import traceback
from pathlib import Path

from govern.core.crypto import redact
from govern.core.errors import GovernError


def sentence(error: BaseException) -> str:
    """For people: our own errors speak for themselves, of others only the kind is shown."""
    if isinstance(error, GovernError):
        return redact(error.sentence)
    return f"Something unexpected went wrong ({type(error).__name__}). The worker's log has more."


def traits(error: BaseException) -> dict[str, str]:
    """For the log: the kind, our own line that it came from, and its message without secrets.

    No traceback and no SQL: both show values. A database error's own text stands in `orig`, without the parameters.
    """
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "govern" in Path(frame.filename).parts]
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
    message = str(getattr(error, "orig", None) or error)
    return {"error": type(error).__name__, "at": where, "message": redact(message)[:300]}
