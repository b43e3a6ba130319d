"""Evidence on paper: an independent reader finds every fact and the signed file in it, and one changed byte is noticed."""

from __future__ import annotations

import hashlib
import io
import json
import random
from datetime import timedelta

import pytest
from freezegun.api import FrozenDateTimeFactory
from pypdf import PdfReader

from govern.evidence import envelope, rules
from govern.evidence.pdf import pages
from govern.evidence.rules import EvidenceBroken
from govern.inventory import events
from govern.offboarding import service as offboarding
from govern.usage import sync
from tests.evidence.conftest import Proven
from tests.given import ADMIN, EVE


def text_of(pdf: bytes) -> str:
    """All words of the pages, without the breaks that lines make."""
    return "".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages).replace("\n", "").replace(" ", "")


def attached(pdf: bytes) -> dict[str, bytes]:
    """What any reader of PDF finds attached."""
    return {name: contents[0] for name, contents in PdfReader(io.BytesIO(pdf)).attachments.items()}


@pytest.mark.one_database
def test_the_pages_say_what_the_file_says_and_carry_it(proven: Proven) -> None:
    file, pdf = proven.file(), proven.pdf()
    document, said = json.loads(file)["document"], text_of(pdf)
    assert attached(pdf) == {f"{document['id']}.json": file}
    held = document["keys"][0]
    for fact in (
        document["id"], EVE, document["started_by"],  held["api_key"], held["service_account"], held["project"],
        *(call["request_id"] for call in document["changes_at_openai"]), *(step["title"] for step in document["steps"]),
        rules.fingerprint(rules.read_public(proven.pem())), hashlib.sha256(file).hexdigest(),
        *document["not_promised"], "governevidenceverify",
    ):  # fmt: skip
        assert str(fact).replace(" ", "") in said, fact
    assert f"WhattheyheldatOpenAI:{len(document['holdings'])}" in said
    for holding in document["holdings"]:
        assert holding["id"] in said
    # Scripts that the typeface has are drawn; the others are named, never left out or drawn as boxes.
    assert "gekündigt" in said
    assert "уволилась" in said
    assert "[U+9000][U+8077]" in said
    assert "Somecharactersarewrittenascodepoints" in said
    assert envelope.check(pdf, rules.read_public(proven.pem())) == [document]
    assert proven.pdf() == pdf, "the same evidence gives the same bytes"


@pytest.mark.one_database
def test_one_changed_byte_of_the_pdf_is_noticed(proven: Proven) -> None:
    pdf, public = proven.pdf(), rules.read_public(proven.pem())
    places = {*range(0, len(pdf), 997), *range(len(pdf) - 400, len(pdf)), pdf.index(proven.file()) + 40}
    for place in places | set(random.Random(7).sample(range(len(pdf)), 200)):
        for changed in (pdf[place] ^ 1, pdf[place] ^ 32):
            with pytest.raises(EvidenceBroken):
                envelope.check(pdf[:place] + bytes([changed]) + pdf[place + 1 :], public)
    line = pdf[pdf.rindex(b"\n%govern") :]
    for other in (pdf + b"\n", pdf[:-1], b"", b"%PDF-1.4", pdf[: pdf.rindex(b"\n%govern")], pdf[:-1] + line, line):
        with pytest.raises(EvidenceBroken):
            envelope.check(other, public)


@pytest.mark.one_database
def test_pages_of_another_signer_are_noticed(proven: Proven) -> None:
    """Whoever draws other pages around the true file cannot sign them."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    forged = envelope.signed(pages([proven.file()], "0" * 64), [proven.file()], Ed25519PrivateKey.generate())
    for pdf in (forged, forged.replace(forged[-194:-130], proven.pdf()[-194:-130])):
        with pytest.raises(EvidenceBroken):
            envelope.check(pdf, rules.read_public(proven.pem()))


def test_once_sealed_all_three_witnesses_stand_in_it(proven: Proven, clock: FrozenDateTimeFactory) -> None:
    govern, outside = proven.world.govern, proven.world.govern.need_outside()
    clock.tick(timedelta(hours=26))
    sync.run_usage(govern.unit_of_work, outside.usage, trailing_days=2, backfill_days=2)
    events.pull(govern.unit_of_work, outside.events)
    with govern.unit_of_work(ADMIN) as uow:
        assert offboarding.seal_due(uow, after=timedelta(hours=24))["sealed"] == 1
    removal = proven.world.reload(proven.removal)
    pdf = proven.pdf()
    said = text_of(pdf)
    assert pdf == proven.pdf(removal.seal_id), "asked for by either"
    assert set(attached(pdf).values()) == {proven.file(), proven.file(removal.seal_id)}
    seal = json.loads(proven.file(removal.seal_id))["document"]
    for witness in seal["witnesses"][1:]:
        assert witness["sentence"].replace(" ", "") in said
    for listing in json.loads(proven.file())["document"]["witnesses"]["listings"]:
        assert listing["listing"].replace(" ", "") in said
    for event in seal["openai_audit_log"]["events"]:
        assert event["id"] in said
    assert [each["kind"] for each in envelope.check(pdf, rules.read_public(proven.pem()))] == ["removal", "removal.seal"]


def test_what_is_not_known_is_drawn_too() -> None:
    """Evidence of another kind, with other fields, in scripts that need care, and texts that steer the direction of others."""
    document = {
        "format": "govern-evidence/1", "id": "evd_x", "kind": "something.new", "subject": "thing_1",
        "signed_at": "2026-03-10T12:00:00+00:00", "novel": {"deep": ["value", 1]}, "reason": "שלום a\u202egpj.exe 👩",
    }  # fmt: skip
    said = text_of(pages([rules.canonical({"document": document, "signature": {}})], "0" * 64))
    assert "שלום" in said or "םולש" in said
    for fact in ("something.new", "thing_1", '{"deep":["value",1]}', "[U+202E]gpj.exe", "[U+1F469]"):
        assert fact in said
