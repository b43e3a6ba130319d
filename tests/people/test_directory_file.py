"""Reading a directory file: whatever a spreadsheet makes of it, each line is either understood or named."""

from __future__ import annotations

from datetime import date

import pytest

from govern.core import csv_text
from govern.core.errors import InvalidInput
from govern.people.directory_file import Sheet, day_of, decode, read


def sheet(data: bytes | str) -> Sheet:
    return read(data if isinstance(data, str) else decode(data)[0])


PLAIN = "email,name,team\neve@acme.example,Eve Müller,Search\n"


@pytest.mark.parametrize(
    "data",
    [
        PLAIN.encode(),
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        PLAIN.encode("cp1252"),
        PLAIN.replace(",", ";").encode(),
        b"sep=;\r\n" + PLAIN.replace(",", ";").replace("\n", "\r\n").encode(),
        PLAIN.replace(",", "\t").encode(),
        ("\r\n\r\n" + PLAIN + ",,\n\n").encode(),
        b" E-Mail Address ;Display Name;DEPARTMENT\n EVE@ACME.example ; Eve M\xc3\xbcller ;Search\n",
        "User Principal Name,Given name,Surname,Dept.\neve@acme.example,Eve,Müller,Search".encode(),
    ],
)
def test_the_same_person_from_every_kind_of_file(data: bytes) -> None:
    found = sheet(data)
    [entry] = found.entries
    assert not found.problems
    assert (entry.email, entry.said["name"], entry.said["team"]) == ("eve@acme.example", "Eve Müller", "Search")


def test_an_encoding_that_was_guessed_is_told() -> None:
    assert decode(PLAIN.encode())[1] is None
    assert "Windows-1252" in (decode(PLAIN.encode("cp1252"))[1] or "")


BAD_ROWS = {
    ",Nobody,Search": "There is no address.",
    "not an address,X,": "is not an address. Write it like",
    "eve@acme.example,Eve,Search,2026-02-30,,": "“2026-02-30” is not a day of the calendar.",
    "eve@acme.example,Eve,Search,03/04/2026,,": "may be read in two ways. Write it like 2026-03-12.",
    "eve@acme.example,Eve,Search,soon,,": "“soon” is not a day.",
    "eve@acme.example,Eve,Search,2026-03-02,2026-03-02,": "It ends before it begins.",
    "eve@acme.example,Eve,Search,,,Max Manager": "“Max Manager” is not an address.",
    "eve@acme.example,Eve,Search,,,EVE@acme.example": "cannot be their own manager",
    "eve@acme.example,Eve,Search,,,,more": "more cells than there are headings",
    'eve@acme.example,"Eve\nE",,,,': "line breaks",
    f"eve@acme.example,Eve,{'x' * 201},,,": "longer than 200",
    f"eve@acme.example,Eve,sk-proj-{'a1B2' * 12},,,": "looks like a key",
}


def test_a_row_that_cannot_be_used_is_named_with_what_to_do_and_the_others_are_kept() -> None:
    header = "email,name,team,starts_on,ends_on,manager\n"
    for row, sentence in BAD_ROWS.items():
        found = sheet(f'{header}ada@acme.example,"Ada\tA",,,,\nmax@acme.example,Max,,,,\n{row}\nola@acme.example,Ola,,,,\n')
        assert [entry.line for entry in found.entries] == [3, 4 + row.count("\n") + 1], row
        assert [problem.line for problem in found.problems] == [2, 4], row
        assert sentence in found.problems[1].sentence, row
        assert "a1B2" not in found.problems[1].sentence


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"PK\x03\x04rest of a workbook", "workbook"),
        (b"email\x00,name", "not text"),
        (b"name,team\nEve,Search\n", "none of them is the address"),
        (b"email,name\n\n", "names nobody"),
        (b"", "none of them is the address"),
        (b"\x81\x8d", "not text"),
    ],
)
def test_what_is_no_directory_is_refused_with_what_to_do(data: bytes, what: str) -> None:
    with pytest.raises(InvalidInput, match=what) as refusal:
        sheet(data)
    assert refusal.value.fields["file"]


def test_headings_that_mean_nothing_are_told() -> None:
    found = sheet("email,salary,team,Shoe size\neve@acme.example,1,Search,38\n")
    assert found.ignored == ["salary", "Shoe size"]
    assert found.columns == {"email", "team"}


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-03-12", date(2026, 3, 12)),
        ("2026/3/12", date(2026, 3, 12)),
        ("12.3.2026", date(2026, 3, 12)),
        ("2026-03-12T00:00:00Z", date(2026, 3, 12)),
        ("2026-03-12 00:00:00", date(2026, 3, 12)),
        ("", None),
    ],
)
def test_days_as_people_write_them(text: str, day: date | None) -> None:
    assert day_of(text) == day


def test_the_last_day_of_work_is_the_day_before_the_end() -> None:
    [entry] = sheet("email,last working day\neve@acme.example,2026-03-31\n").entries
    assert entry.ends_on == date(2026, 4, 1)


FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", '=HYPERLINK("https://x")')


def test_an_export_calculates_nothing_and_reads_back_as_it_was() -> None:
    written = "".join(csv_text.lines(["email", "team"], [("eve@acme.example", formula) for formula in FORMULAS]))
    for line in written.splitlines()[1:]:
        assert line.partition(",")[2].lstrip('"').startswith("'")
    assert [csv_text.as_meant(csv_text.defused(cell)) for cell in (*FORMULAS, "plain", "'quoted", "")] == [
        *FORMULAS, "plain", "'quoted", "",
    ]  # fmt: skip
