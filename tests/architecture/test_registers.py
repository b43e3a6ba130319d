"""What is listed in two places agrees: effects and their handlers, jobs, settings, permissions, error codes, crash points."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator

import httpx
import pytest
from pydantic import BaseModel

from govern.bootstrap import build
from govern.core.crypto import Secret
from govern.identity.permissions import PERMISSIONS
from govern.jobs.rules import NAMES
from govern.settings import OpenAI, Sealing, Settings
from govern.usage.clocks import ON, Told
from govern.usage.names import By
from govern.web.pages import words
from govern.worker.jobs import timetable
from tests.architecture.source import PACKAGE, ROOT, called, calls, modules, name_of, tree
from tests.conftest import SEALING_KEYS

REFERENCE = ROOT / "docs" / "reference.md"
EXAMPLE = ROOT / "config" / "govern.example.toml"


# -- effects -----------------------------------------------------------------------------------------------------------


def enqueued() -> dict[str, str]:
    """Effect kind → where it is enqueued."""
    kinds = {}
    for path in modules():
        for call in calls(tree(path)):
            if called(call).rpartition(".")[2] == "enqueue" and len(call.args) >= 2:
                kind = call.args[1]
                assert isinstance(kind, ast.Constant), f"{name_of(path)}:{call.lineno}: name the effect outright"
                kinds[str(kind.value)] = f"{name_of(path)}:{call.lineno}"
    return kinds


def test_every_effect_has_a_handler_and_every_handler_an_effect(tmp_path) -> None:
    settings = Settings(
        mode="test",
        database={"url": f"sqlite:///{tmp_path}/x.db"},
        sealing=Sealing(keys=Secret(SEALING_KEYS)),
        openai=OpenAI(admin_key=Secret("sk-admin-none"), base_url="http://openai.test/v1"),
    )
    govern = build(settings, outside=True, transport=httpx.MockTransport(lambda request: httpx.Response(500)))
    handlers = set(govern.need_outside().effects)
    govern.close()
    assert set(enqueued()) == handlers


def test_every_job_of_the_timetable_is_named_and_documented() -> None:
    assert tuple(job.name for job in timetable(Settings())) == NAMES
    assert set(NAMES) <= in_first_column("Jobs")
    assert set(words.JOBS) == set(NAMES), "the dashboard says of each what it does"


# -- commands ----------------------------------------------------------------------------------------------------------

NOT_AUDITED = {
    "govern/keys/service.py:promise_version": "part of `request_key` and `rotation.rotate`, which record it",
    "govern/keys/service.py:end_version": "part of revoking, refusing, retiring and expiring, which record it",
    "govern/keys/service.py:shred": "part of revealing and ending, which record it",
    "govern/people/service.py:contain": "part of offboarding.service.start, which records member.contained",
    "govern/identity/service.py:touch": "that a session is in use is no change",
    "govern/identity/service.py:remember_sign_in": "a sign-in that has not happened yet",
    "govern/identity/service.py:recall_sign_in": "a sign-in that has not happened yet; `sign_in` records it",
    "govern/checkpoints/service.py:sign": "it is about the log; an event of it would owe the next checkpoint, and so on",
    "govern/identity/service.py:forget_old": "housekeeping of what is over",
}
"""Commands that record nothing, each with its reason."""


def commands() -> Iterator[tuple[str, ast.FunctionDef]]:
    for path in sorted(PACKAGE.glob("*/service.py")):
        for node in tree(path).body:
            takes_uow = isinstance(node, ast.FunctionDef) and bool(node.args.args) and node.args.args[0].arg == "uow"
            if isinstance(node, ast.FunctionDef) and takes_uow and not node.name.startswith("_"):
                yield f"{name_of(path)}:{node.name}", node


def records(function: ast.FunctionDef, inside: dict[str, ast.FunctionDef], seen: frozenset[str] = frozenset()) -> bool:
    """Whether the function records an event, itself or through a function of its own module."""
    for call in calls(function):
        word = called(call)
        if word == "audit.record" or (word == "record" and "audit" in ast.unparse(function)):
            return True
        if word in inside and word not in seen and records(inside[word], inside, seen | {word}):
            return True
    return False


def test_every_command_records_what_it_did() -> None:
    silent = []
    for name, function in commands():
        if name.startswith("govern/audit/"):
            continue
        module = tree(ROOT / name.partition(":")[0])
        inside = {node.name: node for node in module.body if isinstance(node, ast.FunctionDef)}
        if not records(function, inside):
            silent.append(name)
    assert sorted(silent) == sorted(NOT_AUDITED)


def test_a_command_takes_its_unit_of_work_first() -> None:
    late = [
        f"{name_of(path)}:{node.name}"
        for path in sorted(PACKAGE.glob("*/service.py"))
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef) and "uow" in [argument.arg for argument in node.args.args[1:] + node.args.kwonlyargs]
    ]
    assert late == []


JOBS = {"govern/budgets/service.py:evaluate_all": "the job around the command `evaluate`; it makes its own units of work"}


def test_slices_call_nobody() -> None:
    """Commands decide and write; what is owed to the outside is an effect. An adapter in a command would hold a transaction
    open across the network."""
    found = []
    for path in sorted(PACKAGE.glob("*/service.py")):
        for function in (node for node in tree(path).body if isinstance(node, ast.FunctionDef)):
            words = [ast.unparse(argument.annotation) for argument in function.args.args if argument.annotation is not None]
            if any(re.search(r"\b(Directory|KeyIssuer|UsageSource|Notifier|UnitsOfWork)\b", word) for word in words):
                found.append(f"{name_of(path)}:{function.name}")
    assert found == sorted(JOBS)


def test_audit_actions_are_in_the_past_tense_of_a_thing() -> None:
    found = []
    for path in modules():
        for call in calls(tree(path)):
            if called(call) == "audit.record" and isinstance(call.args[1], ast.Constant):
                action = str(call.args[1].value)
                if not re.fullmatch(r"[a-z_]+\.[a-z_]+", action):
                    found.append(f"{name_of(path)}:{call.lineno} {action}")
    assert found == []


# -- documents ---------------------------------------------------------------------------------------------------------


def section_of(heading: str) -> str:
    """What stands under this heading of the reference."""
    sections = re.split(r"^## ", REFERENCE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    [text] = [part for part in sections if part.startswith(heading)]
    return text


def in_first_column(heading: str) -> set[str]:
    """The words in the first column of the table under this heading of the reference."""
    return set(re.findall(r"^\| `([^`]+)`", section_of(heading), flags=re.MULTILINE))


def test_which_group_is_on_which_clock_is_documented_as_the_code_declares_it() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (yes|no) \| (yes|no) \| (.+) \|$", section_of("Groups and clocks"), flags=re.MULTILINE)
    told = {By(name): Told(estimated == "yes", billed == "yes", remark) for name, estimated, billed, remark in rows}
    assert len(told) == len(rows)
    assert told == dict(ON)
    assert set(ON) == set(By)


def test_every_permission_is_documented() -> None:
    assert in_first_column("Roles and permissions") == set(PERMISSIONS)


def error_codes() -> set[str]:
    """The codes that classes of errors carry, wherever they are written: which modules are loaded does not matter."""
    found = set()
    for path in modules():
        for kind in ast.walk(tree(path)):
            if isinstance(kind, ast.ClassDef):
                found |= {
                    str(line.value.value) for line in kind.body
                    if isinstance(line, ast.Assign) and isinstance(line.value, ast.Constant)
                    and [ast.unparse(target) for target in line.targets] == ["code"]
                }  # fmt: skip
    return found - {"error"}


def test_every_error_code_is_documented() -> None:
    assert {"run_failed", "conflict"} < error_codes()
    assert error_codes() <= in_first_column("Errors")


def settings_names() -> set[str]:
    names = set()
    for section, field in Settings.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            names |= {f"{section}.{name}" for name in inner.model_fields}
        else:
            names.add(section)
    return names


def example_names() -> dict[str, bool]:
    """Name → whether it stands there commented out."""
    found, section = {}, ""
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        if header := re.match(r"^(?:# )?\[([a-z]+)\]$", line):
            section = header[1]
        elif setting := re.match(r"^(# ?)?([a-z][a-z_]*) = ", line):
            name = setting[2]
            if setting[1]:  # a secret is shown as read from a file or a command
                name = re.sub(r"_(file|command)$", "", name)
            found.setdefault(f"{section}.{name}" if section else name, bool(setting[1]))
    return found


def test_every_setting_is_explained_in_the_example() -> None:
    assert settings_names() - set(example_names()) == set()


def test_the_example_names_no_setting_that_does_not_exist() -> None:
    assert set(example_names()) - settings_names() == set()


def test_the_example_shows_the_defaults() -> None:
    shown = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    defaults = Settings().model_dump()
    different = {}
    for section, table in shown.items():
        for name, value in (table if isinstance(table, dict) else {"": table}).items():
            default = defaults[section][name] if name else defaults[section]
            if isinstance(default, tuple):
                default = list(default)
            if value != default:
                different[f"{section}.{name}"] = (value, default)
    assert different == {}


@pytest.mark.parametrize("word", ["mode", "database.url", "sealing.keys", "openai.admin_key", "oidc.issuer"])
def test_the_names_are_read_from_the_example_as_meant(word: str) -> None:
    """The guard above is worth nothing if its reader finds nothing."""
    assert word in example_names()
