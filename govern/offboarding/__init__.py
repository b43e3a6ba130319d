"""Removing a person from the organization: contained at once, then ended step by step, then proven."""
