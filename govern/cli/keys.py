"""`govern keys`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import timedelta

import click
from sqlalchemy.orm import Session

from govern.approvals.models import Approval
from govern.bootstrap import Govern, key_defaults
from govern.cli import host, output, telling
from govern.cli.projects import project_id_of
from govern.cli.waiting import carried_out
from govern.core.crypto import Secret
from govern.core.errors import Conflict, Rejected
from govern.keys import freezing, leaks, queries, reveals, rotation, rules, service, sharing
from govern.keys.models import ENDED_STATES, Freeze, FreezeState, Key, KeyState, LeakRemedy, LeakState
from govern.people import queries as people
from govern.policies import asking, renewing
from govern.projects import queries as projects


@click.group()
def keys() -> None:
    """List, issue, reveal and revoke keys."""


@keys.command("list")
@click.option("--person", metavar="ID-OR-EMAIL", help="Only this person's.")
@click.option("--project", help="Only this project's (id or name).")
@click.option("--state", type=click.Choice([state.value for state in KeyState]), help="Only keys in this state.")
@click.option("--limit", type=click.IntRange(1, 5000), default=200, show_default=True)
@host.as_json
def list_keys(person: str | None, project: str | None, state: str | None, limit: int, as_json: bool) -> None:
    """Keys that this service issued, newest first."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        found = queries.find_keys(
            session,
            limit=limit,
            person_id=people.get(session, person).id if person else None,
            project_id=project_id_of(session, project) if project else None,
            state=KeyState(state) if state else None,
        )
        rows = _rows(session, found)
    columns = {
        "id": "Key", "name": "Name", "person": "Person", "project": "Project", "state": "State", "redacted": "Value",
        "expires_at": "Expires (UTC)", "problem": "Problem",
    }  # fmt: skip
    output.show(rows, columns, as_json=as_json, empty="No keys have been issued yet.")


@keys.command()
@click.argument("person", metavar="ID-OR-EMAIL")
@click.argument("project")
@click.option("--name", required=True, help="What the key is for.")
@click.option("--days", type=click.IntRange(1, 365), help="How long it lives (keys.expires_in_days).")
@click.option("--scope", "scopes", multiple=True, metavar="PERMISSION", help="What it may do; all that the policy allows.")
@click.option("--reason", help="Why. With it, what is beyond the policy is asked of somebody else.")
@host.as_json
def issue(
    person: str, project: str, *, name: str, days: int | None, scopes: tuple[str, ...], reason: str | None, as_json: bool
) -> None:
    """Issue a key for a person in PROJECT (id or name). They open its value once, in the dashboard.

    Beyond the policy it needs a --reason: then somebody else is asked to approve it.
    """
    with host.opened() as govern:
        with govern.unit_of_work(host.host_actor()) as uow:
            holder = people.get(uow.session, person)
            wish = asking.Wish(
                holder.id, project_id_of(uow.session, project), name, days=days,
                scopes=rules.read_wish(scopes) if scopes else None,
            )  # fmt: skip
            key = asking.ask_for_key(uow, wish, key_defaults(govern.settings), administers=True, reason=reason)
        if isinstance(key, Approval):
            asked = {"approval": key.id, "state": key.state, "beyond": key.facts["beyond"], "expires_at": key.expires_at}
            output.show_one(
                asked, as_json=as_json, sentence=f"Asked; waiting for approval ({key.id}). {' '.join(asked['beyond'])}"
            )
            return
        done = carried_out(govern, lambda session: queries.get(session, key.id).state is not KeyState.REQUESTED)
        row = _row(govern, key.id)
        if done and row["state"] is not KeyState.LIVE:
            raise Rejected(f"OpenAI refused to make the key. {row['problem'] or ''}".strip())
        sentence = f"{key.id} is live. {holder.name} opens its value once at {govern.settings.web.url}."
    output.show_one(row, as_json=as_json, sentence=sentence if done else f"{key.id} is promised and being made.")


@keys.command()
@click.argument("key_id", metavar="KEY")
def reveal(key_id: str) -> None:
    """Print the value of a key that you issued from this host. Once: then it is destroyed here."""
    with host.opened() as govern, govern.unit_of_work(host.host_actor()) as uow:
        value = reveals.reveal(uow, key_id, repeat_key=None, window=timedelta(0))
    print(value.reveal())


@keys.command()
@click.argument("key_id", metavar="KEY")
@click.option("--reason", required=True, help="Why; it stands in the audit log.")
@host.as_json
def revoke(key_id: str, reason: str, as_json: bool) -> None:
    """End a key. Repeating it does no harm."""
    with host.opened() as govern:
        with govern.unit_of_work(host.host_actor()) as uow:
            service.revoke_key(uow, key_id, reason=reason)
        done = carried_out(govern, lambda session: queries.get(session, key_id).state in ENDED_STATES)
        row = _row(govern, key_id)
    pending = f"{key_id} is contained; its end at OpenAI is under way and not proven yet."
    output.show_one(row, as_json=as_json, sentence=f"{key_id} is revoked, and proven absent." if done else pending)


@keys.command()
@click.argument("key_ids", metavar="KEY...", nargs=-1, required=True)
@click.option("--reason", required=True, help="Why; it stands in the audit log.")
@click.option("--overlap-hours", type=click.IntRange(0, 720), help="How long the old version works on (keys.overlap_hours).")
@host.as_json
def rotate(key_ids: tuple[str, ...], reason: str, overlap_hours: int | None, as_json: bool) -> None:
    """Replace keys by new versions, with an overlap. One that cannot be rotated does not stop the others."""
    with host.opened() as govern:
        overlap = timedelta(hours=govern.settings.keys.overlap_hours if overlap_hours is None else overlap_hours)
        with govern.unit_of_work(host.host_actor()) as uow:
            outcomes = rotation.rotate_many(uow, key_ids, reason=reason, overlap=overlap)
        rotating = [key_id for key_id, problem in outcomes.items() if problem is None]
        carried_out(govern, lambda session: not any(_is_being_made(session, key_id) for key_id in rotating))
    rows = [{"id": key_id, "rotating": problem is None, "problem": problem} for key_id, problem in outcomes.items()]
    output.show(rows, {"id": "Key", "rotating": "Rotating", "problem": "Why not"}, as_json=as_json, empty="No keys.")
    if len(rotating) < len(outcomes):
        raise Conflict(f"{len(outcomes) - len(rotating)} of {len(outcomes)} keys could not be rotated.")


@keys.command()
@click.argument("key_id", metavar="KEY")
@click.option("--days", type=click.IntRange(1, 365), help="How long the new version lives (as long as the old one did).")
@click.option("--overlap-hours", type=click.IntRange(0, 720), help="How long the old version works on (keys.overlap_hours).")
@host.as_json
def renew(key_id: str, days: int | None, overlap_hours: int | None, as_json: bool) -> None:
    """Give a key a new term: a new version, with a value of its own. The old one ends when the new one is in use."""
    with host.opened() as govern:
        overlap = timedelta(hours=govern.settings.keys.overlap_hours if overlap_hours is None else overlap_hours)
        defaults = key_defaults(govern.settings)
        with govern.unit_of_work(host.host_actor()) as uow:
            renewing.renew(uow, key_id, defaults, administers=True, overlap=overlap, days=days)
        done = carried_out(govern, lambda session: not _is_being_made(session, key_id))
        row = _row(govern, key_id)
        where = f"Its people open the new value once at {govern.settings.web.url}/keys/{key_id}."
    output.show_one(row, as_json=as_json, sentence=where if done else f"The new version of {key_id} is being made.")


@keys.command()
@click.argument("key_id", metavar="KEY")
@click.argument("person", metavar="ID-OR-EMAIL")
@click.option("--end", is_flag=True, help="Take it back instead.")
def entitle(key_id: str, person: str, end: bool) -> None:
    """Let a person open a shared key, once per version."""
    with host.opened() as govern, govern.unit_of_work(host.host_actor()) as uow:
        whom = people.get(uow.session, person)
        (sharing.disentitle if end else sharing.entitle)(uow, key_id, whom.id)
    print(f"{whom.name} can no longer open {key_id}." if end else f"{whom.name} may open {key_id}.")


@keys.command()
@click.argument("native", metavar="KEY")
@click.option("--reason", required=True, help="Why; it stands in the audit log.")
def freeze(native: str, reason: str) -> None:
    """Stop a key without ending it. KEY is the id of a key of ours, or OpenAI's id of any key that it lists."""
    with host.opened() as govern:
        generation = govern.settings.openai.generation
        with govern.unit_of_work(host.host_actor()) as uow:
            if uow.session.get(Key, native) is not None:
                freezing.freeze_key(uow, native, reason=reason, generation=generation)
            else:
                observed = queries.observed_key(uow.session, native)
                freezing.freeze_observed(uow, observed.id, reason=reason, generation=generation)
        print(_standing(govern, native, "frozen"))


@keys.command()
@click.argument("native", metavar="KEY")
@click.option("--reason", required=True, help="Why; it stands in the audit log.")
@click.option("--restore", multiple=True, metavar="PERMISSION", help='Where nobody knows what it might do: names, or "all".')
def thaw(native: str, reason: str, restore: tuple[str, ...]) -> None:
    """Let a frozen key go on, exactly as before."""
    with host.opened() as govern:
        with govern.unit_of_work(host.host_actor()) as uow:
            lasting = _lasting(uow.session, native)
            if not lasting:
                raise Conflict("The key is not frozen.")
            for each in lasting:
                freezing.thaw(uow, each.id, reason=reason, restore=restore or None)
        print(_standing(govern, native, "thawed"))


@keys.command()
@click.option("--remedy", type=click.Choice([word.value for word in LeakRemedy]), default="revoke", show_default=True)
@click.option("--successor", is_flag=True, help="Issue a new version in its place, if it is ours.")
def leaked(remedy: str, successor: bool) -> None:
    """Find and stop a key that got out. It is read from standard input, never from the command line."""
    typed = click.prompt("The key", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.readline()
    value = Secret(typed.strip())
    with host.opened() as govern:
        settings = govern.settings
        with govern.unit_of_work(host.host_actor()) as uow:
            row = leaks.report(
                uow, value, remedy=LeakRemedy(remedy), successor=successor,
                overlap=timedelta(hours=settings.keys.overlap_hours), generation=settings.openai.generation,
            )  # fmt: skip
        carried_out(govern, lambda session: queries.leak_report(session, row.id).state is not LeakState.SEARCHING)
        with govern.unit_of_work.reading() as session:
            found = queries.leak_report(session, row.id)
    owner = f"Owner: {found.owner}. " if found.owner else ""
    print(f"{owner}{found.outcome or 'OpenAI is being asked whose it is.'} ({found.id})")


telling.enter(keys, "reminders", "KEY-ID", lambda session, key_id: queries.get(session, key_id).id)


def _lasting(session: Session, native: str) -> Sequence[Freeze]:
    if session.get(Key, native) is not None:
        return queries.open_freezes(session, native)
    lasting = queries.open_freeze(session, queries.observed_key(session, native).remote_id)
    return [lasting] if lasting else []


def _standing(govern: Govern, native: str, done: str) -> str:
    """Wait for OpenAI, then say how it stands. Raises Rejected with OpenAI's sentence."""
    moving = (FreezeState.FREEZING, FreezeState.THAWING)
    settled = carried_out(govern, lambda session: not any(row.state in moving for row in _lasting(session, native)))
    with govern.unit_of_work.reading() as session:
        ours = session.get(Key, native)
        remote_id = "" if ours else queries.observed_key(session, native).remote_id
        newest = (queries.freezes_of(session, native) if ours else queries.freezes_of_native(session, remote_id))[-1]
    if newest.problem:
        raise Rejected(newest.problem)
    return f"{native} is {done}." if settled else f"{native} will be {done}; OpenAI is being asked."


def _is_being_made(session: Session, key_id: str) -> bool:
    return queries.newest_version(session, key_id).state is KeyState.REQUESTED


def _row(govern: Govern, key_id: str) -> dict[str, object]:
    with govern.unit_of_work.reading() as session:
        return _rows(session, [queries.get(session, key_id)])[0]


def _rows(session: Session, listed: Sequence[Key]) -> list[dict[str, object]]:
    versions = queries.versions(session, [key.id for key in listed])
    holders = people.names(session, [key.person_id for key in listed])
    places = projects.names(session, [key.project_id for key in listed])
    return [
        {
            "id": key.id, "name": key.name, "person_id": key.person_id, "person": holders.get(key.person_id),
            "project_id": key.project_id, "project": places.get(key.project_id), "state": key.state,
            "redacted": versions[key.id].redacted, "scopes": rules.scopes_of(versions[key.id]),
            "expires_at": versions[key.id].expires_at,
            "revealed_at": versions[key.id].revealed_at, "problem": key.problem,
        }
        for key in listed
    ]  # fmt: skip
