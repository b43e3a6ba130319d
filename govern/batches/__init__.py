"""Batches: many people at once, removed or invited, with an outcome for each."""
