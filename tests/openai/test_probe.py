"""What `govern doctor` is told about the admin key, in sentences that say what to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from wsgiref.handlers import format_date_time

import httpx
import pytest

from govern.core.crypto import Secret
from govern.fakes.server import serve
from govern.openai.client import make_client
from govern.openai.probe import Probe, probe
from tests.openai.conftest import Peer, PeerMaker


def probed(peer: Peer, scopes: list[str]) -> Probe:
    return probe(peer.client(admin_key=Secret(peer.fake.make_admin_key(scopes))))


def test_a_good_key_is_good(peer: Peer) -> None:
    found = probe(peer.client())
    assert found.ok
    assert all(check.ok for _, check in found.checks())


def test_the_two_scopes_are_told_apart(peer: Peer) -> None:
    only_management = probed(peer, ["api.management.read", "api.management.write"])
    assert (only_management.management.ok, only_management.usage.ok, only_management.ok) == (True, False, False)
    assert "api.usage.read" in only_management.usage.sentence
    only_usage = probed(peer, ["api.usage.read"])
    assert (only_usage.management.ok, only_usage.usage.ok, only_usage.ok) == (False, True, False)
    assert "api.management.read" in only_usage.management.sentence


def test_a_key_that_is_not_accepted_is_said_to_be_so(peer: Peer) -> None:
    found = probe(peer.client(admin_key=Secret("sk-admin-" + "x" * 40)))
    assert (found.management.ok, found.usage.ok) == (False, False)
    assert "does not accept the admin key" in found.management.sentence


@pytest.mark.parametrize("generation", ["2026-08", "2026-11"])
def test_the_generation_is_guessed(make_peer: PeerMaker, generation: str) -> None:
    peer = make_peer(generation=generation)
    assert probe(peer.client()).generation == generation
    assert probe(peer.client(generation="2026-08")).generation == "2026-08"


def test_trouble_in_between_is_no_verdict_on_the_key(peer: Peer) -> None:
    peer.fake.fault("*", kind="status:503", times=0)
    found = probe(peer.client())
    assert (found.management.ok, found.usage.ok, found.generation) == (None, None, None)
    assert not found.ok


def test_a_wrong_address_is_said_to_be_so(peer: Peer) -> None:
    found = probe(peer.client(base_url="http://openai.test/v2"))
    assert found.management.ok is False
    assert "GOVERN_OPENAI_BASE_URL" in found.management.sentence


def test_nobody_there_is_said_to_be_so(peer: Peer) -> None:
    with serve(peer.fake.app) as server:
        address = server.url
    client = make_client(base_url=f"{address}/v1", admin_key=Secret(peer.fake.admin_key), sleep=peer.ticker.sleep)
    found = probe(client)
    client.close()
    assert "cannot be reached" in found.management.sentence
    assert found.clock.ok is None


@pytest.mark.parametrize(("ahead", "ok", "way"), [(0, True, "agrees"), (120, False, "behind"), (-120, False, "ahead of")])
def test_the_clocks_are_compared(peer: Peer, ahead: int, ok: bool, way: str) -> None:
    def dated(environ, start_response):  # type: ignore[no-untyped-def]
        date = datetime.now(UTC) + timedelta(seconds=ahead)

        def start(status, headers, error=None):  # type: ignore[no-untyped-def]
            return start_response(status, [*headers, ("Date", format_date_time(date.timestamp()))])

        return peer.fake.app(environ, start)

    found = probe(peer.client(transport=httpx.WSGITransport(app=dated)))
    assert found.clock.ok is ok
    assert way in found.clock.sentence
    assert abs(found.skew - timedelta(seconds=ahead)) <= timedelta(seconds=3)
