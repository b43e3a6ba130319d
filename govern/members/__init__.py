"""Members (seats in the organization) and invites (seats offered)."""
