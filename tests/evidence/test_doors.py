"""Evidence by REST, on the dashboard and by the command line, which checks it offline."""

from __future__ import annotations

from pathlib import Path

import pytest
from freezegun.api import FrozenDateTimeFactory

from tests.cli.conftest import Govern, command, host, openai_url
from tests.evidence.conftest import Proven
from tests.web.conftest import Door, door

__all__ = ["command", "door", "host", "openai_url"]


@pytest.mark.one_database
def test_the_file_and_the_pages_by_rest_and_on_the_dashboard(clock: FrozenDateTimeFactory, door: Door, proven: Proven) -> None:
    api, evidence_id = door.api("admin"), proven.removal.evidence_id
    listed = api.get("/evidence").get_json()["items"]
    assert [(row["id"], row["kind"], row["subject"]) for row in listed] == [(evidence_id, "removal", proven.removal.id)]
    assert api.get("/evidence?kind=other").get_json()["items"] == []
    for path in (f"/evidence/{evidence_id}", f"/evidence/{evidence_id}.json", f"/offboardings/{proven.removal.id}/evidence"):
        assert api.get(path).data == proven.file()
    pdf = proven.pdf()
    wanted = {"Accept": "application/pdf"}
    for path, headers in (
        (f"/evidence/{evidence_id}", wanted), (f"/evidence/{evidence_id}.pdf", {}),
        (f"/offboardings/{proven.removal.id}/evidence", wanted),
    ):  # fmt: skip
        answer = api.get(path, headers=headers)
        assert (answer.status_code, answer.content_type, answer.data) == (200, "application/pdf", pdf)
    assert api.get("/evidence/evd_none.pdf").status_code == 404
    assert api.get(f"/evidence/{evidence_id}.docx").status_code == 404
    assert door.api("manager").get(f"/evidence/{evidence_id}.pdf").status_code == 403

    page = door.browser("admin")
    assert f"/evidence/{evidence_id}/file.pdf" in page.get(f"/offboardings/{proven.removal.id}").text
    shown = page.get(f"/evidence/{evidence_id}").text
    for words in ("Complete listings", "audit log", "Usage", "Signing key", f"/evidence/{evidence_id}/file.json"):
        assert words in shown
    assert f'href="/evidence/{evidence_id}"' in page.get("/evidence").text
    assert page.get(f"/evidence/{evidence_id}/file.pdf").data == pdf
    assert page.get("/evidence/key.pem").data == proven.pem()


@pytest.mark.one_database
def test_the_command_line_checks_a_pdf_offline(
    clock: FrozenDateTimeFactory, command: Govern, proven: Proven, tmp_path: Path, host: pytest.MonkeyPatch
) -> None:
    assert proven.removal.evidence_id in command("evidence list").out
    assert command(f"evidence get {proven.removal.id}").out.encode() == proven.file()
    file, key = tmp_path / "evidence.pdf", tmp_path / "key.pem"
    file.write_bytes(proven.pdf())
    key.write_bytes(proven.pem())
    host.setenv("GOVERN_DATABASE_URL", "sqlite:////nowhere/at/all.db")
    held = command(f"evidence verify {file} --key {key}")
    assert (held.code, "It holds." in held.out, f"{proven.removal.evidence_id}.json" in held.out) == (0, True, True)
    assert command(f"evidence verify {file} --key {key} --json").json["attached"][0]["subject"] == proven.removal.id
    whole = bytearray(file.read_bytes())
    whole[len(whole) // 2] ^= 1
    file.write_bytes(whole)
    broken = command(f"evidence verify {file} --key {key}")
    assert (broken.code, "changed" in broken.err) == (1, True)
