"""Keys, members and removals in any order, with workers that lose their claim in between and changes made around us: what the
drill's oracle says must hold after every step, and all of it once everything has come to rest."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from govern.core.errors import GovernError
from govern.keys import freezing, rotation, sync
from govern.keys.models import Key, KeyState, KeyVersion
from govern.members import service as members
from govern.members.models import Invite, InviteState
from tests.drill.flows import OVERLAP, PROJECT
from tests.drill.oracle import Ledger, check, spot_check
from tests.drill.stage import Stage, due_now
from tests.given import ADMIN, EVE, MAX, World
from tests.stories.conftest import stage_for

pytestmark = pytest.mark.drill

PEOPLE = st.sampled_from((EVE, MAX))
GUESTS = st.sampled_from(("nina@acme.example", "otto@acme.example"))
WHICH = st.integers(0, 7)


class AnyOrder(RuleBasedStateMachine):
    stage: Stage

    @initialize()
    def begin(self) -> None:
        self.world: World = self.stage.fresh()
        self.ledger = Ledger.at(self.world.openai)
        self.asked = 0

    # -- what people ask for ---------------------------------------------------------------------------------------------

    @rule(who=PEOPLE, narrow=st.booleans())
    def ask_for_a_key(self, who: str, narrow: bool) -> None:
        self.asked += 1
        name, scopes = f"key {self.asked}", {"scopes": ("api.responses.write",)} if narrow else {}
        with suppress(GovernError):
            self.world.requested_key(who, name=name, project=PROJECT, **scopes)
            self.ledger.asked.add(name)

    @rule(which=WHICH, act=st.sampled_from(("rotate", "freeze", "thaw", "revoke")))
    def do_to_a_key(self, which: int, act: str) -> None:
        key = self.some(which, Key, Key.state.in_((KeyState.LIVE, KeyState.REQUESTED)))
        if key is None:
            return
        with suppress(GovernError), self.world.govern.unit_of_work(ADMIN) as uow:
            if act == "rotate":
                rotation.rotate(uow, key.id, reason="due", overlap=OVERLAP)
            elif act == "freeze":
                freezing.freeze_key(uow, key.id, reason="a scare", generation="auto")
            elif act == "thaw":
                freezing.thaw_key(uow, key.id, reason="harmless")
        if act == "revoke":
            self.world.revoke(key)

    @rule(who=st.one_of(GUESTS, PEOPLE))
    def invite(self, who: str) -> None:
        with suppress(GovernError):
            self.world.invite(who, "reader", (PROJECT, "member"))
            self.ledger.let_in.add(who)

    @rule(which=WHICH)
    def cancel_an_invite(self, which: int) -> None:
        invite = self.some(which, Invite, Invite.state.in_((InviteState.PENDING, InviteState.REQUESTED)))
        if invite is not None:
            with suppress(GovernError), self.world.govern.unit_of_work(ADMIN) as uow:
                members.cancel_invite(uow, invite.id)

    @rule(who=PEOPLE)
    def remove(self, who: str) -> None:
        with suppress(GovernError):
            removal = self.world.remove(who)
            self.ledger.leavers.add(str(removal.member_remote_id))
            self.ledger.let_in.discard(who)

    # -- what happens ----------------------------------------------------------------------------------------------------

    @rule()
    def work(self) -> None:
        due_now(self.stage.govern.engine, dead=False)
        self.world.drain()

    @rule()
    def look_around(self) -> None:
        self.world.synced()

    @rule(
        kind=st.sampled_from(("drop_after", "500_after", "status:500", "truncate")),
        what=st.sampled_from(("*.create", "*.delete")),
    )
    def get_into_trouble(self, kind: str, what: str) -> None:
        self.world.openai.fault(what, kind=kind)

    @rule(who=st.one_of(GUESTS, PEOPLE))
    def accept_an_invite(self, who: str) -> None:
        """A guest comes; somebody who was removed comes back."""
        with suppress(LookupError):
            self.world.openai.accept_invite(who)
            self.world.synced()

    @precondition(lambda self: self.asked)
    @rule(which=WHICH)
    def end_a_key_around_us(self, which: int) -> None:
        version = self.some(which, KeyVersion, KeyVersion.state == KeyState.LIVE)
        if version is not None:
            project = self.world.project(PROJECT).remote_id
            with suppress(GovernError):
                self.world.govern.need_outside().issuer.delete(project, str(version.service_account_remote_id))
            self.ledger.doomed |= {str(version.remote_id), str(version.service_account_remote_id)}

    # -- what holds ------------------------------------------------------------------------------------------------------

    @invariant()
    def holds_now(self) -> None:
        if hasattr(self, "world"):
            assert spot_check(self.world, self.ledger) == []

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        self.stage.finish(self.world)
        outside = self.stage.govern.need_outside()
        sync.reconcile(self.stage.govern.unit_of_work, outside.directory, outside.issuer, second_look=timedelta(0))
        self.stage.finish(self.world)
        assert check(self.world, self.ledger) == []

    def some(self, which: int, table: Any, condition: Any) -> Any:
        """One of these rows, None where there are none."""
        with self.world.govern.unit_of_work.reading() as session:
            rows = session.scalars(sa.select(table).where(condition).order_by(table.id)).all()
        return rows[which % len(rows)] if rows else None


def test_a_key_that_lived_is_on_record_as_revoked_whichever_version_ends_last(request: pytest.FixtureRequest) -> None:
    """Found by the machine: its successor was never made, and the removal ended both."""
    world = stage_for(request, "sqlite").fresh()
    ledger = Ledger.at(world.openai)
    key = world.key(EVE, project=PROJECT)
    with world.govern.unit_of_work(ADMIN) as uow:
        rotation.rotate(uow, key.id, reason="due", overlap=OVERLAP)
    world.remove(EVE)
    stage_for(request, "sqlite").finish(world)
    assert check(world, ledger) == []


def test_any_order(request: pytest.FixtureRequest) -> None:
    machine = type("OnTheStage", (AnyOrder,), {"stage": stage_for(request, "sqlite")})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=8, stateful_step_count=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
        ),
    )
