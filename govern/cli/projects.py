"""Projects as people name them on a command line."""

from __future__ import annotations

from sqlalchemy.orm import Session

from govern.projects import queries


def project_id_of(session: Session, text: str) -> str:
    """The id of the project that is meant by an id of ours or OpenAI's, or by its name. Raises NotFound, InvalidInput."""
    return queries.named(session, text).id
