"""Notices: what people are told once, by mail or webhook, with a receipt per address."""
