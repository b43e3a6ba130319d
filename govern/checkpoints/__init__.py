"""Signed checkpoints of the audit log: what anybody can check without the ring, and what shows that a tail was cut."""
