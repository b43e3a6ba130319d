"""OpenAI's specification of the admin API as a judge, and the official SDK as a list of operations."""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import openai
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

_URI = "urn:openai-admin"
_VERBS = ("get", "post", "delete")
Operation = tuple[str, str]
"""Method and path template, the path without `/v1` and with `*` for each parameter."""


def specification_file() -> Path | None:
    """Where OpenAI's specification lies: under `GOVERN_SHARED`, or beside the checkout; None where it does not."""
    shared = Path(os.environ.get("GOVERN_SHARED") or Path(__file__).resolve().parents[4] / "shared")
    found = shared / "reference" / "openai-admin-openapi.yaml"
    return found if found.is_file() else None


def template(path: str) -> str:
    return re.sub(r"[{<][^}>]*[}>]", "*", path.removeprefix("/v1"))


@dataclass(frozen=True)
class Answer:
    """One answer as it went over the wire."""

    method: str
    path: str
    status: int
    body: bytes


class Specification:
    """Finds the operation of an answer and validates its body."""

    def __init__(self, file: Path) -> None:
        self._document: dict[str, Any] = yaml.load(file.read_text("utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        resource = Resource.from_contents(self._document, default_specification=DRAFT202012)
        self._registry: Registry[Any] = Registry().with_resource(_URI, resource)
        self._validators: dict[str, Draft202012Validator] = {}
        self._paths: dict[Operation, str] = {
            (verb.upper(), template(path)): path
            for path, item in self._document["paths"].items()
            for verb in _VERBS
            if verb in item
        }

    @property
    def operations(self) -> set[Operation]:
        return set(self._paths)

    def violations(self, operation: Operation, answer: Answer) -> list[str]:
        """What is wrong with the answer to this operation of the specification; nothing, if it is right."""
        try:
            document = json.loads(answer.body)
        except ValueError:
            return [f"{answer.method} {answer.path}: the body is not JSON"]
        if answer.status == 200:
            pointer = (
                f"/paths/{_escape(self._paths[operation])}/{answer.method.lower()}/responses/200/content/application~1json/schema"
            )
        elif answer.status < 400:
            return [f"{answer.method} {answer.path}: status {answer.status}; every success is 200"]
        elif set(document) == {"code", "message"} and "/rate_limits" in answer.path:
            return []  # documented there without its envelope
        else:
            pointer = "/components/schemas/ErrorResponse"
        errors = sorted(self._validator(pointer).iter_errors(document), key=str)
        return [f"{answer.method} {answer.path}: {error.json_path}: {error.message[:200]}" for error in errors]

    def _validator(self, pointer: str) -> Draft202012Validator:
        if pointer not in self._validators:
            self._validators[pointer] = Draft202012Validator({"$ref": f"{_URI}#{pointer}"}, registry=self._registry)
        return self._validators[pointer]


def _escape(path: str) -> str:
    return path.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")


def find(operations: set[Operation], method: str, path: str) -> Operation | None:
    """The operation that a concrete path belongs to; the one with the fewest parameters, if there are several."""
    parts = unquote(path).removeprefix("/v1").split("/")
    candidates = [operation for operation in operations if operation[0] == method and _fits(operation[1].split("/"), parts)]
    return min(candidates, key=lambda operation: operation[1].count("*"), default=None)


def _fits(pattern: list[str], parts: list[str]) -> bool:
    return len(pattern) == len(parts) and all(want in {"*", part} for want, part in zip(pattern, parts, strict=True))


@cache
def sdk_operations() -> frozenset[Operation]:
    """Every admin operation that the official SDK knows, read from its source."""
    folder = Path(openai.__file__).parent / "resources" / "admin"
    return frozenset(found for file in folder.rglob("*.py") for found in _calls(ast.parse(file.read_text("utf-8"))))


def _calls(tree: ast.AST) -> Iterator[Operation]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        verb = {"_get": "GET", "_post": "POST", "_delete": "DELETE", "_get_api_list": "GET"}.get(node.func.attr)
        if verb is None or not node.args:
            continue
        # A list that is asked for by POST says so in a keyword.
        for keyword in node.keywords:
            if node.func.attr == "_get_api_list" and keyword.arg == "method" and isinstance(keyword.value, ast.Constant):
                verb = str(keyword.value.value).upper()
        first = node.args[0]
        if isinstance(first, ast.Call) and first.args:
            first = first.args[0]
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield verb, template(first.value)
