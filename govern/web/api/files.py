"""Answers that are files: streamed, named, and documented as what they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Final

import marshmallow as ma
from flask import Response
from flask.typing import ResponseReturnValue

from govern.usage import exports
from govern.usage.exports import Sheet

CSV: Final = "text/csv; charset=utf-8"
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_CHUNK: Final = 64 * 1024
BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
TABLE: Final = {200: {"description": "The file.", "content": {"text/csv": {"schema": {"type": "string"}}, XLSX: BINARY}}}
"""For `blueprint.doc(responses=…)`."""


def format_field(**more: object) -> ma.fields.String:
    """The field `format`."""
    return ma.fields.String(
        load_default="csv", validate=ma.validate.OneOf(["csv", "xlsx"]),
        metadata={"description": "`csv` with every digit, or `xlsx`.", **more},
    )  # fmt: skip


def answer(sheet: Sheet, kind: str, name: str) -> ResponseReturnValue:
    """The sheet as a download, while it is being read. `kind` is csv or xlsx, `name` the file's name without the ending."""
    if kind == "xlsx":
        file = exports.xlsx(sheet)
        sent = Response(_chunks(file), content_type=XLSX)
        sent.call_on_close(file.close)
    else:
        sent = Response(exports.csv_lines(sheet), content_type=CSV)
    sent.headers["Content-Disposition"] = f'attachment; filename="{name}.{kind}"'
    return sent


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while part := file.read(_CHUNK):
            yield part
