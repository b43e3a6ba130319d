"""Who may hold and see a key: pure decisions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

from govern.core.errors import Conflict, InvalidInput, NotAllowed, PolicyViolation
from govern.core.uow import Actor
from govern.keys.models import Key, KeyState, KeyVersion
from govern.people.models import Person, PersonState
from govern.ports import ALL_SCOPES, Scopes, read_scopes
from govern.projects.models import Project

LONGEST: Final = timedelta(days=365)  # OpenAI's own limit for an expiry: 31,536,000 seconds


def check_may_hold(person: Person, project: Project, *, held: int, most_per_person: int) -> None:
    """Raise PolicyViolation if this person may not be given a key in this project."""
    if person.state is not PersonState.ACTIVE:
        why = "is suspended" if person.state is PersonState.SUSPENDED else "is being removed or has left"
        raise PolicyViolation(f"{person.name} {why}, and cannot be given a key.", "person_active")
    if project.archived_at is not None or project.vanished_at is not None:
        raise PolicyViolation(f"The project {project.name} is archived; choose another.", "project_open")
    if project.is_default:
        raise PolicyViolation("OpenAI does not allow service accounts in the default project; choose another.", "not_default")
    if held >= most_per_person:
        raise PolicyViolation(
            f"{person.name} holds {held} keys and the most per person is {most_per_person}. Revoke one first.", "most_per_person"
        )


def check_lifetime(lifetime: timedelta) -> None:
    """Raise InvalidInput unless it is between one second and OpenAI's longest."""
    if not timedelta(seconds=1) <= lifetime <= LONGEST:
        raise InvalidInput("A key lives between 1 and 365 days.", {"expires_in_days": "Choose 1 to 365."})


def check_name(name: str) -> str:
    """The name trimmed. Raises InvalidInput."""
    name = name.strip()
    if not 1 <= len(name) <= 120 or not name.isprintable():
        raise InvalidInput("A key needs a name of 1 to 120 characters.", {"name": "Write 1 to 120 printable characters."})
    return name


def check_rotation(every_days: int | None, lifetime: timedelta) -> None:
    """Raise InvalidInput for an interval that a version does not live to see."""
    if every_days is not None and not timedelta(days=1) <= timedelta(days=every_days) < lifetime:
        raise InvalidInput(
            "A key is rotated after at least a day and before it expires.", {"rotate_every_days": "Choose less than its life."}
        )


CANNOT_NARROW: Final = (
    "This organization's API (generation 2026-08) cannot narrow a key. Ask for one that may do everything (“all”), "
    "or wait until the organization has the newer generation (2026-11)."
)


def read_wish(words: Sequence[str]) -> Scopes:
    """The permissions that these words name, or all of them by the one word "all". Raises InvalidInput, also for none."""
    chosen = tuple(dict.fromkeys(words))
    if chosen == (ALL_SCOPES,):
        return ALL_SCOPES
    if not chosen or len(chosen) > 50 or ALL_SCOPES in chosen or not all(_is_scope(word) for word in chosen):
        raise InvalidInput(
            "Permissions are names such as api.responses.write; “all” stands alone.", {"scopes": "Names, or the one word all."}
        )
    return chosen


def _is_scope(word: str) -> bool:
    return 3 <= len(word) <= 100 and "." in word and word.isascii() and word.replace(".", "").replace("_", "").isalnum()


def scopes_of(version: KeyVersion) -> Scopes:
    """What the version may do by our record."""
    return read_scopes(version.scopes) or ALL_SCOPES


def check_may_narrow(scopes: Scopes, generation: str) -> None:
    """Raise Conflict where the organization's API cannot make a key that may do these things only."""
    if scopes != ALL_SCOPES and generation == "2026-08":
        raise Conflict(CANNOT_NARROW)


def check_may_rotate(key: Key, open_versions: Sequence[KeyVersion]) -> None:
    """Raise Conflict unless the key lives with exactly one version: never more than two at a time."""
    if key.state is not KeyState.LIVE:
        raise Conflict(f"The key is {key.state.value}; only a live key is rotated.")
    if len(open_versions) > 1:
        raise Conflict("The key is being rotated already; its old version still works.")


def reminder_step(days: Collection[int], issued_at: datetime, expires_at: datetime, now: datetime) -> int | None:
    """Before how many days' end to remind now, None: not yet, or no more.

    The nearest step counts, so that who was away gets one mail and not three; a step that was over already when the key was
    made is none: nobody needs to be told of a week's key on its first day.
    """
    steps = [step for step in days if issued_at < expires_at - timedelta(days=step) <= now < expires_at]
    return min(steps, default=None)


def check_may_reveal(key: Key, actor: Actor, entitled: Collection[str]) -> None:
    """Only those whom it is for, and whoever asked for it, may see the value. Raises NotAllowed."""
    if actor.id not in {key.person_id, key.requested_by, *entitled}:
        raise NotAllowed("Only the people the key is for, or whoever asked for it, can see its value.")
