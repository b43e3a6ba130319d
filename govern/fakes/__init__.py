"""Stand-ins for the outside world: real servers that keep state, refuse what the real ones refuse, and can be told to fail."""

from __future__ import annotations
