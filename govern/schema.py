"""Every table of the service in one metadata: importing this module imports all models. For migrations and their checks."""

from __future__ import annotations

import importlib
from pathlib import Path

from govern.core import calls, outbox, readings, sealing  # noqa: F401 - their tables
from govern.core.db import Base

for _path in sorted(Path(__file__).parent.glob("*/models.py")):
    importlib.import_module(f"govern.{_path.parent.name}.models")

metadata = Base.metadata
