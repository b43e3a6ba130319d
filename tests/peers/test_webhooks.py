from __future__ import annotations

import base64
import time
from typing import Any

import httpx
import pytest

from tests.peers.webhooks import Answer, BadSignature, Webhook, WebhookSink, verify, webhook_sink

# Worked out with OpenSSL, so that the check is not its own judge:
# printf 'msg_1.1700000000.{"type":"budget.alert"}' | openssl dgst -sha256 -hmac 'a secret of the tests' -binary | base64
SECRET = "whsec_" + base64.b64encode(b"a secret of the tests").decode()
SIGNED_AT = 1_700_000_000
BODY = b'{"type":"budget.alert"}'
SIGNATURE = "v1,D1pa20He+j2E+L/X95nxrFcosx2FHMcoIysbIS27CaM="


def webhook(body: bytes = BODY, **changes: str) -> Webhook:
    headers = {"Webhook-Id": "msg_1", "Webhook-Timestamp": str(SIGNED_AT), "Webhook-Signature": SIGNATURE}
    headers |= {f"Webhook-{name.title()}": value for name, value in changes.items()}
    return Webhook("POST", "/hook", headers, body, 204)


def test_it_keeps_what_came_and_answers_by_script() -> None:
    with webhook_sink() as sink, httpx.Client(trust_env=False) as http:
        sink.answer_next(503, Answer(429, {"Retry-After": "7"}, b"slow down"), Answer(cut=True))
        assert http.post(sink.url, json={"n": 1}).status_code == 503
        told = http.post(sink.url, json={"n": 2})
        assert (told.status_code, told.headers["Retry-After"], told.content) == (429, "7", b"slow down")
        with pytest.raises(httpx.RemoteProtocolError):
            http.post(sink.url, json={"n": 3})
        assert http.post(sink.url + "/deeper?x=1", json={"n": 4}, headers={"Idempotency-Key": "k"}).status_code == 204
        received = sink.wait_for(4)
        assert [each.json["n"] for each in received] == [1, 2, 3, 4]
        assert [each.status for each in received] == [503, 429, None, 204]
        assert (received[3].path, received[3].header("idempotency-key")) == ("/hook/deeper?x=1", "k")


def test_a_slow_answer_is_slow_and_does_not_hold_up_the_end() -> None:
    began = time.monotonic()
    with webhook_sink() as sink, httpx.Client(trust_env=False, timeout=0.1) as http:
        sink.answer_next(Answer(delay=60))
        with pytest.raises(httpx.ReadTimeout):
            http.post(sink.url, content=b"")
    assert time.monotonic() - began < 5


def test_waiting_for_nothing_ends() -> None:
    with pytest.raises(TimeoutError, match="0 of 1 webhooks"):
        WebhookSink("http://nowhere.example").wait_for(1, timeout=0.01)


@pytest.mark.parametrize("signature", [SIGNATURE, f"v1,b2xkIGtleQ== v1a,x {SIGNATURE}"])
def test_a_good_signature_is_good_for_five_minutes(signature: str) -> None:
    verify(webhook(signature=signature), SECRET, now=SIGNED_AT + 300)
    verify(webhook(signature=signature), SECRET, now=SIGNED_AT - 300)
    for late in (301, -301):
        with pytest.raises(BadSignature, match="too far from now"):
            verify(webhook(signature=signature), SECRET, now=SIGNED_AT + late)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"body": BODY + b" "}, "no signature fits"),
        ({"id": "msg_2"}, "no signature fits"),
        ({"timestamp": str(SIGNED_AT + 1)}, "no signature fits"),
        ({"signature": SIGNATURE.replace("v1,", "v2,")}, "no signature fits"),
        ({"signature": "v1,"}, "no signature fits"),
        ({"signature": ""}, "missing"),
        ({"timestamp": "soon"}, "whole seconds"),
    ],
)
def test_a_bad_signature_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadSignature, match=reason):
        verify(webhook(**changes), SECRET, now=SIGNED_AT)


def test_another_secret_is_refused() -> None:
    with pytest.raises(BadSignature, match="no signature fits"):
        verify(webhook(), "whsec_" + base64.b64encode(b"another secret").decode(), now=SIGNED_AT)
