"""Where signed checkpoints go outside: a file, a webhook. (Syslog has a module of its own.)"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from govern.core.crypto import Secret
from govern.core.errors import Unavailable
from govern.notify.webhook import Webhook
from govern.ports import Message, Signed


@dataclass(frozen=True)
class AppendedFile:
    """Appends the lines to a file, and answers once they are on the disk. The file is what `verify --checkpoints` reads.

    It belongs on another machine's disk, or where this account may append and not rewrite.
    """

    path: Path

    def push(self, signed: Signed) -> str:
        """Append. Raises Unavailable."""
        try:
            with os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o640), "r+b", buffering=0) as file:
                _drop_torn_end(file.fileno())
                data = memoryview("".join(signed.lines).encode("utf-8"))
                while data:
                    data = data[file.write(data) or 0 :]
                os.fsync(file.fileno())
        except OSError as error:
            raise Unavailable(f"The file of checkpoints cannot be written: {error.strerror or type(error).__name__}.") from None
        return f"{len(signed.lines)} lines"


def _drop_torn_end(descriptor: int) -> None:
    """A machine that lost its power in the middle of a line never said that the line was kept: it comes again, whole."""
    size = os.fstat(descriptor).st_size
    end = os.pread(descriptor, 64 * 1024, max(0, size - 64 * 1024))
    if end and not end.endswith(b"\n"):
        os.ftruncate(descriptor, size - len(end) + end.rfind(b"\n") + 1)


@dataclass(frozen=True)
class CheckpointHook:
    """Posts the lines as one signed message of the type `audit.checkpoint` (Standard Webhooks)."""

    webhook: Webhook
    address: str = field(repr=False)
    secret: Secret

    def push(self, signed: Signed) -> str:
        """Post. Raises what the webhook raises."""
        facts: dict[str, object] = {"type": "audit.checkpoint", "at": signed.at, "seq": signed.seq, "lines": list(signed.lines)}
        subject = f"The audit log is signed up to event {signed.seq}"
        text = "Keep these lines: they show whether anything in the log was changed or cut off since."
        return self.webhook.send(self.address, Message(signed.id, subject, text, None, facts), secret=self.secret)
