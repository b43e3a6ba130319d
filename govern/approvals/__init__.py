"""Approvals: what one person asked for and somebody else decides; the decision and the act are one transaction."""
