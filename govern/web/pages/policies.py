"""Policies on keys: what holds, a form that changes it, and what a change would mean before it is made."""

from __future__ import annotations

from flask import Blueprint, render_template, request, url_for
from werkzeug.wrappers import Response

from govern.core.errors import InvalidInput
from govern.keys import rules as key_rules
from govern.policies import preview, queries, rules, service
from govern.policies.models import Policy, PolicyScope
from govern.policies.rules import Limits
from govern.ports import read_scopes
from govern.projects import queries as projects
from govern.web import scope
from govern.web.access import govern, reads, requires
from govern.web.pages import counts, forms
from govern.web.pages.acting import act
from govern.web.pages.forms import Form
from govern.web.pages.going import see
from govern.web.problems import status_of

blueprint = Blueprint("policies_page", __name__, url_prefix="/policies")


@blueprint.get("")
@requires("policies:read")
def index() -> str:
    """What holds, the organization's first."""
    scope.check_anyone("policies:read")
    rows = queries.in_force(reads())
    return render_template(
        "policies/index.html", policies=rows, about=queries.names(reads(), rows), usual=govern().settings.keys,
        people=counts.people(reads(), [who for row in rows for who in row.approvers or ()]),
        groups={group.id for group in queries.groups(reads())},
    )  # fmt: skip


@blueprint.get("/edit")
@requires("policies:write")
def edit() -> str:
    """The form; of what there is a policy for, it shows that."""
    scope.check_anyone("policies:write")
    about = forms.query_text("about") or PolicyScope.ORGANIZATION.value
    kind, _, scope_id = about.partition(" ")
    rows = queries.in_force(reads(), PolicyScope(kind), scope_id) if kind in {each.value for each in PolicyScope} else []
    return _form(Form({"about": about} | (_values(rows[0]) if rows else {})), row=rows[0] if rows else None)


@blueprint.post("")
@requires("policies:write")
def change() -> Response | str | tuple[str, int]:
    """Let it hold; or, by the other button, only show what it would mean."""
    scope.check_anyone("policies:write")
    try:
        limits, subject = _typed()
        if "preview" in request.form:
            scope_id, wanted = queries.resolve(reads(), subject, limits)
            usual = govern().settings.keys.most_per_person
            return _form(Form(request.form.to_dict()), found=preview.of_setting(reads(), scope_id, wanted, usual_most_keys=usual))
        reason = forms.text("reason") or None
        act(lambda uow: service.set_policy(uow, subject, limits, reason=reason).id)
    except forms.REFUSALS as error:
        return _form(forms.refused(error)), status_of(error)
    return see(url_for("policies_page.index"), "It holds from now on. Keys that exist stay as they are.")


@blueprint.get("/<string(maxlength=60):policy_id>/remove")
@requires("policies:write")
def ask_remove(policy_id: str) -> str:
    """What its end would mean."""
    scope.check_anyone("policies:write")
    row = queries.get(reads(), policy_id)
    found = preview.of_removal(reads(), row.id, usual_most_keys=govern().settings.keys.most_per_person)
    return render_template(
        "policies/remove.html", policy=row, about=queries.names(reads(), [row])[row.id], found=found, form=Form()
    )


@blueprint.post("/<string(maxlength=60):policy_id>/remove")
@requires("policies:write")
def remove(policy_id: str) -> Response:
    """Let it hold no longer."""
    scope.check_anyone("policies:write")
    queries.get(reads(), policy_id)
    reason = forms.text("reason") or None
    act(lambda uow: service.remove_policy(uow, policy_id, reason=reason).id)
    return see(url_for("policies_page.index"), "It holds no longer.")


def _typed() -> tuple[Limits, str]:
    """The limits of the form that was sent, and what they are about."""
    kind, _, scope_id = forms.text("about").partition(" ")
    if kind not in {each.value for each in PolicyScope}:
        raise InvalidInput("Choose what the policy is about.", {"about": "Choose one of the list."})
    scopes, approvers = _words("scopes"), _words("approvers")
    open_words = {"yes": True, "no": False}
    return Limits(
        PolicyScope(kind), "", _whole("longest_days", "Choose 1 to 365 days."), _whole("most_keys", "Choose 0 to 1000 keys."),
        key_rules.read_wish(scopes) if scopes else None, open_words.get(forms.text("self_service")),
        tuple(approvers) if approvers else None,
    ), scope_id  # fmt: skip


def _whole(name: str, sentence: str) -> int | None:
    return forms.whole(name, sentence) if forms.text(name) else None


def _words(name: str) -> list[str]:
    return forms.text(name, most=2000).replace(",", " ").split()


def _values(row: Policy) -> dict[str, str]:
    scopes = read_scopes(row.scopes)
    known = counts.people(reads(), row.approvers or ())
    values = {
        "longest_days": row.longest_days, "most_keys": row.most_keys,
        "scopes": scopes if isinstance(scopes, str) else " ".join(scopes or ()),
        "self_service": {True: "yes", False: "no"}.get(row.self_service) if row.self_service is not None else "",
        "approvers": " ".join(known[who].email if who in known else who for who in row.approvers or ()),
    }  # fmt: skip
    return {name: str(value) for name, value in values.items() if value is not None}


def _form(form: Form, *, row: Policy | None = None, found: preview.Preview | None = None) -> str:
    subjects = [(PolicyScope.ORGANIZATION.value, "The organization")]
    subjects += [(f"project {project.id}", f"Project {project.name}") for project in projects.open_projects(reads())]
    subjects += [(f"group {group.id}", f"Group {group.name}") for group in queries.groups(reads())]
    return render_template(
        "policies/edit.html", form=form, subjects=subjects, policy=row, found=found, once=forms.once(),
        longest=rules.LONGEST_DAYS, usual=govern().settings.keys,
    )  # fmt: skip
