"""Look for a value in what a process holds: its environment, its command line, and every readable page of its memory."""

from __future__ import annotations

import contextlib
from pathlib import Path

_STEP = 1 << 22


def descendants(pid: int) -> list[int]:
    """The process and all that it started."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            found += [each for child in (task / "children").read_text().split() for each in descendants(int(child))]
    return found


def holds(pid: int, needles: list[bytes]) -> list[str]:
    """Where any of the needles is found in this process."""
    found = []
    for name in ("environ", "cmdline"):
        content = Path(f"/proc/{pid}/{name}").read_bytes()
        found += [f"{name} of {pid}" for needle in needles if needle in content]
    longest = max(map(len, needles))
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, access, *_, last = line.split()
            if not access.startswith("r") or last in ("[vvar]", "[vvar_vclock]", "[vsyscall]"):
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            at, carried = start, b""
            with contextlib.suppress(OSError):  # a page that went away meanwhile
                while at < end:
                    memory.seek(at)
                    page = memory.read(min(_STEP, end - at))
                    if not page:
                        break
                    window = carried + page
                    found += [f"memory of {pid} near {at:#x} ({last})" for needle in needles if needle in window]
                    at, carried = at + len(page), window[-longest:]
    return found
