"""`/people`: everybody who is known, where they stand, and the day on which somebody's time is over."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response
from flask.views import MethodView
from sqlalchemy.orm import Session

from govern.core.clock import utcnow
from govern.people import directory, queries
from govern.people.models import Person, PersonState
from govern.web import scope
from govern.web.access import reads, requires
from govern.web.api import paging, telling
from govern.web.api.acting import Answer, carry_out
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.shapes import PageQuery, Schema, Text, instant, maybe_text, page_of

blueprint = ApiBlueprint("people", "Everybody who is known, and where they stand.")


class PersonOut(Schema):
    """A person. Team, cost centre and manager (an address) are those of today."""

    id = ma.fields.String(required=True)
    email = ma.fields.String(required=True)
    name = ma.fields.String(required=True)
    state = ma.fields.Enum(PersonState, by_value=True, required=True)
    team = maybe_text()
    cost_centre = maybe_text()
    manager = maybe_text()
    directory = ma.fields.Enum(
        queries.Listed, by_value=True, required=True,
        metadata={"description": "`named` by a directory, `gone` from a complete one, `never` in any."},
    )  # fmt: skip
    ends_on = ma.fields.Date(
        allow_none=True, metadata={"description": "The first day on which they are no longer with the company."}
    )
    ends_by_hand = ma.fields.Boolean(required=True, metadata={"description": "Somebody here set the end date."})
    created_at = instant(required=True)


class AssignmentOut(Schema):
    """Where a person stood from a day on. `until_on` is the first day on which it is over; null: it lasts."""

    from_on = ma.fields.Date(required=True)
    until_on = ma.fields.Date(allow_none=True)
    team = maybe_text()
    cost_centre = maybe_text()
    manager = maybe_text()


class PersonWithAssignments(PersonOut):
    """A person, and where they stood from day to day, the latest first."""

    assignments = ma.fields.List(ma.fields.Nested(AssignmentOut), required=True)


class PeopleQuery(PageQuery):
    """Whom to list."""

    search = Text(1, 100, metadata={"description": "Part of the address or name, without case."})
    team = Text(1, 200, metadata={"description": "The team in which they stand today."})
    state = ma.fields.Enum(PersonState, by_value=True)
    directory = ma.fields.Enum(queries.Listed, by_value=True)
    ending = ma.fields.Boolean(load_default=False, metadata={"description": "Only people with an end date."})


class EndIn(Schema):
    """From which day on somebody is no longer with the company. Null takes it back."""

    ends_on = ma.fields.Date(required=True, allow_none=True, metadata={"example": "2026-12-31"})
    reason = Text(3, 500, required=True, metadata={"example": "the contract is over"})


@blueprint.route("")
class People(MethodView):
    """People."""

    @requires("members:read")
    @blueprint.arguments(PeopleQuery, location="query")
    @blueprint.response(200, page_of(PersonOut))
    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """List people."""
        today = utcnow().date()
        rows = queries.find_people(
            reads(), after=paging.after_id(args.get("cursor")), limit=args["limit"] + 1, search=args.get("search"),
            team=args.get("team"), state=args.get("state"), directory=args.get("directory"), ending=args["ending"],
            person_ids=scope.people_within("members:read"), on=today,
        )  # fmt: skip
        items, following = paging.page(rows, args["limit"], lambda row: row.id)
        return {"items": queries.described(reads(), items, today), "next": following}


@blueprint.route("/<who:person>")
class OnePerson(MethodView):
    """One person."""

    @requires("members:read")
    @blueprint.response(200, PersonWithAssignments)
    def get(self, person: str) -> dict[str, Any]:
        """Show a person, by their id or address."""
        return _whole(reads(), _visible("members:read", person).id)


@blueprint.route("/<who:person>/end")
class EndDate(MethodView):
    """The end date."""

    @requires("people:write")
    @blueprint.arguments(EndIn)
    @blueprint.response(200, PersonWithAssignments)
    def post(self, args: dict[str, Any], person: str) -> Response:
        """Set the day on which somebody's removal starts by itself, or take it back. Repeating it changes nothing."""
        found = _visible("people:write", person)
        return carry_out(lambda uow: directory.set_end(uow, found.id, args["ends_on"], reason=args["reason"]).id, _answer)


@blueprint.route("/<who:person>/notices")
class Notices(MethodView):
    """What was told of somebody's end date."""

    @requires("members:read")
    @blueprint.response(200, telling.NoticesOut)
    def get(self, person: str) -> dict[str, Any]:
        """List the mails that tell that the person's end date comes, with a receipt per address."""
        return telling.told(_visible("members:read", person).id)


@blueprint.route("/<who:person>/notices/<id:delivery_id>/send")
class NoticeAgain(MethodView):
    """Sending again."""

    @requires("people:write")
    @blueprint.response(200, telling.NoticeOut)
    @blueprint.alt_response(202, schema=telling.NoticeOut, description="It will be sent.", success=True)
    def post(self, person: str, delivery_id: str) -> Response:
        """Send a mail again that was given up. Where the end date has changed meanwhile it is dropped."""
        found = _visible("people:write", person)
        return telling.tell_again(found.id, delivery_id, listed_at=f"/api/v1/people/{found.id}/notices")


def _visible(permission: str, who: str) -> Person:
    missing = f"There is no person {who!r}."
    person = queries.find(reads(), who)
    scope.check_person(permission, person.id if person else None, missing)
    return person if person is not None else queries.get(reads(), who)


def _whole(session: Session, person_id: str) -> dict[str, Any]:
    person = queries.get(session, person_id)
    row = queries.described(session, [person], utcnow().date())[0]
    return row | {"assignments": queries.history(session, person_id)}


def _answer(session: Session, person_id: str) -> Answer:
    return Answer(PersonWithAssignments().dump(_whole(session, person_id)))
