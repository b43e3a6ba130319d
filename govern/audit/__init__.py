"""What was done, by whom, when: append-only rows, chained by a keyed hash."""
