"""`/policies`: what keys may be, in the organization, in a project, for a group; and what holds for whoever asks."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response
from flask.views import MethodView
from sqlalchemy.orm import Session

from govern.core.errors import NotFound
from govern.keys import rules as key_rules
from govern.people import queries as people
from govern.policies import preview, queries, service
from govern.policies.models import Policy, PolicyScope
from govern.policies.rules import Effective, Limits
from govern.ports import read_scopes
from govern.projects import queries as projects
from govern.web import scope
from govern.web.access import current_principal, govern, reads, requires
from govern.web.api.acting import Answer, carry_out
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.shapes import Id, Schema, Text, Who, maybe_instant, maybe_text, with_more

blueprint = ApiBlueprint("policies", "What keys may be.")


class PolicyIn(Schema):
    """A policy in place of what holds for its subject now. What is left out it says nothing about."""

    scope = ma.fields.Enum(PolicyScope, by_value=True, required=True)
    scope_id = Id(metadata={"description": "The project's or the group's id, ours or OpenAI's; none for the organization."})
    longest_days = ma.fields.Integer(strict=True, validate=ma.validate.Range(1, 365))
    most_keys = ma.fields.Integer(
        strict=True, validate=ma.validate.Range(0, 1000), metadata={"description": "Of a project: keys held in it."}
    )
    scopes = ma.fields.List(Text(3, 100), validate=ma.validate.Length(1, 50))
    self_service = ma.fields.Boolean(truthy={True}, falsy={False})
    approvers = ma.fields.List(
        Who(), validate=ma.validate.Length(1, 20), metadata={"description": 'The words "manager" and "admins", or people.'}
    )
    reason = Text(3, 500)
    dry_run = ma.fields.Boolean(load_default=False, truthy={True}, falsy={False})


class AffectedOut(Schema):
    """A key that the change puts beyond the policy. It stays as it is."""

    key = ma.fields.String(attribute="key_id", required=True)
    name = ma.fields.String(required=True)
    person = ma.fields.String(required=True)
    sentences = ma.fields.List(ma.fields.String(), required=True)


class PreviewOut(Schema):
    """How many of the keys that are held are beyond the policy before and after the change; at most 20 that become so."""

    keys = ma.fields.Integer(required=True)
    before = ma.fields.Integer(required=True)
    after = ma.fields.Integer(required=True)
    affected = ma.fields.List(ma.fields.Nested(AffectedOut), required=True)


class PolicyOut(Schema):
    """A policy. `null`: it says nothing about that. `preview` is there in the answer to a dry run only."""

    id = maybe_text()
    scope = ma.fields.Enum(PolicyScope, by_value=True, required=True)
    scope_id = ma.fields.String(required=True)
    about = ma.fields.String(required=True, metadata={"description": "In words: the project Search."})
    longest_days = ma.fields.Integer(allow_none=True)
    most_keys = ma.fields.Integer(allow_none=True)
    scopes = ma.fields.List(ma.fields.String(), allow_none=True)
    self_service = ma.fields.Boolean(allow_none=True)
    approvers = ma.fields.List(ma.fields.String(), allow_none=True)
    changed_by = maybe_text()
    changed_at = maybe_instant()
    removed_at = maybe_instant()
    preview = ma.fields.Nested(PreviewOut, allow_none=True)


class PoliciesOut(Schema):
    """All policies in force; there are few, so they come at once."""

    items = ma.fields.List(ma.fields.Nested(PolicyOut), required=True)


class RemoveIn(Schema):
    """Why; `dry_run` only says what it would mean."""

    reason = Text(3, 500)
    dry_run = ma.fields.Boolean(load_default=False, truthy={True}, falsy={False})


class EffectiveQuery(Schema):
    """For whom (without it: whoever asks), and where."""

    person = Who()
    project = Id()


class EffectiveOut(Schema):
    """What holds. `because`: limit → whose policy decided it. `approvers` decide what is beyond it."""

    longest_days = ma.fields.Integer(required=True)
    most_keys = ma.fields.Integer(required=True)
    most_keys_here = ma.fields.Integer(allow_none=True)
    scopes = ma.fields.List(ma.fields.String(), required=True, metadata={"description": '["all"]: everything; []: nothing.'})
    self_service = ma.fields.Boolean(required=True)
    approvers = ma.fields.List(ma.fields.String(), required=True)
    because = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.String(), required=True)


def _fields(session: Session, row: Policy, found: preview.Preview | None = None) -> dict[str, Any]:
    scopes = read_scopes(row.scopes)
    words = [scopes] if isinstance(scopes, str) else list(scopes) if scopes else None
    return with_more(PolicyOut, row, about=queries.names(session, [row])[row.id], scopes=words, preview=found)


def _answer(session: Session, policy_id: str) -> Answer:
    return Answer(PolicyOut().dump(_fields(session, queries.get(session, policy_id))))


def _limits(args: dict[str, Any]) -> Limits:
    scopes = key_rules.read_wish(args["scopes"]) if "scopes" in args else None
    approvers = tuple(args["approvers"]) if "approvers" in args else None
    return Limits(args["scope"], "", args.get("longest_days"), args.get("most_keys"), scopes, args.get("self_service"), approvers)


@blueprint.route("")
class Policies(MethodView):
    """Policies."""

    @requires("policies:read")
    @blueprint.response(200, PoliciesOut)
    def get(self) -> dict[str, Any]:
        """List the policies in force."""
        scope.check_anyone("policies:read")
        return {"items": [_fields(reads(), row) for row in queries.in_force(reads())]}

    @requires("policies:write")
    @blueprint.arguments(PolicyIn)
    @blueprint.response(200, PolicyOut)
    def post(self, args: dict[str, Any]) -> Response | dict[str, Any]:
        """Let a policy hold in place of what holds for its subject now. A dry run says which keys it would leave beyond it."""
        scope.check_anyone("policies:write")
        limits, subject = _limits(args), args.get("scope_id", "")
        if args["dry_run"]:
            return _dry_run(limits, subject)
        return carry_out(lambda uow: service.set_policy(uow, subject, limits, reason=args.get("reason")).id, _answer)


def _dry_run(limits: Limits, subject: str) -> dict[str, Any]:
    """The policy as it would be, and what it would mean; nothing is changed."""
    scope_id, limits = queries.resolve(reads(), subject, limits)
    found = preview.of_setting(reads(), scope_id, limits, usual_most_keys=govern().settings.keys.most_per_person)
    return _fields(reads(), queries.fill(Policy(scope=limits.scope, scope_id=scope_id), limits), found)


@blueprint.route("/effective")
class EffectivePolicy(MethodView):
    """What holds."""

    @requires("keys:issue")
    @blueprint.arguments(EffectiveQuery, location="query")
    @blueprint.response(200, EffectiveOut)
    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """Say what holds for a person in a project: for whoever asks, unless they may issue keys to others."""
        who = args.get("person", current_principal().person_id or "")
        missing = f"There is no person {who!r}."
        person = people.find(reads(), who) if who else None
        scope.check_person("keys:issue", person.id if person else None, missing)
        if person is None:
            raise NotFound(missing)
        project = projects.get(reads(), args["project"]) if "project" in args else None
        usual = govern().settings.keys.most_per_person
        found = queries.effective_for(reads(), person.id, project.id if project else None, usual_most_keys=usual)
        return effective_fields(found)


def effective_fields(found: Effective) -> dict[str, Any]:
    scopes = ["all"] if found.scopes == "all" else sorted(found.scopes)
    return with_more(EffectiveOut, found, scopes=scopes, approvers=list(found.approvers), because=dict(found.because))


@blueprint.route("/<id:policy_id>")
class OnePolicy(MethodView):
    """One policy."""

    @requires("policies:read")
    @blueprint.response(200, PolicyOut)
    def get(self, policy_id: str) -> dict[str, Any]:
        """Show a policy, in force or not."""
        scope.check_anyone("policies:read")
        return _fields(reads(), queries.get(reads(), policy_id))


@blueprint.route("/<id:policy_id>/remove")
class Removal(MethodView):
    """Its end."""

    @requires("policies:write")
    @blueprint.arguments(RemoveIn)
    @blueprint.response(200, PolicyOut)
    def post(self, args: dict[str, Any], policy_id: str) -> Response | dict[str, Any]:
        """Let it hold no longer. Repeating it does no harm."""
        scope.check_anyone("policies:write")
        if args["dry_run"]:
            usual = govern().settings.keys.most_per_person
            row = queries.get(reads(), policy_id)
            return _fields(reads(), row, preview.of_removal(reads(), policy_id, usual_most_keys=usual))
        return carry_out(lambda uow: service.remove_policy(uow, policy_id, reason=args.get("reason")).id, _answer)
