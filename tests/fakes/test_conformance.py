"""The fake before its judges: the official SDK on every operation, and OpenAI's specification on every answer."""

from __future__ import annotations

import json
import os

import pytest

from tests.fakes.conformance import report
from tests.fakes.conformance.specification import Answer, Specification, sdk_operations, specification_file


@pytest.fixture(scope="module")
def specification() -> Specification | None:
    file = specification_file()
    return Specification(file) if file else None


@pytest.fixture(scope="module")
def found(specification: Specification | None) -> report.Report:
    return report.run(specification)


def test_the_sdk_and_the_specification_accept_every_answer(found: report.Report) -> None:
    assert found.violations == []
    assert found.uncovered == []


@pytest.mark.shared
def test_every_operation_of_the_specification_is_served(found: report.Report, specification: Specification | None) -> None:
    if specification is None:
        assert not os.environ.get("CI"), "CI must have the specification at hand"
        pytest.skip("OpenAI's specification is not at hand")
    assert found.unserved == []
    assert found.checked > 700


@pytest.mark.shared
def test_the_judge_notices_a_wrong_answer(specification: Specification | None) -> None:
    if specification is None:
        pytest.skip("OpenAI's specification is not at hand")
    operation = ("GET", "/organization/projects/*")
    right = {"id": "proj_1", "object": "organization.project", "name": "x", "created_at": 1, "status": "active"}
    path = "/v1/organization/projects/proj_1"

    def violations(document: object, status: int = 200) -> list[str]:
        return specification.violations(operation, Answer("GET", path, status, json.dumps(document).encode()))

    assert violations(right) == []
    assert violations(right | {"created_at": "yesterday"})
    assert violations(right | {"object": "project"})
    assert violations(right, 201)
    assert violations({"error": "bare"}, 404)


def test_the_sdk_offers_nothing_else_about_what_the_fake_serves() -> None:
    """What the SDK knows and the fake does not serve is storage and encryption keys of customers, by intent."""
    missing = {path for _, path in sdk_operations() - set(report.SERVED)}
    assert {path.split("/")[2] for path in missing} == {"external_keys", "external_storage"}
