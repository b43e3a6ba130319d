"""A few runs of `scripts/drill`, the oracle's own eyes, and whether the planted defects still fit the code."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pytest

from tests.drill.desk import ASKS
from tests.drill.mutants import MUTANTS, Mutant
from tests.drill.oracle import Ledger, check
from tests.drill.run import carry_out
from tests.drill.schedule import Blow, Schedule, draw
from tests.given import EVE
from tests.stories.conftest import stage_for

pytestmark = pytest.mark.drill


@pytest.mark.parametrize("number", range(6))
def test_random_blows(number: int, request: pytest.FixtureRequest) -> None:
    schedule = draw(f"suite:{number}", 0.4)
    assert carry_out(stage_for(request, ("sqlite", "postgresql")[number % 2]), schedule).bad == [], schedule


@pytest.mark.parametrize("ask", sorted(ASKS))
def test_what_is_asked_of_web_processes_that_die_comes_about_once(ask: str, request: pytest.FixtureRequest) -> None:
    """The first dies with the act done and nobody told, the second in the middle of it."""
    blows = (Blow("db.committed", 2, freezes=False), Blow("sql", 24, freezes=False))
    schedule = Schedule(ASKS[ask][0], (), (), ask=ask, asked=blows)
    outcome = carry_out(stage_for(request, ("sqlite", "postgresql")[sorted(ASKS).index(ask) % 2]), schedule)
    assert (outcome.bad, outcome.kills, outcome.missed) == ([], 2, 0)


def test_a_seed_draws_the_same_again() -> None:
    drawn = [draw(f"again:{number}", 0.5) for number in range(20)]
    assert drawn == [draw(f"again:{number}", 0.5) for number in range(20)]
    assert len(set(drawn)) > 15


def test_the_oracle_sees_what_stays_behind_and_what_is_missing(request: pytest.FixtureRequest) -> None:
    world = stage_for(request, "sqlite").fresh()
    ledger = Ledger.at(world.openai)
    key = world.key(EVE)
    assert check(world, ledger) == []
    project, account = world.project().remote_id, str(world.version(key).service_account_remote_id)
    world.govern.need_outside().issuer.create(project, "govern:nobody's", 3600)
    assert [line.split()[0] for line in check(world, ledger)] == ["I1"]
    world.govern.need_outside().issuer.delete(project, account)
    assert "I2" in " ".join(check(world, ledger))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_defect_fits_the_code(mutant: Mutant) -> None:
    """`scripts/drill --mutants` plants each and sees that it is noticed; here only that it would change something."""
    for change in mutant.changes:
        spec = importlib.util.find_spec(change.module)
        assert spec is not None
        assert spec.origin is not None
        source = Path(spec.origin).read_text(encoding="utf-8")
        assert ast.unparse(change.apply(ast.parse(source))) != ast.unparse(ast.parse(source))
