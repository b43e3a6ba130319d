"""Evidence as pages for people: every fact of the signed files, the files themselves attached. Pure.

The document of a kind that is not known here is drawn too, field by field, so that nothing of what was signed is left out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from govern.evidence import rules
from govern.evidence.paper import AMBER, GREEN, MUTED, Paper
from govern.evidence.rules import KINDS

_DRAWN: Final = {
    "format", "id", "kind", "subject", "signed_at", "email", "person", "member", "reason", "started_by", "started_by_name",
    "started_at", "proven_at", "steps", "keys", "shared_keys_rotated", "witnesses", "changes_at_openai", "not_promised",
    "evidence", "keys_watched", "watched_until", "used", "openai_audit_log", "holdings",
}  # fmt: skip
"""The fields that have a place on the pages."""


def pages(files: Sequence[bytes], key_id: str) -> bytes:
    """The PDF of these evidence files (a removal's, and its seal where there is one), each attached as it is.

    `key_id` is the fingerprint of the key that signed them. The same files give the same bytes.
    """
    documents = [json.loads(file)["document"] for file in files]
    first, seal = documents[0], next((one for one in documents if one["kind"] == "removal.seal"), None)
    who = first.get("email") or first["subject"]
    title = f"{KINDS.get(first['kind'], first['kind'])}: {who}"
    signed_at = max(datetime.fromisoformat(document["signed_at"]) for document in documents)
    paper = Paper(
        title, f"Evidence {first['id']} · {who}", signed_at, shaped=any(_JOINED.search(file.decode("utf-8")) for file in files)
    )
    _head(paper, first, seal, who)
    _witnesses(paper, first, seal)
    _done(paper, first)
    _listings(paper, (first.get("witnesses") or {}).get("listings", []))
    for document in documents:
        _changes(paper, document)
        _rest(paper, document)
    _limits(paper, first)
    _how_to_check(paper, documents, files, key_id)
    for document, file in zip(documents, files, strict=True):
        name = f"{document['id']}.json"
        paper.embed_file(bytes=file, basename=name, desc=f"Signed evidence {document['id']}", modification_date=signed_at)
    return bytes(paper.output())


_JOINED: Final = re.compile("[\u0300-\u036f\u0590-\u109f\ufb1d-\ufdff\ufe70-\ufefe]")
"""Letters that join or run from the right, and marks that go onto others."""


def when(text: object, zone: str = " UTC") -> str:
    """An instant as people read it, to the second, in UTC."""
    try:
        return f"{datetime.fromisoformat(str(text)).astimezone(UTC):%Y-%m-%d %H:%M:%S}{zone}"
    except ValueError:
        return str(text)


def _head(paper: Paper, first: Mapping[str, Any], seal: Mapping[str, Any] | None, who: str) -> None:
    paper.line_of("govern · signed evidence", size=8, colour=MUTED, after=2)
    paper.line_of(KINDS.get(first["kind"], first["kind"]), size=10, colour=MUTED)
    paper.line_of(who, size=17 if len(who) < 40 else 12, style="B", after=3)
    if "proven_at" in first:
        sealed = f" Sealed {when(seal['signed_at'])}: no use of their keys was reported since." if seal else ""
        paper.banner(
            "Removed, and proven absent" if first["kind"] == "removal" else "No use after the end",
            f"Complete listings, read twice, showed nothing of them any more on {when(first['proven_at'])}.{sealed}",
            GREEN,
        )
    paper.facts(
        [
            ("Why", first.get("reason")),
            ("Asked for by", " · ".join(filter(None, (first.get("started_by_name"), first.get("started_by"))))),
            ("Begun, contained", when(first["started_at"]) if "started_at" in first else None),
            ("Proven", when(first["proven_at"]) if "proven_at" in first else None),
            ("Signed", when(first["signed_at"])),
            ("Person here", first.get("person")),
            ("User at OpenAI", first.get("member")),
            ("About", first.get("subject")),
            ("Evidence", first["id"]),
            ("Of the removal's evidence", first.get("evidence")),
            ("Its seal", seal["id"] if seal and seal is not first else None),
        ]
    )


def _witnesses(paper: Paper, first: Mapping[str, Any], seal: Mapping[str, Any] | None) -> None:
    heard = rules.heard(first, seal)
    if heard:
        paper.heading("Verified by three witnesses")
        rows = [
            (f"{number}  {each.name}", ", ".join(map(when, each.at)) or each.state, each.said)
            for number, each in enumerate(heard, 1)
        ]
        paper.grid(("Witness", "When", "What it says"), rows, (26, 38, 56), size=8)


def _done(paper: Paper, first: Mapping[str, Any]) -> None:
    if "steps" in first:
        paper.heading("What was found and done")
        rows = [(step["title"], step["found"], step["ended"], when(step["at"]) if step["at"] else "–") for step in first["steps"]]
        paper.grid(("Step, in this order", "Found", "Ended", "Through"), rows, (60, 12, 12, 32), size=8)
    if first.get("holdings"):
        paper.heading(f"What they held at OpenAI: {len(first['holdings'])}")
        held = [
            (
                each["kind"].replace("_", " "), " ".join(filter(None, (each["name"], each["id"], each["api_key"]))),
                each["in"] or "–", when(each["ended_at"], "") if each["ended_at"] else each["refused"] or "–",
                when(each["proven_at"], "") if each["proven_at"] else "not proven",
            )
            for each in first["holdings"]
        ]  # fmt: skip
        paper.grid(("What", "Which", "In", "Ended (UTC)", "Proven (UTC)"), held, (20, 50, 38, 28, 28), size=6.5, ids=True)
    for name, title in (
        ("keys", "Keys issued for them"),
        ("shared_keys_rotated", "Shared keys they had seen, given a new version"),
    ):
        if first.get(name):
            paper.heading(title)
            ids = [
                (
                    key["name"], key["project"], f"{key['api_key'] or '–'}\n{key['service_account'] or ''}",
                    key["state"] + (f", {when(key['ended_at'])}" if key.get("ended_at") else ""),
                )
                for key in first[name]
            ]  # fmt: skip
            paper.grid(("Name", "Project", "Key and service account at OpenAI", "State"), ids, (26, 30, 44, 30))


def _changes(paper: Paper, document: Mapping[str, Any]) -> None:
    if "changes_at_openai" in document:
        calls = document["changes_at_openai"]
        paper.heading(f"Changes made at OpenAI for it: {len(calls)}")
        rows = [
            (when(call["at"], ""), f"{call['method']} {call['path']}", call["status"] or "no answer", call["request_id"] or "–")
            for call in calls
        ]
        paper.grid(
            ("When (UTC)", "Call", "Answer", "Request id"), rows, (28, 74, 12, 42), size=6.5, ids=True
        ) if rows else paper.line_of("None was needed.")
    log = document.get("openai_audit_log", {})
    _events(paper, log.get("events", []))
    if log.get("not_told"):
        paper.heading("Of whose end OpenAI's audit log does not tell", needs=18)
        paper.line_of(", ".join(log["not_told"]), size=7.5)
    if document.get("keys_watched"):
        paper.heading("Keys watched for use after their end", needs=18)
        paper.line_of(", ".join(document["keys_watched"]), size=7.5)


def _listings(paper: Paper, read: Sequence[Mapping[str, Any]]) -> None:
    if read:
        paper.heading(f"Listings read to their end, twice: {len(read)}")
        rows = [(each["listing"], when(each["first"], ""), when(each["second"], "")) for each in read]
        paper.grid(("Listing", "First (UTC)", "Second (UTC)"), rows, (90, 32, 32), size=6.5, ids=True)


def _events(paper: Paper, events: Sequence[Mapping[str, Any]]) -> None:
    if events:
        paper.heading("What OpenAI's own audit log tells of it")
        rows = [
            (
                when(event["at"], ""),
                event["type"],
                event["resource"],
                event["id"],
                "this service" if event["by_us"] else "another",
            )
            for event in events
        ]
        paper.grid(("When (UTC)", "Event", "Of", "Event id", "By"), rows, (28, 34, 42, 42, 22), size=6.5, ids=True)


def _rest(paper: Paper, document: Mapping[str, Any]) -> None:
    rest = {name: value for name, value in document.items() if name not in _DRAWN}
    if rest:
        paper.heading("Also signed")
        plain = {name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for name, value in rest.items()}
        paper.grid(("Field", "Value"), list(plain.items()), (30, 100), ids=True)


def _limits(paper: Paper, first: Mapping[str, Any]) -> None:
    if first.get("not_promised"):
        paper.heading("What is not promised")
        for sentence in first["not_promised"]:
            paper.line_of(f"• {sentence}", after=0.6)


def _how_to_check(paper: Paper, documents: Sequence[Mapping[str, Any]], files: Sequence[bytes], key_id: str) -> None:
    paper.heading("How to check this, offline", needs=70)
    paper.line_of(
        "These pages are drawn from the signed file that is named below and attached to this PDF. File and pages are signed "
        "(Ed25519). With the public key, which anybody may have, one command checks both, without network or database:",
        after=1.5,
    )
    paper.line_of("govern evidence verify THIS-FILE.pdf --key evidence-key.pem", style="B", after=1.5)
    paper.facts(
        [
            *(
                fact
                for document, file in zip(documents, files, strict=True)
                for fact in (("Attached file", f"{document['id']}.json"), ("Its SHA-256", hashlib.sha256(file).hexdigest()))
            ),
            ("Signing key", key_id),
            ("Where the key is", "govern evidence key, or /api/v1/evidence/key. Keep a copy, fetched before you need it."),
        ]
    )  # fmt: skip
    if paper.substituted:
        paper.banner(
            "Some characters are written as code points",
            "The typeface of these pages lacks some scripts. [U+…] stands for one character; the attached file has it as it is.",
            AMBER,
        )
