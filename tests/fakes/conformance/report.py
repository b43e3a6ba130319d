"""Runs the walk over real HTTP and adds up what the judges say."""

from __future__ import annotations

import os
import traceback
from dataclasses import dataclass, field

from govern.fakes.openai import FakeOpenAI, WorldSpec
from govern.fakes.openai.operations import OPERATIONS
from govern.fakes.openai.spec import GENERATIONS
from govern.fakes.server import serve
from tests.fakes.conformance import walk, walk_access, walk_usage
from tests.fakes.conformance.specification import Operation, Specification, find, sdk_operations, template
from tests.fakes.conformance.wiretap import Wiretap

WORLD = WorldSpec(people=40, projects=8, months=2, seed=7)
STEPS: tuple[walk.Step, ...] = (
    walk.projects,
    walk.project_users,
    walk.service_accounts,
    walk.project_keys,
    walk.admin_keys,
    walk.access,
    walk.invites,
    walk_access.roles,
    walk_access.groups,
    walk_access.spend,
    walk_access.policies,
    walk_access.certificates,
    walk_access.federation,
    walk_usage.data_plane,
    walk_usage.usage,
    walk_usage.usage_refusals,
    walk_access.audit_log,
    walk.users,
)
SERVED: dict[Operation, str] = {(o.method, template(o.rule)): o.since for o in OPERATIONS}


@dataclass
class Report:
    """`covered` are operations that answered 200 at least once."""

    covered: set[Operation] = field(default_factory=set)
    checked: int = 0
    answers: int = 0
    specified: set[Operation] = field(default_factory=set)
    violations: list[str] = field(default_factory=list)

    @property
    def uncovered(self) -> list[Operation]:
        return sorted(set(SERVED) - self.covered)

    @property
    def unserved(self) -> list[Operation]:
        return sorted(self.specified - set(SERVED))

    @property
    def in_sdk(self) -> int:
        return len(set(SERVED) & sdk_operations())


def judge(generation: str, report: Report, specification: Specification | None) -> None:
    """Walk one generation of the fake and write what was found into the report."""
    fake = FakeOpenAI(WORLD, generation=generation, cost_lag_hours=2)
    tap = Wiretap(fake.app)
    with serve(tap) as server:
        walker = walk.Walker(fake, server.url, generation)
        for step in STEPS:
            try:
                step(walker)
            except Exception:
                report.violations.append(f"[{generation}] {step.__name__}: {traceback.format_exc(limit=-3)}")
    report.answers += len(tap.answers)
    if specification:
        report.specified = specification.operations
    for answer in tap.answers:
        operation = find(set(SERVED), answer.method, answer.path)
        if operation is None:
            continue
        if answer.status == 200:
            report.covered.add(operation)
        if specification and operation in specification.operations and not _bare(answer.body):
            report.checked += 1
            report.violations += [f"[{generation}] {line}" for line in specification.violations(operation, answer)]


def run(specification: Specification | None) -> Report:
    """All generations."""
    for name in [name for name in os.environ if name.startswith("OPENAI_")]:
        del os.environ[name]  # the SDK would read them
    report = Report()
    for generation in GENERATIONS:
        judge(generation, report, specification)
    return report


def _bare(body: bytes) -> bool:
    """The one answer that is known to differ from its specification: 403 with a bare string."""
    return body.startswith(b'{"error":"')
