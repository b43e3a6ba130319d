"""`govern evidence`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from govern.cli import host, output
from govern.core.errors import InvalidInput
from govern.evidence import queries, rules
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


@evidence.command()
@click.argument("removal_id", metavar="REMOVAL")
@click.option("--seal", is_flag=True, help="The seal that was signed a day later, instead.")
def get(removal_id: str, seal: bool) -> None:
    """Print the evidence of a removal. Write it to a file as it is: every byte is signed."""
    with host.opened() as govern, govern.unit_of_work.reading() as session:
        removal = removals.get(session, removal_id)
        file = queries.get(session, removal.seal_id if seal else removal.evidence_id).file
    sys.stdout.buffer.write(file.encode("utf-8"))
    sys.stdout.buffer.flush()


@evidence.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--key", "key_file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The public key, from `govern evidence key`. Without it the service's own database is asked.",
)  # fmt: skip
@host.as_json
def verify(file: Path, key_file: Path | None, as_json: bool) -> None:
    """Check FILE against the public key; with --key nothing else is needed, no network and no database."""
    if file.stat().st_size > MOST_BYTES:
        raise InvalidInput("That file is too large to be evidence.")
    if key_file is not None:
        pem = key_file.read_bytes()
    else:
        with host.opened() as govern, govern.unit_of_work.reading() as session:
            pem = queries.public_key(session).public_pem.encode("ascii")
    public = rules.read_public(pem)
    document = rules.check(file.read_bytes(), public)
    row = {"ok": True, "key": rules.fingerprint(public), **document}
    if as_json:
        print(json.dumps(row, indent=2, ensure_ascii=False))
        return
    about = output.cell(document.get("email") or document.get("subject"))
    print(f"It holds. {document['kind']} of {about}, signed {document['signed_at']} with key {rules.fingerprint(public)[:16]}….")
