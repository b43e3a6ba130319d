"""`govern budgets plan` and `apply`: budgets kept as code, in a file."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import click

from govern.budgets import declared, plan
from govern.cli import host, output
from govern.core.clock import utcnow
from govern.core.errors import InvalidInput

WAITING: Final = 7
"""The exit code of a plan with something to do."""


@click.command("plan")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@host.as_json
@click.pass_context
def plan_file(context: click.Context, file: Path, as_json: bool) -> None:
    """Say what `apply` would do with this file, and change nothing.

    Exit code 0: nothing to do; 7: there are changes.
    """
    wanted = _read(file)
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        found = plan.plan(session, wanted, utcnow())
        _tell(found, as_json=as_json)
    if found.steps:
        context.exit(WAITING)


@click.command("apply")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@host.as_json
def apply_file(file: Path, as_json: bool) -> None:
    """Make the budgets that are kept as code what this file says. Repeating it changes nothing.

    Budgets that were made by hand are left alone; one whose slug is no longer in the file is retired.
    """
    wanted = _read(file)
    with host.opened() as govern, govern.unit_of_work(host.host_actor()) as uow:
        done = plan.apply(uow, wanted)
        _tell(done, as_json=as_json)


def _read(file: Path) -> dict[str, dict[str, Any]]:
    try:
        return declared.read(tomllib.loads(file.read_text(encoding="utf-8"), parse_float=Decimal))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} is no TOML: {error}") from None


def _tell(found: plan.Plan, *, as_json: bool) -> None:
    steps = [
        {
            "kind": step.kind, "slug": step.slug, "of": step.label, "budget": step.budget.id if step.budget else None,
            "changes": {field: {"before": old, "after": new} for field, (old, new) in step.changed.items()},
            "alerts": step.preview.alerts if step.preview else 0, "words": step.words,
        }
        for step in found.steps
    ]  # fmt: skip
    sentence = "\n".join([*(step.words for step in found.steps), found.sentence])
    output.show_one({"steps": steps, "unchanged": found.unchanged}, as_json=as_json, sentence=sentence)
