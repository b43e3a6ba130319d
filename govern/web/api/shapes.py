"""What the API's schemas are made of: text that a database can hold, money without floats, instants, pages, problems."""

from __future__ import annotations

import re
from datetime import UTC
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import marshmallow as ma
from werkzeug.routing import BaseConverter

ID_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,119}"
WHO_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9_.:!#$%&'*+=?^`{|}~@-]{0,319}"
_MONEY: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_NOT_TEXT: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class Schema(ma.Schema):
    """Unknown names are refused: a misspelt field is a mistake, and a column's name is nobody's business."""

    class Meta:
        unknown = ma.RAISE


class Text(ma.fields.String):
    """Printable text of bounded length; line breaks and tabs are allowed, control characters and lone surrogates are not."""

    def __init__(self, least: int, most: int, **more: Any) -> None:
        more["metadata"] = {"pattern": r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]*$"} | more.get("metadata", {})
        super().__init__(validate=[ma.validate.Length(least, most), _check_text], **more)


def _check_text(value: str) -> None:
    if _NOT_TEXT.search(value):
        raise ma.ValidationError("Control characters are not allowed.")


class Id(ma.fields.String):
    """An id of ours or of OpenAI's."""

    def __init__(self, **more: Any) -> None:
        super().__init__(validate=ma.validate.Regexp(rf"^{ID_PATTERN}\Z", error="That is not an id."), **more)


class Who(ma.fields.String):
    """A person: an id, or an e-mail address."""

    def __init__(self, **more: Any) -> None:
        super().__init__(validate=ma.validate.Regexp(rf"^{WHO_PATTERN}\Z", error="That is neither an id nor an address."), **more)


class Flag(ma.fields.Boolean):
    """True or false in a body, as JSON has them: 0, "no" and the like are mistakes."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Usd(ma.fields.Field[Decimal]):
    """US dollars. Read: a decimal text or a JSON number. Written: a decimal text, exact, never a float."""

    def __init__(self, **more: Any) -> None:
        more["metadata"] = {"type": "string", "example": "250.00"} | more.get("metadata", {})
        super().__init__(**more)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else usd(value)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Decimal:
        text = value if isinstance(value, str) else format(value, "f") if isinstance(value, int | Decimal) else ""
        if isinstance(value, bool) or not _MONEY.fullmatch(text):
            raise ma.ValidationError("Write dollars like 250 or 250.00, with at most nine decimals.")
        try:
            return Decimal(text)
        except InvalidOperation as error:  # pragma: no cover - the pattern allows only numbers
            raise ma.ValidationError("That is not a number.") from error


def usd(value: Decimal) -> str:
    """Dollars as text: at least two decimals, and every further one that is not zero."""
    whole, _, cents = format(value.normalize(), "f").partition(".")
    return f"{whole}.{cents.ljust(2, '0')}"


MONEY_IN: Final = {
    "type": ["string", "number"], "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})?$", "minimum": 0, "maximum": 999999999,
    "multipleOf": 0.01,
}  # fmt: skip


def instant(**more: Any) -> ma.fields.AwareDateTime:
    """A point in time, ISO 8601, in UTC."""
    return ma.fields.AwareDateTime(format="iso", default_timezone=UTC, **more)


def maybe_instant() -> ma.fields.AwareDateTime:
    return instant(allow_none=True)


def maybe_text() -> ma.fields.String:
    return ma.fields.String(allow_none=True)


class PageQuery(Schema):
    """Every list takes these."""

    cursor = ma.fields.String(
        validate=ma.validate.Regexp(r"^[A-Za-z0-9_-]{1,600}\Z", error="That is not a cursor."),
        metadata={"description": "The `next` of the page before."},
    )
    limit = ma.fields.Integer(
        load_default=50, strict=False, validate=ma.validate.Range(1, 200), metadata={"description": "How many at most."}
    )


def page_of(item: type[ma.Schema], **more: Any) -> type[ma.Schema]:
    """The schema of a page: `{"items": […], "next": cursor or null}`."""
    fields: dict[str, Any] = {
        "items": ma.fields.List(ma.fields.Nested(item), required=True),
        "next": ma.fields.String(
            required=True, allow_none=True, metadata={"description": "Send it as `cursor` for the next page; null: no more."}
        ),
    }
    return type(f"{item.__name__}Page", (Schema,), fields | more)


def with_more(schema: type[ma.Schema], row: object, **more: Any) -> dict[str, Any]:
    """The row's values that the schema shows, and some that the row does not have (names of what it points at)."""
    names = [field.attribute or name for name, field in schema._declared_fields.items()]
    return {name: getattr(row, name) for name in names if name not in more and hasattr(row, name)} | more


class Problem(Schema):
    """RFC 9457."""

    type = ma.fields.String(required=True)
    title = ma.fields.String(required=True)
    status = ma.fields.Integer(required=True)
    detail = ma.fields.String(required=True, metadata={"description": "A sentence for people."})
    code = ma.fields.String(required=True, metadata={"description": "A word for programs; it does not change."})
    request_id = ma.fields.String(required=True, allow_none=True)
    errors = ma.fields.Dict(
        keys=ma.fields.String(), values=ma.fields.List(ma.fields.String()), metadata={"description": "Field → what is wrong."}
    )
    rule = ma.fields.String(metadata={"description": "The policy that says no."})


class IdConverter(BaseConverter):
    """`<id:key_id>`: an id in a path."""

    regex = ID_PATTERN


class WhoConverter(BaseConverter):
    """`<who:member>`: an id or an address in a path."""

    regex = WHO_PATTERN
    part_isolating = True
