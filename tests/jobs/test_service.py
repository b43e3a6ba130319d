"""Asking for a run by hand."""

from __future__ import annotations

import pytest

from govern.audit import queries as audit
from govern.core.errors import NotFound
from govern.core.uow import Actor, ActorKind, UnitsOfWork
from govern.jobs import ledger, queries, service
from govern.jobs.models import RunState

ADA = Actor(ActorKind.PERSON, "per_ada", "Ada Admin")


@pytest.mark.one_database
def test_a_run_that_is_asked_for_waits_and_is_audited(unit_of_work: UnitsOfWork) -> None:
    with unit_of_work(ADA) as uow:
        run = service.request_run(uow, "usage.sync")
    with unit_of_work.reading() as session:
        kept = queries.get_run(session, run.id)
        event = audit.events(session, audit.Search(action="job.requested"))[0]
        assert (kept.state, kept.requested_by, kept.slot) == (RunState.REQUESTED, "Ada Admin", f"manual:{run.id}")
        assert (event.subject_id, event.actor_id, event.facts) == (run.id, "per_ada", {"job": "usage.sync"})


@pytest.mark.one_database
def test_asking_twice_before_it_begins_is_asking_once(unit_of_work: UnitsOfWork) -> None:
    with unit_of_work(ADA) as uow:
        first = service.request_run(uow, "usage.sync")
    with unit_of_work(ADA) as uow:
        again, other = service.request_run(uow, "usage.sync"), service.request_run(uow, "costs.sync")
    assert again.id == first.id != other.id
    with unit_of_work(ADA) as uow:
        assert ledger.claim_requested(uow, first.id, "wrk_1")
    with unit_of_work(ADA) as uow:
        assert service.request_run(uow, "usage.sync").id != first.id  # what runs now may have missed what just changed


@pytest.mark.one_database
def test_an_unknown_job_is_not_found_and_leaves_nothing(unit_of_work: UnitsOfWork) -> None:
    with pytest.raises(NotFound, match=r"usage\.sync"), unit_of_work(ADA) as uow:
        service.request_run(uow, "mine.bitcoin")
    with unit_of_work.reading() as session:
        assert not queries.find_runs(session)
