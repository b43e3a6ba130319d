"""A list of people as it was written: headings or none, any delimiter, bad lines by their number, nobody twice."""

from __future__ import annotations

import pytest

from govern.batches.models import BatchKind
from govern.batches.rules import MOST_ROWS, digest, needing_yes, of_people, read
from govern.core import csv_reading, csv_text
from govern.core.errors import InvalidInput

REMOVE, INVITE = BatchKind.REMOVE, BatchKind.INVITE


@pytest.mark.parametrize(
    "text",
    [
        "eve@acme.example\nmax@acme.example",
        "Eve@Acme.example, max@acme.example;",
        "Eve Employee <eve@acme.example>\n\n  max@acme.example\t",
        "E-Mail;Name\neve@acme.example;Eve\nmax@acme.example;Max\n",
        '\ufeffName,User principal name\r\n"Eve, E.",EVE@acme.example\r\n\r\nMax,max@acme.example\r\n',
        "sep=|\r\nid|x\r\neve@acme.example|1\r\nmax@acme.example|2\r\n",
        "mail\tteam\n'=eve@acme.example\tA\nmax@acme.example\tB".replace("'=", ""),
    ],
)
def test_the_same_people_however_they_are_written(text: str) -> None:
    assert [(line.who, line.problem) for line in read(REMOVE, text)] == [("eve@acme.example", None), ("max@acme.example", None)]


def test_each_bad_line_is_named_and_the_others_count() -> None:
    lines = read(
        INVITE,
        "email,role,projects\nnew@acme.example,Owner,Search; Shop:owner\nnobody\n,reader,\n"
        "New@acme.example,,\nx@acme.example,,,,too many\nkey@acme.example,sk-proj-" + "a" * 40 + ",\n",
    )
    assert (lines[0].role, lines[0].projects) == ("owner", (("Search", "member"), ("Shop", "owner")))
    assert [(line.line, line.repeats) for line in lines] == [(2, None), (3, None), (4, None), (5, 2), (6, None), (7, None)]
    said = [line.problem or "" for line in lines]
    for problem, word in zip(
        said, ["", "“nobody” is not an address", "no address", "", "more cells", "looks like a key"], strict=True
    ):
        assert word in problem
    assert "sk-proj" not in "".join(line.who for line in lines)


def test_ids_are_people_too_but_only_to_remove() -> None:
    people = [{"who": "user-AbC123"}, {"who": "per_01abc"}]
    assert [line.who for line in of_people(REMOVE, people)] == ["user-AbC123", "per_01abc"]
    assert all(line.problem for line in of_people(INVITE, people))


@pytest.mark.parametrize(
    "text", ["", "  \n", "name,team\nEve,A\n", "\x00", "email\n", 'email\n"a', "a@b.example\n" * (MOST_ROWS + 1)]
)
def test_what_is_no_list_is_refused(text: str) -> None:
    if text == 'email\n"a':
        assert read(REMOVE, text)[0].problem or read(REMOVE, text)[0].who == "a"
        return
    with pytest.raises(InvalidInput):
        read(REMOVE, text)


@pytest.mark.parametrize(
    ("data", "remark"),
    [("é@a.example".encode(), False), ("é@a.example".encode("utf-16"), False), ("é@a.example".encode("cp1252"), True)],
)
def test_encodings(data: bytes, remark: bool) -> None:
    text, said = csv_reading.decode(data, most_bytes=100)
    assert (text, said is not None) == ("é@a.example", remark)


@pytest.mark.parametrize("data", [b"PK\x03\x04rest", b"a" * 101, b"\x81\x8d\x8f"])
def test_what_is_no_text_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        csv_reading.decode(data, most_bytes=100)


def test_order_does_not_matter_but_reason_and_rights_do() -> None:
    one, other = read(REMOVE, "a@x.example b@x.example"), read(REMOVE, "b@x.example\na@x.example")
    assert digest(REMOVE, "why", one) == digest(REMOVE, "why", other)
    assert len({digest(REMOVE, "why", one), digest(REMOVE, "else", one), digest(INVITE, "why", one)}) == 3


@pytest.mark.parametrize(
    ("wanted", "recent", "alone", "needing"),
    [(5, 0, 10, 0), (10, 0, 10, 0), (11, 0, 10, 1), (5, 8, 10, 3), (5, 30, 10, 5), (3, 0, 0, 3), (0, 99, 10, 0)],
)
def test_how_many_one_admin_may_decide(wanted: int, recent: int, alone: int, needing: int) -> None:
    assert needing_yes(wanted, recent=recent, alone=alone) == needing


def test_no_cell_of_an_outcome_is_a_formula() -> None:
    told = "".join(csv_text.lines(("who",), [(cell,) for cell in ("=1+1", "@x", "-2", "+3", "\t=4", "plain")]))
    assert [line.strip('"') for line in told.split("\r\n")] == ["who", "'=1+1", "'@x", "'-2", "'+3", "'\t=4", "plain", ""]
