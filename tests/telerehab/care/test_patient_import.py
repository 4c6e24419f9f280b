import csv
import io
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telerehab.care import patient_import
from telerehab.care.patient_import import DELIMITERS, ROWS_MAX, ImportRow, ReadFile, read_file

TODAY = date(2026, 11, 22)
HEADER = ["Navn", "CPR-nummer", "Telefon", "Adressebeskyttelse", "Sprog"]


def file_of(rows: list[list[str]], *, delimiter: str = ",", end: str = "\r\n") -> str:
    """Return rows as a spreadsheet writes them."""
    written = io.StringIO(newline="")
    csv.writer(written, delimiter=delimiter, lineterminator=end).writerows(rows)
    return written.getvalue()


def faults_of(read: ReadFile) -> list[tuple[int, str, str]]:
    return [(fault.line, fault.column, fault.kind) for fault in read.faults]


@pytest.mark.parametrize("delimiter", DELIMITERS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_file_reads_the_same_in_every_dress(delimiter: str, encoding: str, end: str) -> None:
    rows = [
        HEADER,
        ["Åse Østergård", "070250-1234", "+45 12 34 56 78", "ja", "da"],
        ["Bo; Bang, d.y.", "0102371234", "", "", "en"],
    ]
    read = read_file(file_of(rows, delimiter=delimiter, end=end).encode(encoding), today=TODAY)
    assert read.faults == ()
    assert read.rows == (
        ImportRow(
            line=2,
            name="Åse Østergård",
            birth_date=date(1950, 2, 7),
            cpr="0702501234",
            telephone="+45 12 34 56 78",
            language="da",
            has_protected_address=True,
            therapist_email=None,
            team_name=None,
        ),
        ImportRow(
            line=3,
            name="Bo; Bang, d.y.",
            birth_date=date(1937, 2, 1),
            cpr="0102371234",
            telephone=None,
            language="en",
            has_protected_address=None,
            therapist_email=None,
            team_name=None,
        ),
    )


def test_lines_are_counted_through_quoted_line_breaks_and_empty_lines() -> None:
    text = 'navn,cpr\n"Karen\nMargrethe\nHolm",0702501234\n\n,\nBo,12\n'
    read = read_file(text, today=TODAY)
    assert [(row.line, row.name) for row in read.rows] == [(2, "Karen Margrethe Holm")]
    assert faults_of(read) == [(7, "cpr", "cpr_form")]


@pytest.mark.parametrize(
    ("row", "column", "kind"),
    [
        (",070250-1234,,,", "name", "missing"),
        ("Bo,,,,", "birth_date", "missing"),
        ("Bo,070250-12,,,", "cpr", "cpr_form"),
        ("Bo,310250-1234,,,", "cpr", "cpr_day"),
        ("Bo,670250-1234,,,", "cpr", "cpr_replacement"),
        ("Bo,070236-4234,,,", "cpr", "birth_date_future"),
        ("Bo,070250-1234,ring!,,", "telephone", "telephone_form"),
        ("Bo,070250-1234,,maybe,", "protected_address", "yes_or_no"),
        ("Bo,070250-1234,,,tysk", "language", "language_unknown"),
        ("Bo\x00,070250-1234,,,", "name", "control_character"),
        ("Bo\x1b[2J,070250-1234,,,", "name", "control_character"),
        (f"{'B' * 201},070250-1234,,,", "name", "too_long"),
        ("Bo,070250-1234,,,,more", "", "too_many_cells"),
        ("Åse,0702501234,,,", "cpr", "twice_in_file"),
    ],
)
def test_a_fault_names_line_column_and_kind_and_never_the_value(row: str, column: str, kind: str) -> None:
    text = f"{','.join(HEADER)}\nKaren,0702501234,,,\n{row}\n"
    if kind != "twice_in_file":
        text = text.replace("Karen,0702501234", "Karen,0102371234")
    read = read_file(text, today=TODAY)
    assert faults_of(read) == [(3, column, kind)]
    assert len(read.rows) == 1
    assert not any(value and value in repr(read.faults) for value in row.split(",") if len(value) > 3)


@pytest.mark.parametrize(
    ("day", "read_as"),
    [
        ("1950-02-07", date(1950, 2, 7)),
        ("07-02-1950", date(1950, 2, 7)),
        ("7.2.1950", date(1950, 2, 7)),
        ("07/02/1950", date(1950, 2, 7)),
        ("07-02-50", None),
        ("1950-13-01", None),
        ("30-02-1950", None),
        ("1799-01-01", None),
        ("2026-11-23", None),
        ("feb 7", None),
    ],
)
def test_a_birth_date_is_read_the_danish_way_or_refused(day: str, read_as: date | None) -> None:
    read = read_file(f"navn;fødselsdato\nBo;{day}\n", today=TODAY)
    assert [row.birth_date for row in read.rows] == ([] if read_as is None else [read_as])
    assert len(read.faults) == (read_as is None)


def test_number_and_birth_date_of_two_people_are_refused() -> None:
    read = read_file("navn,cpr,fødselsdato\nBo,0702501234,1950-07-02\n", today=TODAY)
    assert faults_of(read) == [(2, "cpr", "cpr_other_birth_date")]


def test_the_same_name_and_birth_date_without_number_comes_once() -> None:
    read = read_file("navn,fødselsdato\nBo Bang,1950-02-07\nbo bang,1950-02-07\nBo Bang,1950-02-08\n", today=TODAY)
    assert faults_of(read) == [(3, "name", "twice_in_file")]


def test_first_and_last_names_are_put_together_and_columns_nobody_knows_are_told() -> None:
    read = read_file("fornavn,hemmelig,efternavn,cpr\nBo,diagnose,Bang,0702501234\n", today=TODAY)
    assert [row.name for row in read.rows] == ["Bo Bang"]
    assert read.unread_columns == (2,)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "empty"),
        ("\n\n", "empty"),
        ("Bo Bang,0702501234\n", "header"),
        ("navn,telefon\nBo,12345678\n", "header"),
        ("navn,name,cpr\nBo,Bo,0702501234\n", "column_twice"),
        ("navn,cpr\nB\ufffd,0702501234\n", "encoding"),
    ],
)
def test_a_file_that_is_none_is_refused_as_a_whole(text: str, kind: str) -> None:
    read = read_file(text, today=TODAY)
    assert read.rows == ()
    assert [fault.kind for fault in read.faults] == [kind]


def test_bytes_that_no_encoding_has_are_refused() -> None:
    assert [fault.kind for fault in read_file(b"navn,cpr\n\x81\xff\n", today=TODAY).faults] == ["encoding"]


def test_an_open_quotation_mark_ends_the_reading() -> None:
    read = read_file('navn,cpr\nBo,0702501234\n"Karen,0102371234\nIda,0302501234\n', today=TODAY)
    assert faults_of(read)[-1][2] == "quotation_marks"
    assert [row.name for row in read.rows] == ["Bo"]


def test_more_rows_than_the_bound_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patient_import, "ROWS_MAX", 3)
    rows = [["navn", "fødselsdato"], *([f"Bo {i}", "1950-02-07"] for i in range(5))]
    read = read_file(file_of(rows), today=TODAY)
    assert len(read.rows) == 3
    assert faults_of(read) == [(5, "", "too_many_rows")]


def test_ten_thousand_rows_are_read() -> None:
    rows = [["navn", "fødselsdato"], *([f"Bo {i}", "1950-02-07"] for i in range(ROWS_MAX))]
    read = read_file(file_of(rows), today=TODAY)
    assert (len(read.rows), read.faults) == (ROWS_MAX, ())


hostile_cells = st.text(max_size=30) | st.sampled_from(
    [
        "=1+1",
        '"',
        '""',
        "\r\n",
        "\x00",
        "070250-1234",
        "1950-02-07",
        "ja",
        ";",
        "\t",
        "\u202e",
        "'; DROP TABLE patient;--",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(hostile_cells, max_size=8), max_size=8), st.sampled_from(DELIMITERS), st.booleans())
def test_no_rows_make_the_reader_fail_and_what_is_read_stands_in_the_file(
    rows: list[list[str]], delimiter: str, is_quoted: bool
) -> None:
    if is_quoted:
        text = file_of([HEADER, *rows], delimiter=delimiter)
    else:
        text = "\n".join(delimiter.join(row) for row in [HEADER, *rows])
    read = read_file(text, today=TODAY)
    squeezed = "".join(text.split())
    for row in read.rows:
        assert "".join(row.name.split()).replace('"', "") in squeezed.replace('"', "")
        assert row.birth_date <= TODAY
        assert "\x00" not in row.name
    assert len({row.cpr for row in read.rows if row.cpr}) == len([row for row in read.rows if row.cpr])
    assert all(
        fault.column in ("", "name", "cpr", "birth_date", "telephone", "language", "protected_address")
        for fault in read.faults
    )


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300) | st.binary(max_size=200).map(lambda tail: b"navn;cpr\r\n" + tail))
def test_no_bytes_make_the_reader_fail(content: bytes) -> None:
    read = read_file(content, today=TODAY)
    assert read.faults or all(row.name for row in read.rows)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(
                st.characters(categories=("L", "N", "P", "S"), exclude_characters="\ufffd"), min_size=1, max_size=20
            ),
            st.dates(date(1900, 1, 1), date(1999, 12, 31)),
        ),
        max_size=20,
        unique_by=(lambda each: each[0].casefold(), lambda each: each[1]),
    ),
    st.sampled_from(DELIMITERS),
)
def test_what_a_spreadsheet_wrote_comes_back_as_it_was(people: list[tuple[str, date]], delimiter: str) -> None:
    rows = [["name", "birth_date"], *([name, day.isoformat()] for name, day in people)]
    read = read_file(file_of(rows, delimiter=delimiter).encode("utf-8-sig"), today=TODAY, delimiter=delimiter)
    assert [(row.name, row.birth_date) for row in read.rows] == people
    assert read.faults == ()
