"""Things inside a project that may be archived meanwhile.

An archived project has no members and no service accounts, its keys are dead, and OpenAI answers 400 to questions about them.
Whether that is the reason for a 400 is asked of the project itself: error texts change, and taking any 400 for "nothing there"
would turn a mistake into a false proof.
"""

from __future__ import annotations

from govern.core.errors import Missing, Rejected
from govern.openai import fields
from govern.openai.client import OpenAIClient, Query
from govern.openai.fields import Fields
from govern.openai.paths import Path, path


def listing(client: OpenAIClient, template: str, project_id: str, query: Query = ()) -> list[Fields]:
    """Every item of a project's list; an archived project has none."""
    try:
        return client.listing(path(template, project_id), query)
    except Rejected as error:
        if error.status == 400 and is_archived(client, project_id):
            return []
        raise


def end(client: OpenAIClient, where: Path) -> None:
    """Delete something of a project (its id is the first of the path). Gone already, or gone with the project, is success."""
    try:
        client.delete(where)
    except Missing:
        return
    except Rejected as error:
        if error.status == 400 and is_archived(client, where.ids[0]):
            return
        raise


def is_archived(client: OpenAIClient, project_id: str) -> bool:
    """Whether the project itself says that it is archived."""
    project = client.get(path("/organization/projects/{}", project_id))
    return fields.maybe_instant(project, "archived_at") is not None or project.get("status") == "archived"
