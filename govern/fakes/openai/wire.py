"""One call: its path, query, body and actor; and the table of operations that answer calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from werkzeug.wrappers import Request, Response

from govern.fakes.openai.organization import Organization
from govern.fakes.openai.problems import invalid
from govern.fakes.openai.tables import AdminKey, Json, Key

MANAGE_READ, MANAGE_WRITE, USAGE_READ = "api.management.read", "api.management.write", "api.usage.read"
ALL_SCOPES = (MANAGE_READ, MANAGE_WRITE, USAGE_READ)
MAX_LIFETIME = 31_536_000


@dataclass(frozen=True, slots=True)
class Holder:
    """Who calls the data plane: a project key, or a federated token of a service account."""

    project_id: str
    user_id: str | None
    account_id: str | None
    scopes: tuple[str, ...]
    key: Key | None


class Body:
    """A JSON object with checked members. What is missing or ill-typed is refused with 400 and the member's name."""

    def __init__(self, members: Json) -> None:
        self.members = members

    def has(self, name: str) -> bool:
        return name in self.members

    def text(self, name: str, *, longest: int = 10_000) -> str:
        value = self.members.get(name)
        if not isinstance(value, str) or not value.strip() or len(value) > longest:
            raise invalid(f"Missing or invalid value for '{name}': expected a string", name, "invalid_value")
        return value

    def maybe_text(self, name: str) -> str | None:
        return None if self.members.get(name) is None else self.text(name)

    def choice(self, name: str, allowed: Collection[str]) -> str:
        value = self.text(name)
        if value not in allowed:
            raise invalid(f"Invalid value for '{name}': expected one of {', '.join(sorted(allowed))}", name, "invalid_value")
        return value

    def integer(self, name: str, low: int, high: int = 2**53) -> int:
        value = self.members.get(name)
        if type(value) is not int or not low <= value <= high:
            raise invalid(f"Invalid value for '{name}': expected an integer between {low} and {high}", name, "invalid_value")
        return value

    def maybe_integer(self, name: str, low: int, high: int = 2**53) -> int | None:
        return None if self.members.get(name) is None else self.integer(name, low, high)

    def flag(self, name: str, default: bool) -> bool:
        value = self.members.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise invalid(f"Invalid value for '{name}': expected a boolean", name, "invalid_value")
        return value

    def texts(self, name: str, *, least: int = 0) -> list[str]:
        value = self.members.get(name)
        if not isinstance(value, list) or len(value) < least or not all(isinstance(item, str) and item for item in value):
            raise invalid(f"Invalid value for '{name}': expected an array of strings", name, "invalid_value")
        return list(value)

    def objects(self, name: str) -> list[Body]:
        value = self.members.get(name)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise invalid(f"Invalid value for '{name}': expected an array of objects", name, "invalid_value")
        return [Body(item) for item in value]

    def object(self, name: str) -> Body:
        value = self.members.get(name)
        if not isinstance(value, dict):
            raise invalid(f"Missing or invalid value for '{name}': expected an object", name, "invalid_value")
        return Body(value)


class Query:
    """Query parameters. An array is accepted as `x=a&x=b` and as `x[]=a&x[]=b`: both were seen to work, and the SDK
    sends brackets.
    """

    def __init__(self, request: Request) -> None:
        self._args = request.args

    def text(self, name: str) -> str | None:
        return self._args.get(name) or None

    def texts(self, name: str) -> list[str]:
        return self._args.getlist(name) + self._args.getlist(f"{name}[]")

    def choice(self, name: str, allowed: Collection[str], default: str) -> str:
        value = self._args.get(name, default)
        if value not in allowed:
            raise invalid(f"Invalid value for '{name}': expected one of {', '.join(sorted(allowed))}", name, "invalid_value")
        return value

    def choices(self, name: str, allowed: Collection[str]) -> list[str]:
        values = list(dict.fromkeys(self.texts(name)))
        for value in values:
            if value not in allowed:
                raise invalid(f"Invalid value '{value}' for '{name}'", name, "invalid_value")
        return values

    def flag(self, name: str) -> bool | None:
        value = self._args.get(name)
        if value is None:
            return None
        if value not in {"true", "false"}:
            raise invalid(f"Invalid value for '{name}': expected true or false", name, "invalid_value")
        return value == "true"

    def integer(self, name: str, low: int, high: int = 2**53) -> int | None:
        value = self._args.get(name)
        if value is None:
            return None
        if not value.lstrip("-").isdecimal() or not low <= int(value) <= high:
            raise invalid(f"Invalid value for '{name}': expected an integer between {low} and {high}", name, "invalid_value")
        return int(value)


@dataclass(slots=True)
class Call:
    """What an operation gets to see. `admin` is set on the admin API, `holder` on the data plane."""

    org: Organization
    request: Request
    path: dict[str, str]
    query: Query
    admin: AdminKey | None = None
    holder: Holder | None = None

    @property
    def now(self) -> int:
        return self.org.clock.seconds()

    def body(self) -> Body:
        """The body as an object. None at all counts as `{}`: the SDK names a JSON content type even where it sends nothing."""
        raw = self.request.get_data()
        if not raw.strip():
            return Body({})
        try:
            document: Any = json.loads(raw)
        except ValueError:
            raise invalid("We could not parse the JSON body of your request.") from None
        if not isinstance(document, dict):
            raise invalid("The body must be a JSON object.")
        return Body(document)


Handler = Callable[[Call], "Json | Response"]


@dataclass(frozen=True, slots=True)
class Operation:
    """`name` is the path of the method in the official SDK; `plane` is admin, data or open (no key)."""

    name: str
    method: str
    rule: str
    handler: Handler
    plane: str
    scope: str
    since: str = "2026-08"

    @property
    def family(self) -> str:
        """What shares one throttle: the resource, whatever is done to it."""
        return self.name.rpartition(".")[0]


class Routes:
    """The operations of one module, in the order of their declaration."""

    def __init__(self, plane: str = "admin", scope: str | None = None) -> None:
        self.operations: list[Operation] = []
        self._plane, self._scope = plane, scope

    def get(self, name: str, rule: str, **extra: str) -> Callable[[Handler], Handler]:
        return self.add("GET", name, rule, self._scope or MANAGE_READ, **extra)

    def post(self, name: str, rule: str, **extra: str) -> Callable[[Handler], Handler]:
        return self.add("POST", name, rule, self._scope or MANAGE_WRITE, **extra)

    def delete(self, name: str, rule: str, **extra: str) -> Callable[[Handler], Handler]:
        return self.add("DELETE", name, rule, self._scope or MANAGE_WRITE, **extra)

    def add(self, method: str, name: str, rule: str, scope: str, **extra: str) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            prefix = "" if self._plane == "open" else "/v1"
            self.operations.append(Operation(name, method, prefix + rule, handler, self._plane, scope, **extra))
            return handler

        return register


def deleted(object: str, id: str | None = None) -> Json:
    """The body of every deletion; some have no id."""
    return {"object": object, "deleted": True} if id is None else {"object": object, "id": id, "deleted": True}
