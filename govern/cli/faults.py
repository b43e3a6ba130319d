"""Sentences for errors that are not our own."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

from govern.worker.faults import traits


def unexpected(error: Exception) -> str:
    """A sentence with what to do, where that is known; else enough for a bug report, and nothing that was in hand."""
    if isinstance(error, DBAPIError):
        text = str(error.orig)
        if "no such table" in text or "no such column" in text or "does not exist" in text:
            return "The database is not at the schema that this release needs. Run `govern db upgrade`."
        if "unable to open database file" in text:
            return "The database file cannot be opened. Check GOVERN_DATABASE_URL and that its folder exists and is writable."
        if "locked" in text:
            return "The database is busy: another process has been writing for too long. Try again."
        if error.connection_invalidated or "connect" in text.lower():
            return "The database does not answer. Check GOVERN_DATABASE_URL and that the server runs; `govern doctor` says more."
    found = traits(error)
    return f"Something unexpected went wrong: {found['error']} at {found['at']}. {found['message']}"
