"""The named crash points, read from the source: a new one is drilled from the day it is written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import govern
from govern.offboarding import rules

MONEY_FLOWS: Final = ("usage.sync", "usage.roll_up", "delivery", "approval.tell", "audit.push")
"""Drilled by `test_money_crashes`; everything else by `test_crashes`."""
PLACEHOLDERS: Final = {
    "name": [step for step, _ in rules.STEPS if step != "verify"],
    "kind": ["observed_key.delete", "service_account.delete", "admin_key.delete"],
}
"""What stands in a name that is put together: a removal's steps, and the kinds of effect that share one handler."""


def points() -> list[str]:
    """Every crash point in the source."""
    found: set[str] = set()
    for path in Path(govern.__file__).parent.rglob("*.py"):
        for name in re.findall(r'crashpoint\(f?"([^"]+)"\)', path.read_text(encoding="utf-8")):
            placed = re.search(r"\{(\w+)\}", name)
            found.update([name.replace(placed[0], word) for word in PLACEHOLDERS[placed[1]]] if placed else [name])
    return sorted(found)


def flow_of(point: str) -> str:
    """`key.issue.created` → `key.issue`; a removal's points have its step between."""
    return "offboarding" if point.startswith("offboarding.") else point.rpartition(".")[0]
