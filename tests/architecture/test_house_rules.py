"""Rules of the house that a reviewer would otherwise have to remember. Each exception is listed with its reason."""

from __future__ import annotations

import ast
import re
import subprocess

import pytest

from tests.architecture.source import PACKAGE, ROOT, called, calls, modules, name_of, tree

LONGEST = 320
LONG_ON_PURPOSE = {"govern/web/oidc.py": "every check on what a provider sends, in the order in which they are made"}
"""Module → why it is longer."""

COMMITS = {"govern/core/uow.py"}

# The command line runs on somebody's own machine against a server: it knows no core, and its times are only its own.
OUTSIDE = ("govern/fakes/", "govern/client/")
ASKS_THE_TIME = {
    "govern/core/clock.py": "the one place",
    "govern/web/oidc.py": "compares Unix seconds with those in a token",
}


def test_only_the_unit_of_work_commits() -> None:
    committing = {name_of(path) for path in modules() for call in calls(tree(path)) if called(call).endswith(".commit")}
    assert committing == COMMITS


def test_only_core_and_the_wiring_open_engines() -> None:
    """A second engine would be a second way to write."""
    makers = set()
    for path in modules():
        if any(called(call).rpartition(".")[2] in ("create_engine", "make_engine") for call in calls(tree(path))):
            makers.add(name_of(path))
    # The worker's lock and its ear hold a connection of their own, outside any pool; they write nothing.
    allowed = {"govern/core/db.py", "govern/bootstrap.py", "govern/worker/election.py", "govern/worker/wake.py"}
    extra = {name for name in makers - allowed if not name.startswith("govern/cli/")}
    assert extra == set()


def test_no_module_is_named_after_nothing() -> None:
    vague = {"utils", "util", "helpers", "helper", "manager", "managers", "base", "common", "misc", "tools"}
    named = [name_of(path) for path in modules() if vague & {path.stem, *path.relative_to(PACKAGE).parts[:-1]}]
    assert named == []


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_modules_stay_readable(path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST or name_of(path) in LONG_ON_PURPOSE, f"{lines} lines: split it by its nouns"


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_modules_say_what_they_are(path) -> None:
    module = tree(path)
    if not module.body:
        return
    assert ast.get_docstring(module), "a module begins with a sentence about what it is"
    code = [node for node in module.body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))]
    future = code and isinstance(code[0], ast.ImportFrom) and code[0].module == "__future__"
    assert not code or future, "from __future__ import annotations comes first"


def test_only_the_clock_asks_what_time_it_is() -> None:
    """A change has one instant; whoever asks again gets another one, and a frozen clock in a test is not obeyed everywhere."""
    asking = re.compile(r"^(datetime|date|dt|datetime\.datetime|datetime\.date)\.(now|utcnow|today)$|^time\.time$")
    found = {
        f"{name_of(path)}:{call.lineno}"
        for path in modules() if not name_of(path).startswith(OUTSIDE) and name_of(path) not in ASKS_THE_TIME
        for call in calls(tree(path)) if asking.match(called(call))
    }  # fmt: skip
    assert found == set()


MONEY = re.compile(r"usd|amount|price|spend|cost|budget|limit_usd|money", re.IGNORECASE)


@pytest.mark.parametrize("slice_", ["usage", "budgets", "openai", "web"])
def test_money_is_never_a_float(slice_: str) -> None:
    """0.1 + 0.2 is not 0.3, and a budget that is crossed by a rounding error alerts somebody."""
    found = []
    for path in sorted((PACKAGE / slice_).rglob("*.py")):
        for call in calls(tree(path)):
            if called(call) == "float" and any(MONEY.search(ast.unparse(argument)) for argument in call.args):
                found.append(f"{name_of(path)}:{call.lineno} {ast.unparse(call)}")
        for node in ast.walk(tree(path)):
            annotated = isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None
            if annotated and "float" in ast.unparse(node.annotation):
                target = node.arg if isinstance(node, ast.arg) else ast.unparse(node.target)
                if MONEY.search(target):
                    found.append(f"{name_of(path)}:{node.lineno} {target}")
    assert found == []


def test_no_literal_of_money_is_a_float() -> None:
    """`Decimal(0.1)` is not 0.1."""
    found = [
        f"{name_of(path)}:{call.lineno}"
        for path in modules()
        for call in calls(tree(path))
        if called(call).endswith("Decimal") and any(isinstance(a, ast.Constant) and isinstance(a.value, float) for a in call.args)
    ]
    assert found == []


SQL_FROM_TEXT = {
    "govern/core/db.py": "pragmas of our own, no input",
    "govern/usage/bulk.py": "names of our own tables and columns; the values are bound",
    "govern/usage/partitions.py": "names and bounds of months, computed from dates; such statements take no bound values",
    "govern/worker/wake.py": "a constant channel name and a pragma",
}


def test_sql_is_not_put_together_from_text() -> None:
    """Injection begins with an f-string in `text()` or `exec_driver_sql()`."""
    found = set()
    for path in modules():
        for call in calls(tree(path)):
            if called(call).rpartition(".")[2] in ("text", "exec_driver_sql") and call.args and called(call) != "fields.text":
                first = call.args[0]
                built = isinstance(first, ast.JoinedStr | ast.BinOp) or (
                    isinstance(first, ast.Call) and called(first).endswith("format")
                )
                if built and name_of(path) not in SQL_FROM_TEXT:
                    found.add(f"{name_of(path)}:{call.lineno}")
    assert found == set()


def test_nothing_of_ours_is_patched_in_tests() -> None:
    """Real parts in tests: a patched function proves that the patch works."""
    found = []
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for call in calls(tree(path)):
            word = called(call)
            patches = word in ("patch", "mock.patch", "mock.patch.object") or word.rpartition(".")[2] in ("MagicMock", "Mock")
            if patches or (word == "monkeypatch.setattr" and "govern" in ast.unparse(call)):
                found.append(f"{name_of(path)}:{call.lineno} {word}")
    assert found == []


def test_no_file_names_a_machine() -> None:
    """A path of the machine that it was written on helps nobody else."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    home = re.compile(r"(?<![\w.~$}-])/(?:root|work|home/[a-z]+|Users/[a-z]+)/[\w.-]", re.IGNORECASE)
    found = []
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if not path.is_file() or "vendor" in name or path.suffix in {".png", ".woff2", ".ico"}:
            continue
        text = path.read_text(encoding="utf-8", errors="ignore")
        found += [f"{name}:{number}" for number, line in enumerate(text.splitlines(), 1) if home.search(line)]
    assert found == []
