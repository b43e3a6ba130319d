"""A SCIM filter as a condition in SQL. What cannot be one is refused: filtering a page afterwards would make the counts wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from scim2_models import InvalidFilterException
from scim2_models.path import (
    AttrPath,
    CompareOperator,
    Comparison,
    FilterVisitor,
    LogicalExpr,
    LogicalOperator,
    Not,
    Present,
    ValuePath,
)

from govern.provisioning.models import ProvisionedUser as User

Condition = sa.ColumnElement[bool]

_EXACT: Final = {"id": User.id, "externalid": User.external_id}
_FOLDED: Final[dict[str, sa.ColumnElement[str] | Any]] = {
    "username": User.user_name,
    "displayname": sa.func.lower(User.document["displayName"].as_string()),
    "title": sa.func.lower(User.document["title"].as_string()),
    "name.givenname": sa.func.lower(User.document[("name", "givenName")].as_string()),
    "name.familyname": sa.func.lower(User.document[("name", "familyName")].as_string()),
    "name.formatted": sa.func.lower(User.document[("name", "formatted")].as_string()),
}
_TIMES: Final = {"meta.created": User.created_at, "meta.lastmodified": User.modified_at}


class ToSQL(FilterVisitor[Condition]):
    """Raises InvalidFilterException for an attribute or an operator that is not searched by."""

    def visit_comparison(self, node: Comparison) -> Condition:
        name = _name(node.attr_path)
        if name == "active":
            return _boolean(node)
        if name in _TIMES:
            return _time(_TIMES[name], node)
        if name in _EXACT:
            return _equality(_EXACT[name], node, _text(node))
        if name in _FOLDED:
            return _folded(_FOLDED[name], node, _text(node).casefold())
        raise _refused(node.attr_path)

    def visit_present(self, node: Present) -> Condition:
        name = _name(node.attr_path)
        if name in ("active", "id", "username") or name in _TIMES:
            return sa.true()
        column = _EXACT.get(name, _FOLDED.get(name))
        if column is None:
            raise _refused(node.attr_path)
        return column.is_not(None)

    def visit_not(self, node: Not) -> Condition:
        return sa.not_(sa.func.coalesce(self.visit(node.expr), sa.false()))

    def visit_logical_expr(self, node: LogicalExpr) -> Condition:
        terms = [self.visit(term) for term in node.terms]
        return sa.and_(*terms) if node.op is LogicalOperator.and_ else sa.or_(*terms)

    def visit_value_path(self, node: ValuePath) -> Condition:
        raise _refused(node.attr_path)


def _name(path: AttrPath) -> str:
    return f"{path.attr}.{path.sub_attr}".casefold() if path.sub_attr else path.attr.casefold()


def _refused(path: AttrPath) -> InvalidFilterException:
    return InvalidFilterException(detail=f"Nothing is searched here by {str(path)[:100]} in this way.")


def _text(node: Comparison) -> str:
    if not isinstance(node.value, str) or "\x00" in node.value:
        raise _refused(node.attr_path)
    return node.value


def _equality(column: Any, node: Comparison, value: object) -> Condition:
    found: Condition
    if node.op is CompareOperator.eq:
        found = column == value
    elif node.op is CompareOperator.ne:
        found = column.is_distinct_from(value)
    else:
        raise _refused(node.attr_path)
    return found


def _folded(column: Any, node: Comparison, value: str) -> Condition:
    found: Condition
    if node.op is CompareOperator.co:
        found = column.contains(value, autoescape=True)
    elif node.op is CompareOperator.sw:
        found = column.startswith(value, autoescape=True)
    elif node.op is CompareOperator.ew:
        found = column.endswith(value, autoescape=True)
    else:
        return _equality(column, node, value)
    return found


def _boolean(node: Comparison) -> Condition:
    said = str(node.value).casefold()  # Entra asks for active eq "true"
    if said not in ("true", "false"):
        raise _refused(node.attr_path)
    return _equality(User.active, node, said == "true")


def _time(column: Any, node: Comparison) -> Condition:
    try:
        instant = node.value if isinstance(node.value, datetime) else datetime.fromisoformat(_text(node))
    except ValueError:
        raise _refused(node.attr_path) from None
    instant = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    found: Condition
    if node.op is CompareOperator.gt:
        found = column > instant
    elif node.op is CompareOperator.ge:
        found = column >= instant
    elif node.op is CompareOperator.lt:
        found = column < instant
    elif node.op is CompareOperator.le:
        found = column <= instant
    else:
        return _equality(column, node, instant)
    return found
