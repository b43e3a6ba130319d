"""`/projects`: projects as last seen at OpenAI."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
import sqlalchemy as sa
from flask.views import MethodView

from govern.members.models import Member
from govern.projects import queries
from govern.projects.models import Project, ProjectMember
from govern.web import scope
from govern.web.access import reads, requires
from govern.web.api import paging
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.shapes import PageQuery, Schema, instant, maybe_instant, maybe_text, page_of, with_more

blueprint = ApiBlueprint("projects", "Projects as last seen at OpenAI.")


class ProjectOut(Schema):
    """A project."""

    id = ma.fields.String(required=True)
    remote_id = ma.fields.String(required=True, metadata={"description": "OpenAI's id."})
    name = ma.fields.String(required=True)
    is_default = ma.fields.Boolean(required=True)
    created_at = instant(required=True)
    archived_at = maybe_instant()
    last_seen_at = instant(required=True)


class StandingOut(Schema):
    """Somebody's place in the project."""

    member = ma.fields.String(required=True)
    person = maybe_text()
    email = maybe_text()
    name = maybe_text()
    role = ma.fields.String(required=True)


class ProjectWithMembers(ProjectOut):
    """A project, and who stands in it."""

    members = ma.fields.List(ma.fields.Nested(StandingOut), required=True)
    service_accounts = ma.fields.Integer(required=True)


@blueprint.route("")
class Projects(MethodView):
    """Projects."""

    @requires("projects:read")
    @blueprint.arguments(PageQuery, location="query")
    @blueprint.response(200, page_of(ProjectOut))
    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """List projects, archived ones too."""
        after, limit = paging.after_id(args.get("cursor")), args["limit"]
        within = scope.projects_within("projects:read")
        if within is None:
            rows = list(queries.find_projects(reads(), after=after, limit=limit + 1))
        else:
            query = sa.select(Project).where(Project.id.in_(within), Project.vanished_at.is_(None)).order_by(Project.id)
            rows = list(reads().scalars((query.where(Project.id > after) if after else query).limit(limit + 1)))
        items, following = paging.page(rows, limit, lambda row: row.id)
        return {"items": items, "next": following}


@blueprint.route("/<id:project_id>")
class OneProject(MethodView):
    """One project."""

    @requires("projects:read")
    @blueprint.response(200, ProjectWithMembers)
    def get(self, project_id: str) -> dict[str, Any]:
        """Show a project and its members, by our id or OpenAI's."""
        project = queries.get(reads(), project_id)
        scope.check_project("projects:read", project)
        standing = (
            sa.select(Member, ProjectMember.role)
            .join(ProjectMember, ProjectMember.member_remote_id == Member.remote_id)
            .where(ProjectMember.project_id == project.id, ProjectMember.vanished_at.is_(None), Member.vanished_at.is_(None))
            .order_by(Member.email, Member.id)
        )
        people = scope.people_within("members:read")
        members = [
            {"member": member.id, "person": member.person_id, "email": member.email, "name": member.name, "role": role}
            for member, role in reads().execute(standing)
            if people is None or member.person_id in people
        ]
        accounts = len(queries.service_accounts_of(reads(), project.id))
        return with_more(ProjectOut, project, members=members, service_accounts=accounts)
