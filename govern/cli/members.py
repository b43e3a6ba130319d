"""`govern members`."""

from __future__ import annotations

from dataclasses import asdict

import click
from sqlalchemy.orm import Session

from govern.bootstrap import Govern
from govern.cli import batches, host, output
from govern.cli.projects import project_id_of
from govern.cli.waiting import carried_out
from govern.core.clock import utcnow
from govern.core.errors import InvalidInput, NotFound, Rejected
from govern.keys.models import FreezeState
from govern.members import queries, service
from govern.members.models import Invite, InviteState, Member
from govern.offboarding import queries as removals
from govern.offboarding import service as offboarding
from govern.offboarding import suspending
from govern.offboarding.models import KeyFate, OffboardingState, SuspensionState
from govern.offboarding.preview import Preview, facts, preview
from govern.offboarding.witnesses import heard

_UNDER_WAY = (InviteState.REQUESTED, InviteState.CANCELLING)


@click.group()
def members() -> None:
    """List, invite and revoke members."""


members.add_command(batches.revoke_many)
members.add_command(batches.invite_many)


@members.command("list")
@click.option("--search", help="Part of an address or name.")
@click.option("--role", type=click.Choice(["owner", "reader"]), help="Only this role.")
@click.option("--gone", is_flag=True, help="Also those who no longer have a seat.")
@host.as_json
def list_members(search: str | None, role: str | None, gone: bool, as_json: bool) -> None:
    """Who has a seat in the organization, as last seen."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        rows: list[dict[str, object]] = []
        after = None
        while page := queries.find_members(session, after=after, limit=500, search=search, role=role, with_vanished=gone):
            rows += [_member(row) for row in page]
            after = page[-1].id
    columns = {"email": "Address", "name": "Name", "role": "Role", "added_at": "Since (UTC)", "id": "Id"}
    output.show(rows, columns, as_json=as_json, empty="No members are known yet. Run `govern sync directory`.")


@members.command("invites")
@click.option("--state", type=click.Choice([state.value for state in InviteState]), help="Only invites in this state.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@host.as_json
def list_invites(state: str | None, limit: int, as_json: bool) -> None:
    """Seats offered, newest first."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        found = queries.find_invites(session, limit=limit, state=InviteState(state) if state else None)
        rows = [_invite(row) for row in found]
    columns = {
        "email": "Address", "role": "Role", "state": "State", "created_at": "Created (UTC)", "expires_at": "Expires (UTC)",
        "problem": "Problem", "id": "Id",
    }  # fmt: skip
    output.show(rows, columns, as_json=as_json, empty="There are no invites.")


@members.command()
@click.argument("email")
@click.option("--role", type=click.Choice(["owner", "reader"]), default="reader", show_default=True)
@click.option(
    "--project", "places", multiple=True, metavar="PROJECT[:ROLE]", help="A project to join, as member or :owner. Repeatable."
)
@host.as_json
def invite(email: str, role: str, places: tuple[str, ...], as_json: bool) -> None:
    """Offer EMAIL a seat. Without --project they join no project at all."""
    with host.opened() as govern:
        with govern.unit_of_work(host.host_actor()) as uow:
            offered = service.invite(uow, email, role, [_place(uow.session, place) for place in places])
        _show_invite(govern, offered.id, as_json=as_json, done=f"{offered.email} is invited.")


@members.command("resend-invite")
@click.argument("invite_id", metavar="INVITE")
@host.as_json
def resend_invite(invite_id: str, as_json: bool) -> None:
    """Send an invite again."""
    with host.opened() as govern:
        with govern.unit_of_work(host.host_actor()) as uow:
            offered = service.resend_invite(uow, invite_id)
        _show_invite(govern, offered.id, as_json=as_json, done=f"{offered.email} is invited again.")


@members.command("cancel-invite")
@click.argument("invite_id", metavar="INVITE")
@host.as_json
def cancel_invite(invite_id: str, as_json: bool) -> None:
    """Take an invite back."""
    with host.opened() as govern:
        with govern.unit_of_work(host.host_actor()) as uow:
            offered = service.cancel_invite(uow, invite_id)
        _show_invite(govern, offered.id, as_json=as_json, done=f"The invite of {offered.email} is taken back.")


@members.command()
@click.argument("who", metavar="ID-OR-EMAIL")
@click.option("--reason", default="", help="Why; it stands in the audit log. Needed unless --dry-run.")
@click.option("--dry-run", is_flag=True, help="Only say what it would do.")
@host.as_json
def revoke(who: str, reason: str, dry_run: bool, as_json: bool) -> None:
    """Remove a person: keys, invites, places in projects, seat. Repeating it does no harm."""
    if dry_run:
        with host.opened() as govern, govern.unit_of_work.reading() as session:
            _show_preview(preview(session, who, utcnow()), as_json=as_json)
        return
    with host.opened() as govern:
        with govern.unit_of_work(host.host_actor()) as uow:
            removal_id = offboarding.start(uow, who, reason=reason).id
        done = carried_out(govern, lambda session: removals.get(session, removal_id).state is OffboardingState.DONE)
        with govern.unit_of_work.reading() as session:
            removal = removals.get(session, removal_id)
            row = {
                "id": removal.id, "email": removal.email, "state": removal.state, "waiting_for": removal.waiting_for,
                "steps": removal.steps, "started_at": removal.started_at, "done_at": removal.done_at,
                "evidence": removal.evidence_id, "witnesses": [asdict(witness) for witness in heard(session, removal, utcnow())],
            }  # fmt: skip
    waiting = f" Waiting for: {removal.waiting_for}" if removal.waiting_for else ""
    pending = f"{removal.email} is contained: nothing works here any more. The removal at OpenAI is under way.{waiting}"
    output.show_one(row, as_json=as_json, sentence=f"{removal.email} is removed, and proven absent." if done else pending)


@members.command()
@click.argument("who", metavar="ID-OR-EMAIL")
@click.option("--reason", default="", help="Why; it stands in the audit log. Needed unless --dry-run.")
@click.option(
    "--keys",
    type=click.Choice([fate.value for fate in KeyFate]),
    default=KeyFate.FREEZE.value,
    show_default=True,
    help="What becomes of their keys. Only frozen ones are given back.",
)
@click.option("--dry-run", is_flag=True, help="Only say what it would stop, and what not.")
@host.as_json
def suspend(who: str, reason: str, keys: str, dry_run: bool, as_json: bool) -> None:
    """Cut a person off for a while: sign-ins and tokens end, keys freeze, nothing is lost. Repeating it does no harm."""
    with host.opened() as govern:
        generation, actor = govern.settings.openai.generation, host.host_actor()
        if dry_run:
            with govern.unit_of_work.reading() as session:
                would = suspending.preview(session, who, actor_id=actor.id, generation=generation)
            said = [f"{len(would.keys)} keys would be frozen.", *would.remains, would.refused or "", "Nothing was done."]
            output.show_one(
                suspending.foreseen(would), as_json=as_json,
                sentence=" ".join(said),
            )  # fmt: skip
            return
        with govern.unit_of_work(actor) as uow:
            row_id = suspending.suspend(uow, who, reason=reason, generation=generation, fate=KeyFate(keys)).id
        _show_suspension(govern, row_id, as_json=as_json, under_way=FreezeState.FREEZING)


@members.command()
@click.argument("who", metavar="ID-OR-EMAIL")
@click.option("--reason", required=True, help="Why; it stands in the audit log.")
@host.as_json
def resume(who: str, reason: str, as_json: bool) -> None:
    """Let a suspended person go on: sign-in, and exactly the keys that were frozen, are given back."""
    with host.opened() as govern:
        with govern.unit_of_work(host.host_actor()) as uow:
            row_id = suspending.resume(uow, who, reason=reason).id
        _show_suspension(govern, row_id, as_json=as_json, under_way=FreezeState.THAWING)


def _show_suspension(govern: Govern, row_id: str, *, as_json: bool, under_way: FreezeState) -> None:
    def settled(session: Session) -> bool:
        return not suspending.standing(session, removals.get_suspension(session, row_id))[under_way]

    done = carried_out(govern, settled)
    with govern.unit_of_work.reading() as session:
        whole = suspending.facts(removals.get_suspension(session, row_id), session)
    frozen, pending = whole["freezes"][FreezeState.FROZEN.value], "" if done else " OpenAI is still being asked."
    begun = whole["state"] is SuspensionState.SUSPENDED
    said = f"{whole['email']} is suspended; {frozen} keys are frozen." if begun else f"{whole['email']} is resumed."
    output.show_one(whole, as_json=as_json, sentence=" ".join([said + pending, *whole["remains"]]))


@members.command()
@click.argument("who", metavar="ID-OR-EMAIL")
@host.as_json
def removal(who: str, as_json: bool) -> None:
    """How far the newest removal of a person is, by its three witnesses. Takes the removal's id too."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        row = removals.get(session, who) if who.startswith("off_") else removals.latest(session, who.strip().casefold())
        if row is None:
            raise NotFound(f"There is no removal of {who!r}.")
        rows = [asdict(witness) for witness in heard(session, row, utcnow())]
        whole = {
            "id": row.id, "email": row.email, "stage": row.stage, "waiting_for": row.waiting_for, "evidence": row.evidence_id,
            "seal": row.seal_id, "witnesses": rows,
        }  # fmt: skip
    if as_json:
        output.show_one(whole, as_json=True, sentence="")
        return
    columns = {"name": "Witness", "state": "State", "proven": "Proven", "of": "Of", "sentence": "What it says"}
    output.show(rows, columns, as_json=False, empty="")
    waiting = f" Waiting for: {row.waiting_for}" if row.waiting_for else ""
    click.echo(f"The removal of {row.email} is {row.stage.value}.{waiting}")


def _show_preview(found: Preview, *, as_json: bool) -> None:
    whole = facts(found)
    if as_json:
        output.show_one(whole, as_json=True, sentence="")
        return
    kinds = {"keys": ("issued by us", "ends"), "personal_keys": ("their own", "ends"), "shared_keys": ("shared", "rotated")}
    rows = [key | {"kind": kind, "fate": fate} for name, (kind, fate) in kinds.items() for key in whole[name]]
    columns = {"name": "Key", "kind": "Kind", "project": "Project", "last_used_at": "Last used (UTC)", "fate": "What happens"}
    output.show(rows, columns, as_json=False, empty="No key of theirs is known.")
    places = ", ".join(whole["projects"]) or "none"
    invite = "yes" if whole["invite"] else "no"
    said = [
        f"Seat: {whole['seat'] or 'none'}. Open invite: {invite}. Projects: {places}.",
        f"Spent in the last 30 days: ${output.cell(found.spent.amount)}. Keys used in the last 7 days: {found.used_lately}.",
        *found.breaks, *filter(None, [found.refused]), "Nothing was done.",
    ]  # fmt: skip
    for sentence in said:
        click.echo(output.printable(sentence))


def _place(session: Session, text: str) -> tuple[str, str]:
    project, _, role = text.rpartition(":") if text.endswith((":member", ":owner")) else (text, "", "member")
    if not project:
        raise InvalidInput(f"--project {text!r} names no project. Write PROJECT or PROJECT:owner.")
    return project_id_of(session, project), role


def _show_invite(govern: Govern, invite_id: str, *, as_json: bool, done: str) -> None:
    settled = carried_out(govern, lambda session: queries.get_invite(session, invite_id).state not in _UNDER_WAY)
    with govern.unit_of_work.reading() as session:
        offered = queries.get_invite(session, invite_id)
    if offered.state is InviteState.REFUSED:
        raise Rejected(f"OpenAI refused the invite. {offered.problem or ''}".strip())
    output.show_one(_invite(offered), as_json=as_json, sentence=done if settled else "It is written down and under way.")


def _member(row: Member) -> dict[str, object]:
    return {
        "id": row.id, "remote_id": row.remote_id, "email": row.email, "name": row.name, "role": row.role,
        "added_at": row.added_at, "vanished_at": row.vanished_at,
    }  # fmt: skip


def _invite(row: Invite) -> dict[str, object]:
    return {
        "id": row.id, "email": row.email, "role": row.role, "projects": row.projects, "state": row.state,
        "created_at": row.created_at, "expires_at": row.expires_at, "problem": row.problem,
    }  # fmt: skip
