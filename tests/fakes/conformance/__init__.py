"""Two judges of the fake organization: the official SDK, which walks every operation, and OpenAI's specification, which reads each answer."""

from __future__ import annotations
