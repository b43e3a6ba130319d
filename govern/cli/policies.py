"""`govern policies`."""

from __future__ import annotations

from dataclasses import asdict

import click
from sqlalchemy.orm import Session

from govern.bootstrap import Govern
from govern.cli import host, output
from govern.cli.projects import project_id_of
from govern.keys import rules as key_rules
from govern.people import queries as people
from govern.policies import preview, queries, service
from govern.policies.models import Policy, PolicyScope
from govern.policies.rules import Limits


@click.group()
def policies() -> None:
    """What keys may be without anybody's approval."""


@policies.command("list")
@host.as_json
def list_policies(as_json: bool) -> None:
    """The policies in force."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        rows = [_row(session, row) for row in queries.in_force(session)]
    columns = {
        "id": "Policy", "about": "For", "longest_days": "Days", "most_keys": "Keys", "scopes": "May do",
        "self_service": "Without approval", "approvers": "Approve",
    }  # fmt: skip
    output.show(rows, columns, as_json=as_json, empty="No policies yet; the settings hold.")


@policies.command("set")
@click.option("--project", help="For this project (id or name); without it and --group, for the organization.")
@click.option("--group", help="For this group of OpenAI's (id or name).")
@click.option("--longest-days", type=click.IntRange(1, 365), help="How long a key lives at most.")
@click.option("--most-keys", type=click.IntRange(0, 1000), help="How many keys of their own a person holds at most.")
@click.option("--scope", "scopes", multiple=True, metavar="PERMISSION", help='What a key may do; or the one word "all".')
@click.option("--self-service/--no-self-service", default=None, help="Whether keys are to be had without approval.")
@click.option("--approver", "approvers", multiple=True, metavar="WHO", help='"manager", "admins", or an address.')
@click.option("--reason", help="Why; it stands in the audit log.")
@click.option("--dry-run", is_flag=True, help="Only say which keys it would leave beyond it.")
@host.as_json
def set_policy(
    *, project: str | None, group: str | None, longest_days: int | None, most_keys: int | None, scopes: tuple[str, ...],
    self_service: bool | None, approvers: tuple[str, ...], reason: str | None, dry_run: bool, as_json: bool,
) -> None:  # fmt: skip
    """Let this hold in place of what holds now. What is left out it says nothing about. Existing keys stay as they are."""
    with host.opened() as govern:
        with govern.unit_of_work.reading() as session:
            scope, subject = _about(session, project, group)
        wish = key_rules.read_wish(scopes) if scopes else None
        limits = Limits(scope, "", longest_days, most_keys, wish, self_service, approvers or None)
        if dry_run:
            with govern.unit_of_work.reading() as session:
                subject, limits = queries.resolve(session, subject, limits)
                found = preview.of_setting(session, subject, limits, usual_most_keys=govern.settings.keys.most_per_person)
            _tell(found, as_json=as_json)
            return
        with govern.unit_of_work(host.host_actor()) as uow:
            row = _row(uow.session, service.set_policy(uow, subject, limits, reason=reason))
    output.show_one(row, as_json=as_json, sentence=f"{row['id']} holds for {row['about']}.")


@policies.command()
@click.argument("policy_id", metavar="POLICY")
@click.option("--reason", help="Why; it stands in the audit log.")
@click.option("--dry-run", is_flag=True, help="Only say what it would mean.")
@host.as_json
def remove(policy_id: str, reason: str | None, dry_run: bool, as_json: bool) -> None:
    """Let it hold no longer."""
    with host.opened() as govern:
        if dry_run:
            with govern.unit_of_work.reading() as session:
                usual = govern.settings.keys.most_per_person
                found = preview.of_removal(session, queries.get(session, policy_id).id, usual_most_keys=usual)
            _tell(found, as_json=as_json)
            return
        with govern.unit_of_work(host.host_actor()) as uow:
            row = _row(uow.session, service.remove_policy(uow, policy_id, reason=reason))
    output.show_one(row, as_json=as_json, sentence=f"{policy_id} holds no longer.")


@policies.command()
@click.argument("person", metavar="ID-OR-EMAIL")
@click.option("--project", help="In this project (id or name).")
@host.as_json
def effective(person: str, project: str | None, as_json: bool) -> None:
    """What holds for a person, and whose policy decided it."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        found = _effective(govern, session, person, project)
    lines = [f"{name}: {value}" for name, value in found.items() if name != "because" and value is not None]
    output.show_one(found, as_json=as_json, sentence="\n".join(lines))


def _effective(govern: Govern, session: Session, who: str, project: str | None) -> dict[str, object]:
    place = project_id_of(session, project) if project else None
    usual = govern.settings.keys.most_per_person
    found = asdict(queries.effective_for(session, people.get(session, who).id, place, usual_most_keys=usual))
    return found | {"scopes": "all" if found["scopes"] == "all" else sorted(found["scopes"])}


def _about(session: Session, project: str | None, group: str | None) -> tuple[PolicyScope, str]:
    if project and group:
        raise click.UsageError("A policy is for a project or for a group, not for both.")
    if project:
        return PolicyScope.PROJECT, project_id_of(session, project)
    if group:
        named = [each.id for each in queries.groups(session) if each.name.casefold() == group.strip().casefold()]
        return PolicyScope.GROUP, named[0] if len(named) == 1 else group
    return PolicyScope.ORGANIZATION, ""


def _tell(found: preview.Preview, *, as_json: bool) -> None:
    lines = [f"Of {found.keys} keys {found.before} are beyond the policies now, and {found.after} would be."]
    lines += [f"  {each.name} of {each.person}: {' '.join(each.sentences)}" for each in found.affected]
    output.show_one(asdict(found), as_json=as_json, sentence="\n".join(lines))


def _row(session: Session, row: Policy) -> dict[str, object]:
    return {
        "id": row.id, "about": queries.names(session, [row])[row.id], "scope": row.scope, "scope_id": row.scope_id,
        "longest_days": row.longest_days, "most_keys": row.most_keys, "scopes": row.scopes, "self_service": row.self_service,
        "approvers": row.approvers, "changed_at": row.changed_at, "removed_at": row.removed_at,
    }  # fmt: skip
