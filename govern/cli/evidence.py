"""`govern evidence`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from sqlalchemy.orm import Session

from govern.cli import host, output
from govern.core.errors import InvalidInput
from govern.evidence import envelope, queries, rules, service
from govern.evidence.models import Evidence
from govern.offboarding import queries as removals

MOST_BYTES = 64 * 2**20


@click.group()
def evidence() -> None:
    """Get and check the signed evidence of removals."""


@evidence.command()
def key() -> None:
    """Print the public key that checks evidence, as a PEM file."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        print(queries.public_key(session).public_pem, end="")


@evidence.command("list")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@host.as_json
def list_evidence(limit: int, as_json: bool) -> None:
    """What was signed, newest first."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        rows: list[dict[str, object]] = [
            {"id": row.id, "kind": row.kind, "subject": row.subject_id, "created_at": row.created_at, "key": row.key_id}
            for row in queries.recent(session, limit=limit)
        ]
    columns = {"id": "Id", "kind": "Kind", "subject": "About", "created_at": "Signed (UTC)"}
    output.show(rows, columns, as_json=as_json, empty="Nothing was signed yet: it is when a removal is proven.")


@evidence.command()
@click.argument("which", metavar="REMOVAL-OR-EVIDENCE")
@click.option("--seal", is_flag=True, help="The seal that was signed a day later, instead.")
@click.option("--pdf", is_flag=True, help="Pages for people, with the signed file attached; its seal too, once there is one.")
def get(which: str, seal: bool, pdf: bool) -> None:
    """Print the evidence of a removal. Write it to a file as it is: every byte is signed."""
    if pdf and sys.stdout.isatty():
        raise InvalidInput("A PDF is nothing for a terminal. Write it to a file: govern evidence get ID --pdf > evidence.pdf")
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        row = _row(session, which, seal=seal)
        file = service.pdf(session, govern.box, row.id) if pdf else row.file.encode("utf-8")
    sys.stdout.buffer.write(file)
    sys.stdout.buffer.flush()


def _row(session: Session, which: str, *, seal: bool) -> Evidence:
    """The evidence with this id, or of the removal with this id. Raises NotFound."""
    if session.get(Evidence, which) is None:
        removal = removals.get(session, which)
        return queries.get(session, removal.seal_id if seal else removal.evidence_id)
    found = queries.with_seal(session, queries.get(session, which))
    wanted = [row for row in found if row.kind.endswith(queries.SEAL)] if seal else [row for row in found if row.id == which]
    return wanted[0] if wanted else queries.get(session, None)


@evidence.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--key", "key_file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The public key, from `govern evidence key`. Without it the service's own database is asked.",
)  # fmt: skip
@host.as_json
def verify(file: Path, key_file: Path | None, as_json: bool) -> None:
    """Check FILE, JSON or PDF, against the public key; with --key nothing else is needed, no network and no database."""
    if file.stat().st_size > MOST_BYTES:
        raise InvalidInput("That file is too large to be evidence.")
    if key_file is not None:
        pem = key_file.read_bytes()
    else:
        with host.opened() as govern, govern.unit_of_work.reading() as session:
            pem = queries.public_key(session).public_pem.encode("ascii")
    public, content = rules.read_public(pem), file.read_bytes()
    on_pages = content.startswith(envelope.MAGIC)
    documents = envelope.check(content, public) if on_pages else [rules.check(content, public)]
    document = documents[0]
    row = {"ok": True, "key": rules.fingerprint(public), **document}
    if on_pages:
        row["attached"] = documents
    if as_json:
        print(json.dumps(row, indent=2, ensure_ascii=False))
        return
    about = output.cell(document.get("email") or document.get("subject"))
    print(f"It holds. {document['kind']} of {about}, signed {document['signed_at']} with key {rules.fingerprint(public)[:16]}….")
    if on_pages:
        names = " and ".join(f"{each['id']}.json" for each in documents)
        print(f"Pages and attached {'files' if len(documents) > 1 else 'file'} are as they were signed: {names}.")
