"""Patients from a CSV file, as a value: what each row says, or where it is wrong.

Files come from whatever a clinic uses: UTF-8 with or without a mark, Windows-1252 or UTF-16; divided by comma,
semicolon or tab; with line breaks inside quotation marks. The first row names the columns, in Danish or English, in any
order; columns that nobody knows are not read. A fault names line, column and kind, never what stands there.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType
from typing import Final

from telerehab.care.cpr import CprFault, agree_on_birth_date, read_cpr

ROWS_MAX: Final = 10_000
FAULTS_MAX: Final = 200
"""Faults that are named; how many there are is counted on."""
DELIMITERS: Final = (",", ";", "\t")
NAME_CHARACTERS_MAX: Final = 200
BORN_FROM: Final = date(1880, 1, 1)

_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "name": ("name", "navn", "full name", "fulde navn", "patient", "borger"),
        "first_name": ("first name", "given name", "fornavn", "fornavne"),
        "last_name": ("last name", "family name", "surname", "efternavn"),
        "birth_date": ("birth date", "date of birth", "born", "fødselsdato", "født"),
        "cpr": ("cpr", "cpr number", "cpr-nummer", "cpr nummer", "cprnr", "cpr-nr", "cpr-nr.", "cpr nr", "cpr nr."),
        "telephone": ("telephone", "phone", "mobile", "telefon", "tlf", "tlf.", "telefonnummer", "mobil"),
        "language": ("language", "sprog"),
        "protected_address": ("protected address", "protected", "adressebeskyttelse", "beskyttet adresse"),
        "therapist": ("therapist", "therapist e-mail", "therapist email", "behandler", "terapeut", "behandlers e-mail"),
        "team": ("team", "hold"),
    }
)
_COLUMN_OF: Final[Mapping[str, str]] = MappingProxyType(
    {alias: column for column, aliases in _COLUMNS.items() for alias in aliases}
)
_YES: Final = frozenset({"1", "ja", "j", "yes", "y", "true", "sand", "x"})
_NO: Final = frozenset({"0", "nej", "n", "no", "false", "falsk"})
_LANGUAGES: Final[Mapping[str, str]] = MappingProxyType(
    {"": "da", "da": "da", "dansk": "da", "danish": "da", "en": "en", "engelsk": "en", "english": "en"}
)
_ISO_DAY: Final = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})")
_DANISH_DAY: Final = re.compile(r"([0-9]{1,2})[-./]([0-9]{1,2})[-./]([0-9]{4})")
TELEPHONE: Final = re.compile(r"\+?[0-9][0-9 ()-]{3,22}[0-9]")


@dataclass(kw_only=True, frozen=True, slots=True)
class ImportFault:
    """What is wrong at one place; `kind` has a text `import.fault.<kind>`."""

    line: int
    """Counts from 1, with the lines inside quotation marks; the first line of the row."""
    column: str
    """The column's own word (`cpr`, `birth_date`, ...); empty: the whole row."""
    kind: str


@dataclass(kw_only=True, frozen=True, slots=True)
class ImportRow:
    """One patient of the file."""

    line: int
    name: str
    birth_date: date
    cpr: str | None
    telephone: str | None
    language: str
    has_protected_address: bool | None
    therapist_email: str | None
    """In lower case."""
    team_name: str | None


@dataclass(kw_only=True, frozen=True, slots=True)
class ReadFile:
    """What a file says: good rows, and the faults of the others."""

    rows: tuple[ImportRow, ...] = ()
    faults: tuple[ImportFault, ...] = ()
    unread_columns: tuple[int, ...] = ()
    """Columns, counted from 1, that nobody knows."""


@dataclass(kw_only=True, frozen=True, slots=True)
class _Wrong(Exception):
    """A cell or row is wrong."""

    column: str
    kind: str


def read_file(content: bytes | str, *, today: date, delimiter: str | None = None) -> ReadFile:
    """Return what a file says; nothing of it raises.

    Parameters
    ----------
    content : bytes or str
        The file, or its text where a page has decoded it already.
    delimiter : str, optional
        One of `DELIMITERS`; else the one by which the first row names the most columns.

    Examples
    --------
    >>> read = read_file("Navn;CPR\\nKaren Holm;070250-1234\\nBo Bang;07025\\n", today=date(2026, 11, 22))
    >>> [(row.name, row.birth_date.isoformat()) for row in read.rows]
    [('Karen Holm', '1950-02-07')]
    >>> [(fault.line, fault.column, fault.kind) for fault in read.faults]
    [(3, 'cpr', 'cpr_form')]
    """
    text = content.removeprefix("\ufeff") if isinstance(content, str) else _decoded(content)
    if text is None or "\ufffd" in text:
        return _refused(1, "encoding")
    rows = _rows_of(text, delimiter or _guessed_delimiter(text))
    first = next(rows, None)
    if first is None:
        return _refused(1, "empty")
    if isinstance(first, ImportFault):
        return ReadFile(faults=(first,))
    line, header = first
    columns = [_COLUMN_OF.get(_header_word(cell)) for cell in header]
    known = [column for column in columns if column is not None]
    if len(known) != len(set(known)):
        return _refused(line, "column_twice")
    if not _is_enough(frozenset(known)):
        return _refused(line, "header")
    read = _read_rows(rows, columns, today=today)
    return replace(read, unread_columns=tuple(i for i, column in enumerate(columns, 1) if column is None))


def _read_rows(
    rows: Iterable[tuple[int, list[str]] | ImportFault], columns: Sequence[str | None], *, today: date
) -> ReadFile:
    """Read the rows below the first."""
    good: list[ImportRow] = []
    faults: list[ImportFault] = []
    seen: set[object] = set()
    for count, row in enumerate(rows, 1):
        if isinstance(row, ImportFault):
            faults.append(row)
            break
        line, cells = row
        if count > ROWS_MAX:
            faults.append(ImportFault(line=line, column="", kind="too_many_rows"))
            break
        try:
            patient = _read_row(line, cells, columns, today=today)
            key = patient.cpr or (patient.name.casefold(), patient.birth_date)
            if key in seen:
                raise _Wrong(column="cpr" if patient.cpr else "name", kind="twice_in_file")
        except _Wrong as wrong:
            faults.append(ImportFault(line=line, column=wrong.column, kind=wrong.kind))
        else:
            seen.add(key)
            good.append(patient)
    return ReadFile(rows=tuple(good), faults=tuple(faults))


def _read_row(line: int, cells: Sequence[str], columns: Sequence[str | None], *, today: date) -> ImportRow:
    """Return the patient of one row; raise _Wrong."""
    if any(cell.strip() for cell in cells[len(columns) :]):
        raise _Wrong(column="", kind="too_many_cells")
    said = {column: _clean(column, cell) for column, cell in zip(columns, cells, strict=False) if column is not None}
    name = said.get("name") or " ".join(filter(None, (said.get("first_name"), said.get("last_name"))))
    if not name:
        raise _Wrong(column="name", kind="missing")
    if len(name) > NAME_CHARACTERS_MAX:
        raise _Wrong(column="name", kind="too_long")
    cpr = _read_cpr(said.get("cpr", ""))
    language = _LANGUAGES.get(said.get("language", "").casefold())
    if language is None:
        raise _Wrong(column="language", kind="language_unknown")
    return ImportRow(
        line=line,
        name=name,
        birth_date=_agreed(cpr, _read_day(said.get("birth_date", "")), today=today),
        cpr=cpr,
        telephone=_read_telephone(said.get("telephone", "")),
        language=language,
        has_protected_address=_read_mark(said.get("protected_address", "")),
        therapist_email=said.get("therapist", "").lower() or None,
        team_name=said.get("team") or None,
    )


def _clean(column: str, cell: str) -> str:
    """Return a cell with single blanks; line breaks are blanks, other control characters are refused."""
    text = " ".join(cell.split())
    if len(text) > NAME_CHARACTERS_MAX:
        raise _Wrong(column=column, kind="too_long")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise _Wrong(column=column, kind="control_character")
    return text


def _read_cpr(said: str) -> str | None:
    if not said:
        return None
    cpr = read_cpr(said)
    if isinstance(cpr, CprFault):
        raise _Wrong(column="cpr", kind=cpr.value)
    return cpr


def _read_day(said: str) -> date | None:
    if not said:
        return None
    iso, danish = _ISO_DAY.fullmatch(said), _DANISH_DAY.fullmatch(said)
    numbers = iso.groups() if iso else danish.groups()[::-1] if danish else None
    if numbers is None:
        raise _Wrong(column="birth_date", kind="birth_date_form")
    year, month, day = (int(number) for number in numbers)
    try:
        born_on = date(year, month, day)
    except ValueError:
        raise _Wrong(column="birth_date", kind="birth_date_form") from None
    if born_on < BORN_FROM:
        raise _Wrong(column="birth_date", kind="birth_date_early")
    return born_on


def _agreed(cpr: str | None, birth_date: date | None, *, today: date) -> date:
    born_on = agree_on_birth_date(cpr, birth_date, today=today)
    if isinstance(born_on, CprFault):
        raise _Wrong(column="cpr" if cpr else "birth_date", kind=born_on.value)
    if born_on is None:
        raise _Wrong(column="birth_date", kind="missing")
    return born_on


def _read_telephone(said: str) -> str | None:
    if said and TELEPHONE.fullmatch(said) is None:
        raise _Wrong(column="telephone", kind="telephone_form")
    return said or None


def _read_mark(said: str) -> bool | None:
    """Return yes, no, or None where nothing stands; anything else is refused, for a mark that is missed harms."""
    word = said.casefold()
    if word in _YES:
        return True
    if word in _NO:
        return False
    if word:
        raise _Wrong(column="protected_address", kind="yes_or_no")
    return None


def _rows_of(text: str, delimiter: str) -> Iterator[tuple[int, list[str]] | ImportFault]:
    """Yield the line on which each row begins and its cells, without empty rows; a fault ends it."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error:
        yield ImportFault(line=line, column="", kind="quotation_marks")


def _guessed_delimiter(text: str) -> str:
    """Return the delimiter by which the first row names the most columns."""

    def named(delimiter: str) -> int:
        first = next(_rows_of(text, delimiter), None)
        cells = first[1] if isinstance(first, tuple) else []
        return sum(_header_word(cell) in _COLUMN_OF for cell in cells)

    return max(DELIMITERS, key=named)


def _header_word(cell: str) -> str:
    return " ".join(cell.replace("_", " ").split()).casefold()


def _is_enough(columns: frozenset[str]) -> bool:
    """Return whether the columns can say who a patient is."""
    has_name = "name" in columns or {"first_name", "last_name"} <= columns
    return has_name and bool(columns & {"cpr", "birth_date"})


def _decoded(content: bytes) -> str | None:
    """Return a file's text: by its mark, else UTF-8 where it is that, else Windows-1252."""
    encodings = ("utf-16",) if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1252")
    for encoding in encodings:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def _refused(line: int, kind: str) -> ReadFile:
    return ReadFile(faults=(ImportFault(line=line, column="", kind=kind),))
