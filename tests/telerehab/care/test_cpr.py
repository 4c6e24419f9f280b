from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telerehab.care.cpr import CprFault, agree_on_birth_date, birth_date_of, read_cpr

TODAY = date(2026, 11, 22)


@pytest.mark.parametrize("serial", ["0000", "1234", "4321", "9999"])
def test_a_number_that_fails_modulus_11_is_a_number(serial: str) -> None:
    digits = "070250" + serial
    weighed = sum(int(digit) * weight for digit, weight in zip(digits, (4, 3, 2, 7, 6, 5, 4, 3, 2, 1), strict=True))
    assert read_cpr(digits) == digits
    assert serial != "1234" or weighed % 11 != 0, "the example is one that the old check refuses"


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("", CprFault.FORM),
        ("07025", CprFault.FORM),
        ("07025012345", CprFault.FORM),
        ("07-0250-1234", CprFault.FORM),
        ("０７０２５０１２３４", CprFault.FORM),
        ("070250\x001234", CprFault.FORM),
        ("310450-1234", CprFault.DAY),
        ("290227-1234", CprFault.DAY),  # 1927 had no 29 February
        ("001250-1234", CprFault.DAY),
        ("011350-1234", CprFault.DAY),
        ("610150-1234", CprFault.REPLACEMENT),
        ("910150-1234", CprFault.REPLACEMENT),
    ],
)
def test_what_is_no_number_is_told_by_kind(said: str, fault: CprFault) -> None:
    assert read_cpr(said) is fault


def test_a_leap_day_is_a_day_where_the_seventh_digit_says_the_leap_year() -> None:
    assert read_cpr("290200-4123") == "2902004123"  # 2000
    assert read_cpr("290200-1123") is CprFault.DAY  # 1900


@pytest.mark.parametrize(
    ("seventh", "year", "full"),
    [
        *((seventh, year, 1900 + year) for seventh in (0, 1, 2, 3) for year in (0, 36, 37, 57, 58, 99)),
        *((seventh, year, 2000 + year) for seventh in (4, 9) for year in (0, 36)),
        *((seventh, year, 1900 + year) for seventh in (4, 9) for year in (37, 99)),
        *((seventh, year, 2000 + year) for seventh in (5, 6, 7, 8) for year in (0, 57)),
        *((seventh, year, 1800 + year) for seventh in (5, 6, 7, 8) for year in (58, 99)),
    ],
)
def test_the_seventh_digit_tells_the_century(seventh: int, year: int, full: int) -> None:
    assert birth_date_of(f"1506{year:02d}{seventh}000") == date(full, 6, 15)


@given(st.dates(date(1900, 1, 1), date(2057, 12, 31)), st.integers(0, 999))
def test_every_day_of_birth_has_a_number_that_tells_it(born_on: date, serial: int) -> None:
    seventh = 0 if born_on.year < 2000 else 5
    cpr = f"{born_on:%d%m%y}{seventh}{serial:03d}"
    assert read_cpr(cpr) == cpr
    assert birth_date_of(cpr) == born_on
    other = born_on + timedelta(days=1)
    assert agree_on_birth_date(cpr, other, today=date(2100, 1, 1)) is CprFault.OTHER_BIRTH_DATE


@given(st.text(max_size=14))
def test_no_text_makes_the_reader_fail(said: str) -> None:
    cpr = read_cpr(said)
    if not isinstance(cpr, CprFault):
        assert birth_date_of(cpr).strftime("%d%m%y") == cpr[:6]


def test_number_and_day_agree_or_one_of_them_is_enough() -> None:
    assert agree_on_birth_date(None, None, today=TODAY) is None
    assert agree_on_birth_date("0702501234", None, today=TODAY) == date(1950, 2, 7)
    assert agree_on_birth_date(None, date(1950, 2, 7), today=TODAY) == date(1950, 2, 7)
    assert agree_on_birth_date("0702501234", date(1950, 2, 7), today=TODAY) == date(1950, 2, 7)
    assert agree_on_birth_date("0702364234", None, today=TODAY) is CprFault.FUTURE
    assert agree_on_birth_date(None, TODAY + timedelta(days=1), today=TODAY) is CprFault.FUTURE
    assert agree_on_birth_date(None, TODAY, today=TODAY) == TODAY
