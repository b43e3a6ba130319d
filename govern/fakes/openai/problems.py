"""How the organization says no, in all the shapes that the real one was seen to use."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """An answer that is not 200. `body` is the JSON document, whole."""

    def __init__(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body
        self.headers = headers or {}


def refusal(
    status: int,
    message: str,
    *,
    kind: str = "invalid_request_error",
    param: str | None = None,
    code: str | None = None,
    headers: dict[str, str] | None = None,
) -> Refusal:
    """The normal envelope: all four members are always there."""
    return Refusal(status, {"error": {"message": message, "type": kind, "param": param, "code": code}}, headers)


def invalid(message: str, param: str | None = None, code: str | None = None) -> Refusal:
    return refusal(400, message, param=param, code=code)


def not_found(what: str, id: str) -> Refusal:
    return refusal(404, f"No such {what}: {id}", code="not_found")


def missing_scope(scope: str) -> Refusal:
    """The one whose `error` is a bare string, as the real service answers when an admin key lacks a scope."""
    return Refusal(
        403,
        {
            "error": "You have insufficient permissions for this operation. "
            f"Missing scopes: {scope}. Check that you have the correct role in your organization, and if you're using a "
            "restricted API key, that it has the necessary scopes."
        },
    )


def unwrapped_not_found(project_id: str) -> Refusal:
    """The rate-limit endpoints' 404: no `error` member and an integer `code`."""
    return Refusal(404, {"code": 404, "message": f"The project {project_id} was not found"})


def throttled(headers: dict[str, str] | None = None) -> Refusal:
    return refusal(429, "Rate limit reached. Please slow down.", kind="requests", code="rate_limit_exceeded", headers=headers)
