"""Budgets: a limit per month and scope, alerts when its thresholds are crossed, and their delivery with receipts."""
