"""Two judges of the fake organization: the official SDK walks every operation, and OpenAI's specification reads each answer."""

from __future__ import annotations
