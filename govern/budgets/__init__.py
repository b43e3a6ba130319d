"""Budgets: a limit per window and scope, alerts when its thresholds are crossed, and their delivery with receipts."""
