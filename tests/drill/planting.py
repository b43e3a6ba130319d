"""Plant a defect: the modules that it concerns are changed as they are imported, in this process and those that it starts.

A change names code by its meaning and not by its spelling: both the module and what is looked for are parsed. A defect that is
not found exactly where it says is an error, so that a mutant never tests nothing. Imports nothing of the service.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any, Final

VARIABLE: Final = "GOVERN_DRILL_MUTANT"


@dataclass(frozen=True)
class Change:
    """In `module`, inside `place` (`Class.method` or `function`), `old` becomes `new`: an expression, or whole statements."""

    module: str
    place: str
    old: str
    new: str

    def apply(self, tree: ast.Module) -> ast.Module:
        """Raises LookupError if `old` is not there exactly once."""
        scope = _scope(tree, self.place)
        old, new = ast.parse(self.old).body, ast.parse(self.new).body
        exchange = _Exchange(old, new)
        exchange.visit(scope)
        if exchange.found != 1:
            raise LookupError(f"{self.module} {self.place}: {self.old!r} is there {exchange.found} times")
        return ast.fix_missing_locations(tree)


class _Exchange(ast.NodeTransformer):
    def __init__(self, old: Sequence[ast.stmt], new: Sequence[ast.stmt]) -> None:
        self.old, self.new, self.found = [ast.dump(statement) for statement in old], list(new), 0
        expressions = len(old) == len(new) == 1 and isinstance(old[0], ast.Expr) and isinstance(new[0], ast.Expr)
        self.expression = ast.dump(old[0].value) if expressions and isinstance(old[0], ast.Expr) else None

    def visit(self, node: ast.AST) -> Any:
        if self.expression is not None and isinstance(node, ast.expr) and ast.dump(node) == self.expression:
            self.found += 1
            assert isinstance(self.new[0], ast.Expr)
            return self.new[0].value
        node = self.generic_visit(node)
        self._exchange_lists(node)
        return node

    def _exchange_lists(self, node: ast.AST) -> None:
        if self.expression is not None:
            return
        for name in ("body", "orelse", "finalbody"):
            body = getattr(node, name, None)
            if not isinstance(body, list):
                continue
            for start in range(len(body) - len(self.old) + 1):
                if [ast.dump(statement) for statement in body[start : start + len(self.old)]] == self.old:
                    self.found += 1
                    body[start : start + len(self.old)] = self.new
                    break


def _scope(tree: ast.Module, place: str) -> Any:
    scope: Any = tree
    for name in place.split("."):
        named = [node for node in scope.body if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name]
        if len(named) != 1:
            raise LookupError(f"there is no {place}")
        scope = named[0]
    return scope


class _Loader(SourceFileLoader):
    changes: Sequence[Change] = ()

    def get_code(self, fullname: str) -> CodeType:
        """Compile the changed source, never what was compiled before."""
        path = self.get_filename(fullname)
        tree = ast.parse(self.get_data(path))
        for change in self.changes:
            tree = change.apply(tree)
        code = compile(tree, path, "exec")
        assert isinstance(code, CodeType)
        return code


class _Finder(MetaPathFinder):
    def __init__(self, changes: Sequence[Change]) -> None:
        self.changes = changes

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        here = [change for change in self.changes if change.module == fullname]
        spec = PathFinder.find_spec(fullname, path, target) if here else None
        if spec is None or spec.origin is None:
            return None
        loader = _Loader(fullname, spec.origin)
        loader.changes = here
        spec.loader = loader
        return spec


def plant(changes: Sequence[Change]) -> None:
    """Change the modules when they come to be imported. Raises RuntimeError for one that is there already."""
    late = {change.module for change in changes} & set(sys.modules)
    if late:
        raise RuntimeError(f"imported too early: {', '.join(sorted(late))}")
    sys.meta_path.insert(0, _Finder(changes))


def ordered() -> str:
    """The mutant that this process shall be, '' for none."""
    return os.environ.get(VARIABLE, "")
