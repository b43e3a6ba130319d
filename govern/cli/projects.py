"""Projects as people name them on a command line."""

from __future__ import annotations

from sqlalchemy.orm import Session

from govern.core.errors import InvalidInput
from govern.projects import queries


def project_id_of(session: Session, text: str) -> str:
    """The id of the project that is meant by an id of ours or OpenAI's, or by its name. Raises NotFound, InvalidInput."""
    if queries.find(session, text) is None:
        named = [project for project in queries.open_projects(session) if project.name.casefold() == text.strip().casefold()]
        if len(named) > 1:
            raise InvalidInput(f"Several projects are named {text!r}. Say which by its id: {', '.join(p.id for p in named)}.")
        if named:
            return named[0].id
    return queries.get(session, text).id
