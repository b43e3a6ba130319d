"""Checkpoints get out: to every sink, whole and in order, however often one of them fails; and a failing one is seen."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from freezegun.api import FrozenDateTimeFactory

from govern.bootstrap import make_sinks
from govern.checkpoints import effects, queries, signing
from govern.checkpoints.effects import Push
from govern.core import outbox
from govern.core.crypto import Secret
from govern.core.errors import InvalidInput
from govern.core.lanes import Lane
from govern.core.outbox import Later
from govern.core.uow import UnitsOfWork
from govern.settings import Audit, Settings, Webhook, load_settings
from tests.checkpoints.test_offline import JOB, record
from tests.peers.webhooks import WebhookSink, verify, webhook_sink

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdefghijklmnop").decode()
SINKS = ("file", "webhook")


@pytest.fixture
def receiver() -> Iterator[WebhookSink]:
    with webhook_sink() as found:
        yield found


@pytest.fixture
def push(unit_of_work: UnitsOfWork, receiver: WebhookSink, tmp_path: Path) -> Push:
    audit = Audit(file=str(tmp_path / "kept.jsonl"), webhook_url=f"{receiver.url}/audit", webhook_secret=Secret(SECRET))
    settings = Settings(mode="test", audit=audit, webhook=Webhook(allow_private=True))
    assert settings.audit.sinks == SINKS
    return Push(unit_of_work, make_sinks(settings))


def sign(units: UnitsOfWork, times: int = 1) -> None:
    for _ in range(times):
        record(units, "key.revoked")
        assert signing.sign_newest(units, JOB) is not None


def carry_out(units: UnitsOfWork, push: Push) -> dict[str, Later | None]:
    """Owe and push what is lacking, once per sink: the sink → what its handler answered."""
    signing.owe_pushes(units, JOB, SINKS)
    answers: dict[str, Later | None] = {}
    while True:
        with units(JOB) as uow:
            claim = outbox.claim_next(uow, (Lane.BACKGROUND,), ("audit.push",))
        if claim is None or claim.subject_id in answers:
            return answers
        answers[claim.subject_id] = push(claim)
        if (later := answers[claim.subject_id]) is not None:
            with units(JOB) as uow:
                outbox.postpone(uow, claim, timedelta(seconds=later.seconds), later.reason)


def signed(units: UnitsOfWork) -> list[str]:
    with units.reading() as session:
        return [row.line for row in queries.following(session, 0, 1000)]


@pytest.mark.one_database
class TestSinks:
    def test_each_gets_every_checkpoint_once(
        self, unit_of_work: UnitsOfWork, push: Push, receiver: WebhookSink, tmp_path: Path
    ) -> None:
        sign(unit_of_work, 2)
        assert carry_out(unit_of_work, push) == {"file": None, "webhook": None}
        sign(unit_of_work)
        carry_out(unit_of_work, push)
        assert carry_out(unit_of_work, push) == {}  # nothing is lacking
        lines = signed(unit_of_work)
        assert (tmp_path / "kept.jsonl").read_text() == "".join(lines)
        assert [line for got in receiver.received for line in got.json["data"]["lines"]] == lines
        verify(receiver.received[0], SECRET)
        assert (receiver.received[0].json["type"], receiver.received[0].json["data"]["seq"]) == ("audit.checkpoint", 3)

    def test_one_that_fails_is_seen_and_misses_nothing(
        self, clock: FrozenDateTimeFactory, unit_of_work: UnitsOfWork, push: Push, receiver: WebhookSink, tmp_path: Path
    ) -> None:
        sign(unit_of_work)
        for _ in range(2):
            receiver.answer_next(410)  # even what others take for a final refusal
            answer = carry_out(unit_of_work, push)["webhook"]
            assert answer is not None
            sign(unit_of_work)
            clock.tick(timedelta(minutes=6))
        with unit_of_work.reading() as session:
            file, hook = queries.standings(session, SINKS)
        assert (file.problem, hook.seq, hook.lacks) == (None, 0, 3)
        assert hook.problem == "The webhook's host 127.0.0.1 answered 410."
        assert hook.failing_since is not None
        assert carry_out(unit_of_work, push)["webhook"] is None
        with unit_of_work.reading() as session:
            assert [(each.lacks, each.problem) for each in queries.standings(session, SINKS)] == [(0, None)] * 2
        assert receiver.received[-1].json["data"]["lines"] == signed(unit_of_work)
        assert (tmp_path / "kept.jsonl").read_text() == "".join(signed(unit_of_work))
        told = [action for action in actions(unit_of_work) if action.startswith("audit.")]
        assert told == ["audit.sink_failed", "audit.sink_recovered"]  # not one per attempt

    def test_many_go_in_batches(
        self, unit_of_work: UnitsOfWork, push: Push, receiver: WebhookSink, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(effects, "BATCH", 2)
        sign(unit_of_work, 3)
        assert carry_out(unit_of_work, push)["webhook"] == Later(0, "more to push")
        assert carry_out(unit_of_work, push)["webhook"] is None
        assert [len(got.json["data"]["lines"]) for got in receiver.received] == [2, 1]

    def test_a_line_that_was_torn_by_a_power_cut_comes_again_whole(
        self, unit_of_work: UnitsOfWork, push: Push, tmp_path: Path
    ) -> None:
        sign(unit_of_work, 2)
        lines = signed(unit_of_work)
        (tmp_path / "kept.jsonl").write_text(lines[0] + lines[1][:100])
        carry_out(unit_of_work, push)
        assert (tmp_path / "kept.jsonl").read_text() == "".join([lines[0], *lines])

    def test_a_folder_that_is_not_there_is_named_as_the_problem(self, unit_of_work: UnitsOfWork, tmp_path: Path) -> None:
        sinks = make_sinks(Settings(mode="test", audit=Audit(file=str(tmp_path / "no" / "kept.jsonl"))))
        sign(unit_of_work)
        answer = carry_out(unit_of_work, Push(unit_of_work, sinks))["file"]
        assert answer == Later(5, "The file of checkpoints cannot be written: No such file or directory.")


def actions(units: UnitsOfWork) -> list[str]:
    from govern.audit import queries as log

    with units.reading() as session:
        return [link.action for link in log.links(session, after=0, until=10_000)]


def test_a_webhook_needs_a_secret() -> None:
    with pytest.raises(InvalidInput, match="GOVERN_AUDIT_WEBHOOK_SECRET_FILE"):
        make_sinks(Settings(mode="test", audit=Audit(webhook_url="https://audit.example.com")))


@pytest.mark.parametrize("url", ["logs.example.com:6514", "http://logs:6514", "tls://logs.example.com", "tls://logs:6514/x"])
def test_a_syslog_address_that_is_none_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"audit\.syslog"):
        load_settings({"GOVERN_AUDIT_SYSLOG": url, "GOVERN_SEALING_KEYS": "a:b"})
