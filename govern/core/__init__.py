"""What every slice stands on: clock, ids, crypto, database, errors, unit of work, outbox. Knows nothing of the trade."""
