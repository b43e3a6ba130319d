"""The REST API, `/api/v1`: one file per slice, under the slice's name."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from flask import Flask

from govern.web.api import (
    alerts,
    approvals,
    audit_checkpoints,
    audit_events,
    backfill,
    batches,
    budget_files,
    budgets,
    costs,
    devices,
    docs,
    evidence,
    findings,
    freezes,
    inventory,
    invites,
    jobs,
    key_reminders,
    key_versions,
    keys,
    leak_reports,
    me,
    members,
    observed_keys,
    offboardings,
    people,
    people_imports,
    policies,
    projects,
    reports,
    suspensions,
    tokens,
    usage,
)
from govern.web.api.blueprint import ApiBlueprint, make_api

_SLICES: Final = (
    people_imports,
    people,
    members,
    suspensions,
    invites,
    projects,
    keys,
    key_versions,
    key_reminders,
    freezes,
    observed_keys,
    leak_reports,
    usage,
    costs,
    reports,
    backfill,
    budget_files,
    budgets,
    alerts,
    audit_checkpoints,
    audit_events,
    jobs,
    tokens,
    devices,
    me,
    offboardings,
    evidence,
    findings,
    inventory,
    approvals,
    policies,
    batches,
)

ABOUT: Final = """Everything that the dashboard does, for programs.

Send a token: `Authorization: Bearer gov_…`. Lists answer `{"items": […], "next": cursor or null}`; send `next` as `cursor` for
the next page. Errors are problem+json (RFC 9457) with a `code` for programs and a `detail` for people. A POST that sets something
off at OpenAI waits a few seconds; when it is not settled by then it answers 202 with a `Location` to look at. Dollars are decimal
text. Times are UTC.
"""


def register(app: Flask) -> None:
    """Put the API into the app."""
    api = make_api(app, ABOUT, "v1")
    for blueprint in _blueprints():
        api.answer(blueprint)
    app.register_blueprint(docs.blueprint)
    app.extensions["openapi"] = specification


@cache
def specification() -> dict[str, Any]:
    """The API as OpenAPI 3.1. Made when first asked for: describing it takes longer than all the rest of an app's start."""
    api = make_api(Flask(__name__), ABOUT, "v1")
    for blueprint in _blueprints():
        api.register_blueprint(blueprint)
    return docs.finish(api.spec.to_dict())


def _blueprints() -> Iterator[ApiBlueprint]:
    for module in _SLICES:
        yield module.blueprint
    yield key_versions.rotations
