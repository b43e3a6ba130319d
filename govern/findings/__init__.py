"""Findings: what exists at OpenAI that should not, whom it concerns, what it costs, and what ends it."""
