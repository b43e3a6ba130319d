"""The run ledger: which job ran in which slot, what it reported, and which workers are alive."""
