"""What becomes of an effect that cannot be carried out: put off, buried, left to whoever overtook it; never lost, never loud."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import timedelta

import pytest
from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory

from govern.bootstrap import Govern
from govern.core import outbox
from govern.core.errors import Conflict, CredentialRefused, Missing, Rejected, Throttled, Unavailable
from govern.core.lanes import Lane, current_lane
from govern.core.outbox import Claim, ClaimLost, Effect, EffectState, Handler, Later
from govern.core.uow import Actor, ActorKind
from govern.worker.effects import Effects

ADA = Actor(ActorKind.PERSON, "per_ada", "Ada Admin")
BOTH = (Lane.INTERACTIVE, Lane.BACKGROUND)
KEY = "sk-proj-abcdefghijklmnopqrstuvwx"


@pytest.fixture
def clock() -> Iterator[FrozenDateTimeFactory]:
    with freeze_time("2026-03-10 12:00") as frozen:
        yield frozen


def effects(govern: Govern, handler: Handler) -> Effects:
    outside = dataclasses.replace(govern.need_outside(), effects={"probe": handler})
    return Effects(dataclasses.replace(govern, outside=outside))


def owe(govern: Govern, subject: str = "one", kind: str = "probe", lane: Lane = Lane.INTERACTIVE) -> str:
    with govern.unit_of_work(ADA) as uow:
        return outbox.enqueue(uow, kind, subject, {"n": 1}, lane=lane).id


def reloaded(govern: Govern, effect_id: str) -> Effect:
    with govern.unit_of_work.reading() as session:
        return session.get_one(Effect, effect_id)


def raising(error: Exception) -> Handler:
    def handler(_claim: Claim) -> None:
        raise error

    return handler


@pytest.mark.parametrize(
    ("error", "state", "wait", "told"),
    [
        (Unavailable("OpenAI did not answer."), EffectState.READY, 2, "OpenAI did not answer."),
        (CredentialRefused("The admin key was refused."), EffectState.READY, 2, "The admin key was refused."),
        (Throttled("Too many.", retry_after=90), EffectState.READY, 90, "Too many."),
        (Throttled("Too many."), EffectState.READY, 2, "Too many."),
        (Rejected(f"It says no to {KEY}."), EffectState.DEAD, None, "It says no to [secret]."),
        (Missing("It knows no such project."), EffectState.DEAD, None, "It knows no such project."),
        (Conflict("Not now."), EffectState.READY, 2, "Not now."),
        (
            RuntimeError(f"boom with {KEY}"), EffectState.READY, 2,
            "Something unexpected went wrong (RuntimeError). The worker's log has more.",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)  # fmt: skip
def test_an_error_decides_whether_it_is_tried_again(
    govern: Govern, clock: FrozenDateTimeFactory, *, error: Exception, state: EffectState, wait: float | None, told: str
) -> None:
    effect_id = owe(govern)
    assert effects(govern, raising(error)).carry_out_next(BOTH)
    effect = reloaded(govern, effect_id)
    assert (effect.state, effect.last_error, effect.leased_until) == (state, told, None)
    if wait is not None:
        assert (effect.not_before - clock().replace(tzinfo=effect.not_before.tzinfo)).total_seconds() == wait


def test_the_pause_grows_with_each_attempt(govern: Govern, clock: FrozenDateTimeFactory) -> None:
    effect_id, carrier, pauses = owe(govern), effects(govern, raising(Unavailable("No answer."))), []
    for _ in range(4):
        assert carrier.carry_out_next(BOTH)
        assert not carrier.carry_out_next(BOTH)
        due = reloaded(govern, effect_id).not_before
        pauses.append((due - clock().replace(tzinfo=due.tzinfo)).total_seconds())
        clock.move_to(due.replace(tzinfo=None))
    assert pauses == [2, 4, 8, 16]


def test_later_is_no_failure(govern: Govern, clock: FrozenDateTimeFactory) -> None:
    effect_id = owe(govern)
    assert effects(govern, lambda _claim: Later(5, "OpenAI still lists it.")).carry_out_next(BOTH)
    effect = reloaded(govern, effect_id)
    assert (effect.state, effect.last_error) == (EffectState.READY, "OpenAI still lists it.")
    clock.tick(timedelta(seconds=4))
    assert not effects(govern, raising(RuntimeError())).carry_out_next(BOTH)


def test_an_overtaken_attempt_writes_nothing(govern: Govern, clock: FrozenDateTimeFactory) -> None:
    effect_id = owe(govern)

    def frozen_meanwhile(claim: Claim) -> None:
        clock.tick(outbox.LEASE + timedelta(seconds=1))
        with govern.unit_of_work(ADA) as uow:
            assert outbox.claim_next(uow, BOTH)
        raise Unavailable("The answer came too late.")

    assert effects(govern, frozen_meanwhile).carry_out_next(BOTH)
    effect = reloaded(govern, effect_id)
    assert (effect.attempt, effect.last_error) == (2, None)
    assert effect.leased_until is not None


def test_a_lost_claim_that_the_handler_noticed_is_quiet(govern: Govern) -> None:
    effect_id = owe(govern)
    assert effects(govern, raising(ClaimLost("overtaken"))).carry_out_next(BOTH)
    assert reloaded(govern, effect_id).last_error is None


def test_an_effect_of_a_newer_release_waits_for_it(govern: Govern, clock: FrozenDateTimeFactory) -> None:
    effect_id = owe(govern, kind="key.teleport")
    assert effects(govern, raising(RuntimeError())).carry_out_next(BOTH)
    effect = reloaded(govern, effect_id)
    assert effect.state is EffectState.READY
    assert effect.last_error == "This release knows no effect 'key.teleport'."


def test_the_lane_travels_to_whoever_paces_the_calls(govern: Govern) -> None:
    seen: list[tuple[str, Lane]] = []

    def handler(claim: Claim) -> None:
        seen.append((claim.subject_id, current_lane()))
        with govern.unit_of_work(claim.actor) as uow:
            outbox.settle(uow, claim)

    owe(govern, "slow", lane=Lane.BACKGROUND)
    owe(govern, "quick")
    carrier = effects(govern, handler)
    assert carrier.carry_out_next((Lane.INTERACTIVE,))
    assert not carrier.carry_out_next((Lane.INTERACTIVE,))
    assert carrier.carry_out_next((Lane.BACKGROUND,))
    assert seen == [("quick", Lane.INTERACTIVE), ("slow", Lane.BACKGROUND)]


def test_long_work_keeps_its_claim(govern: Govern, clock: FrozenDateTimeFactory) -> None:
    effect_id = owe(govern)

    def patient(claim: Claim) -> None:
        for _ in range(4):
            clock.tick(outbox.LEASE * 0.9)
            carrier.renew()
            assert not carrier.carry_out_next(BOTH)
        assert carrier.in_hand() == ["probe one"]
        with govern.unit_of_work(claim.actor) as uow:
            outbox.settle(uow, claim)

    carrier = effects(govern, patient)
    assert carrier.carry_out_next(BOTH)
    assert reloaded(govern, effect_id).state is EffectState.DONE
    assert carrier.in_hand() == []
