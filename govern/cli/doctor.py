"""`govern doctor`: look at everything that has to work, and say in a sentence what to do where it does not."""

from __future__ import annotations

import json
from collections.abc import Iterator

import click

from govern.cli import probes, probes_outside
from govern.cli.health import Finding, Health, fail, ok
from govern.cli.host import as_json
from govern.core.errors import InvalidInput
from govern.settings import Settings, load_settings

_MARKS = {Health.OK: ("ok  ", "green"), Health.WARN: ("warn", "yellow"), Health.FAIL: ("FAIL", "red")}


@click.command()
@as_json
def doctor(as_json: bool) -> int:
    """Look for what is wrong and say what to do about it.

    Run it where the worker runs, with the worker's settings, so that the admin key can be tried too. Nothing is changed
    and no mail is sent. Exit code 1 when something does not work.
    """
    found = []
    for finding in examine():
        found.append(finding)
        if not as_json:  # each as it comes: a server that does not answer takes its time
            mark, colour = _MARKS[finding.health]
            click.echo(f"{click.style(mark, fg=colour)}  {finding.name:<22} {finding.sentence}")
    sick = any(finding.health is Health.FAIL for finding in found)
    if as_json:
        rows = [{"name": each.name, "health": each.health.value, "sentence": each.sentence} for each in found]
        click.echo(json.dumps({"ok": not sick, "items": rows}, indent=2, ensure_ascii=False))
    return int(sick)


def examine() -> Iterator[Finding]:
    """Every finding, in the order in which a fault should be mended."""
    settings, finding = _settings()
    yield finding
    if settings is None:
        return
    yield from probes.stored(settings)
    yield from probes_outside.openai(settings)
    yield probes_outside.issuer(settings)
    yield probes_outside.mail(settings)


def _settings() -> tuple[Settings | None, Finding]:
    try:
        return load_settings(), ok("settings", "All settings are known and usable.")
    except InvalidInput as error:
        problem = error.sentence
    try:  # an unreadable admin key must not keep the doctor from looking at the rest
        return load_settings(without_admin_key=True), fail("settings", problem)
    except InvalidInput as error:
        return None, fail("settings", error.sentence)
