"""Paths of the admin API: a template and the ids that fill it, so that logs and pacing see the template only."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote


class Path(NamedTuple):
    """`Path("/organization/projects/{}/api_keys", ("proj_1",))`."""

    template: str
    ids: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """The family of calls that shares a rate: the resource, whatever is done to it. `/organization/projects/{}/api_keys`.

        What OpenAI counts together is not published. Reads and deletions of a resource are taken for one, so that a sync leaves
        a removal its reserve.
        """
        return self.template.removesuffix("/{}")

    def filled(self) -> str:
        """The path with its ids, each escaped whole: an id is opaque and must not become a path of its own.

        Raises ValueError for an id that cannot stand in a path.
        """
        if any(id_ in {"", ".", ".."} for id_ in self.ids):
            raise ValueError("An id that is empty or made of dots cannot stand in a path.")
        return self.template.format(*(quote(id_, safe="") for id_ in self.ids))


def path(template: str, *ids: str) -> Path:
    """A path from its template and ids."""
    return Path(template, ids)
