"""govern: know who holds your OpenAI credentials, what they cost, and prove that they are gone."""

from __future__ import annotations

__version__ = "0.1.0"
