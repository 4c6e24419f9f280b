"""CPR numbers: what one looks like, and which day of birth it tells.

Ten digits `DDMMYYSSSS`. There is no check by modulus 11: numbers given since 2007 may fail it, and belong to somebody.
A replacement number, which hospitals make up for those who have none (60 is added to the day), is no CPR number: it
names a person in one hospital's books only. A patient without CPR number simply has none here.
"""

import re
from datetime import date
from enum import StrEnum
from typing import Final

_TEN_DIGITS: Final = re.compile(r"([0-9]{6})[- ]?([0-9]{4})")
_REPLACEMENT_DAY_OFFSET: Final = 60


class CprFault(StrEnum):
    """Why a text is no CPR number. Each has a text `import.fault.<value>`."""

    FORM = "cpr_form"
    """Not ten digits."""
    DAY = "cpr_day"
    """Its first six digits are no day."""
    REPLACEMENT = "cpr_replacement"
    """A replacement number."""
    OTHER_BIRTH_DATE = "cpr_other_birth_date"
    """It tells another day of birth than was said."""
    FUTURE = "birth_date_future"
    """Whoever it is would not be born yet."""


def read_cpr(said: str) -> str | CprFault:
    """Return the ten digits of a CPR number, or why it is none; one hyphen or blank before the last four may stand.

    Examples
    --------
    >>> read_cpr("070250-1234"), read_cpr("0702501234")
    ('0702501234', '0702501234')
    >>> read_cpr("310250-1234").value, read_cpr("670250-1234").value, read_cpr("07025").value
    ('cpr_day', 'cpr_replacement', 'cpr_form')
    """
    match = _TEN_DIGITS.fullmatch(said.strip())
    if match is None:
        return CprFault.FORM
    digits = match[1] + match[2]
    day = int(digits[:2])
    if _day_of(digits, day) is not None:
        return digits
    return CprFault.DAY if _day_of(digits, day - _REPLACEMENT_DAY_OFFSET) is None else CprFault.REPLACEMENT


def birth_date_of(cpr: str) -> date:
    """Return the day of birth that ten digits tell; the seventh says the century.

    Parameters
    ----------
    cpr : str
        As `read_cpr` returns it.

    Examples
    --------
    >>> [birth_date_of(f"0102{rest}").isoformat() for rest in ("361234", "364234", "374234", "575234", "585234")]
    ['1936-02-01', '2036-02-01', '1937-02-01', '2057-02-01', '1858-02-01']
    """
    born_on = _day_of(cpr, int(cpr[:2]))
    if born_on is None:
        raise ValueError("no CPR number")
    return born_on


def agree_on_birth_date(cpr: str | None, birth_date: date | None, *, today: date) -> date | CprFault | None:
    """Return the day of birth that number and day tell together, None where neither is there, or why they cannot be.

    Examples
    --------
    >>> agree_on_birth_date("0702501234", None, today=date(2026, 11, 22))
    datetime.date(1950, 2, 7)
    >>> agree_on_birth_date("0702501234", date(1950, 7, 2), today=date(2026, 11, 22)).value
    'cpr_other_birth_date'
    """
    told = None if cpr is None else birth_date_of(cpr)
    if told is not None and birth_date is not None and told != birth_date:
        return CprFault.OTHER_BIRTH_DATE
    born_on = told or birth_date
    return CprFault.FUTURE if born_on is not None and born_on > today else born_on


def _day_of(digits: str, day: int) -> date | None:
    """Return the day that the digits tell, with another day of the month put in."""
    year = int(digits[4:6])
    try:
        return date(_century(int(digits[6]), year) + year, int(digits[2:4]), day)
    except ValueError:
        return None


def _century(seventh: int, year: int) -> int:
    """Return the century of birth by the CPR office's table."""
    if seventh <= 3:
        return 1900
    if seventh in (4, 9):
        return 2000 if year <= 36 else 1900
    return 2000 if year <= 57 else 1800
