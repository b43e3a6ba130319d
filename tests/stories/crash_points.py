"""The named crash points, read from the source: a new one is drilled from the day it is written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import govern
from govern.offboarding import rules

MONEY_FLOWS: Final = ("usage.sync", "delivery")
"""Drilled by `test_money_crashes`; everything else by `test_crashes`."""


def points() -> list[str]:
    """Every crash point in the source."""
    found: set[str] = set()
    for path in Path(govern.__file__).parent.rglob("*.py"):
        for is_format, name in re.findall(r'crashpoint\((f?)"([^"]+)"\)', path.read_text()):
            names = [name.replace("{name}", step) for step, _ in rules.STEPS if step != "verify"] if is_format else [name]
            found.update(names)
    return sorted(found)


def flow_of(point: str) -> str:
    """`key.issue.created` → `key.issue`; a removal's points have its step between."""
    return "offboarding" if point.startswith("offboarding.") else point.rpartition(".")[0]
