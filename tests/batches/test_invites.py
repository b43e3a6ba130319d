"""Many invites: an outcome for each, nobody twice, and beyond a number a second admin."""

from __future__ import annotations

import pytest

from govern.batches.models import BatchKind, RowState
from govern.members import queries as members
from govern.members.models import InviteState
from govern.worker.runner import run_job
from tests.batches.conftest import Lists
from tests.given import EVE, OLA, PROJECT

LIST = f"""email;role;projects
ann@acme.example;;{PROJECT}
bob@acme.example;owner;"{PROJECT}:owner"
{EVE};reader;
cid@acme.example;boss;
dan@acme.example;;Nowhere
nobody
"""


@pytest.mark.one_database
def test_an_outcome_for_each_and_nobody_twice(lists: Lists) -> None:
    expected = [RowState.STARTED] * 2 + [RowState.ALREADY] + [RowState.INVALID] * 3
    batch = lists.send(LIST, BatchKind.INVITE)
    told = lists.told(batch)
    assert [each.row.state for each in told] == expected
    assert [each.progress for each in told[:2]] == [InviteState.PENDING.value] * 2
    said = [each.row.sentence or "" for each in told]
    for sentence, word in zip(said[2:], ("a member already", "'boss' is not a role", "“Nowhere”", "not an address"), strict=True):
        assert word in sentence
    with lists.door.govern.unit_of_work.reading() as session:
        bob = members.get_invite(session, told[1].row.subject_id or "")
    assert (bob.role, bob.projects) == ("owner", [{"id": lists.world.project(PROJECT).remote_id, "role": "owner"}])
    again = lists.send(LIST, BatchKind.INVITE)
    assert [each.row.state for each in lists.told(again)][:3] == [RowState.ALREADY] * 3
    assert len(lists.world.calls("POST")) == 2


def test_beyond_the_number_the_rest_waits(lists: Lists) -> None:
    lists.alone = 1
    lists.door.sign_in(OLA, "admins")
    batch = lists.send("ann@acme.example bob@acme.example cid@acme.example", BatchKind.INVITE)
    assert list(lists.outcomes(batch).values()) == [RowState.STARTED, RowState.HELD, RowState.HELD]
    lists.decide(batch, OLA, approve=True)
    lists.world.drain()
    assert set(lists.outcomes(batch).values()) == {RowState.STARTED}
    denied = lists.send("dan@acme.example", BatchKind.INVITE)
    lists.decide(denied, OLA, approve=False)
    run_job(lists.door.govern, "batches.follow")
    assert lists.outcomes(denied) == {"dan@acme.example": RowState.REFUSED}
    assert lists.world.reload(denied).finished_at is not None
