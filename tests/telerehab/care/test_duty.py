from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from telerehab.care.duty import LINE_MAX, DutyHours, Gap, find_gaps, line_at, shifts_between
from tests.reference.care_duty import is_shown_twice, slow_line_at

COPENHAGEN = ZoneInfo("Europe/Copenhagen")
IDA, OLE, EVA = (UUID(int=i) for i in (1, 2, 3))
MONDAY = datetime(2026, 11, 2, tzinfo=COPENHAGEN)
SPRING_SUNDAY = datetime(2026, 3, 29, tzinfo=COPENHAGEN)  # 02:00 becomes 03:00
AUTUMN_SUNDAY = datetime(2026, 10, 25, tzinfo=COPENHAGEN)  # 03:00 becomes 02:00


def _hours(account_id: UUID, weekday: int, start: float, stop: float, place: int = 0) -> DutyHours:
    return DutyHours(
        account_id=account_id,
        weekday=weekday,
        from_minute=round(start * 60),
        to_minute=round(stop * 60),
        place=place,
    )


def _line(hours: list[DutyHours], now: datetime) -> list[UUID]:
    return line_at(hours, now=now, zone=COPENHAGEN)


def test_who_is_on_duty_stands_in_line_in_order() -> None:
    hours = [_hours(OLE, 1, 8, 16, place=1), _hours(IDA, 1, 8, 16), _hours(EVA, 2, 8, 16)]
    assert _line(hours, MONDAY.replace(hour=9)) == [IDA, OLE]
    assert _line(hours, MONDAY.replace(hour=16)) == []
    assert _line(hours, MONDAY.replace(hour=7, minute=59)) == []
    assert _line(hours, MONDAY.replace(day=3, hour=9)) == [EVA]


def test_hours_are_those_of_the_organisation_wherever_the_server_stands() -> None:
    hours = [_hours(IDA, 1, 0, 1)]
    assert _line(hours, datetime(2026, 11, 1, 23, 30, tzinfo=UTC)) == [IDA]


def test_somebody_with_two_hours_at_once_stands_in_line_once() -> None:
    assert _line([_hours(IDA, 1, 8, 16, place=2), _hours(IDA, 1, 8, 12)], MONDAY.replace(hour=9)) == [IDA]


def test_a_line_is_bounded() -> None:
    hours = [_hours(UUID(int=i), 1, 8, 16, place=i) for i in range(20)]
    assert _line(hours, MONDAY.replace(hour=9)) == [UUID(int=i) for i in range(LINE_MAX)]


@pytest.mark.parametrize(("sunday", "length_h"), [(SPRING_SUNDAY, 5), (AUTUMN_SUNDAY, 7)])
def test_a_night_shift_is_shorter_or_longer_when_the_clock_changes(sunday: datetime, length_h: int) -> None:
    (shift,) = shifts_between([_hours(IDA, 7, 0, 6)], start=sunday, stop=sunday, zone=COPENHAGEN)
    assert shift.stop - shift.start == timedelta(hours=length_h)


@pytest.mark.parametrize("sunday", [SPRING_SUNDAY, AUTUMN_SUNDAY])
def test_shifts_that_meet_in_the_changed_hour_leave_no_minute_without_anybody(sunday: datetime) -> None:
    hours = [_hours(IDA, 6, 0, 24), _hours(IDA, 7, 0, 2.5), _hours(OLE, 7, 2.5, 24), _hours(EVA, 1, 0, 24)]
    start = sunday.astimezone(UTC) - timedelta(hours=5)
    assert find_gaps(hours, start=start, stop=start + timedelta(hours=40), zone=COPENHAGEN) == []
    lines = [_line(hours, start + timedelta(minutes=10 * n)) for n in range(200)]
    assert all(len(line) == 1 for line in lines)
    changes = [after for before, after in pairwise(lines) if before != after]
    assert changes == [[OLE], [EVA]]


def test_hours_within_the_hour_that_is_skipped_are_nobodys() -> None:
    hours = [_hours(IDA, 7, 2, 3)]
    assert shifts_between(hours, start=SPRING_SUNDAY, stop=SPRING_SUNDAY + timedelta(days=1), zone=COPENHAGEN) == []


def test_gaps_in_the_list_are_seen() -> None:
    hours = [_hours(IDA, 1, 8, 12), _hours(OLE, 1, 13, 16), _hours(EVA, 1, 15, 18)]
    at = MONDAY.replace
    assert find_gaps(hours, start=at(hour=8), stop=at(hour=20), zone=COPENHAGEN) == [
        Gap(start=at(hour=12), stop=at(hour=13)),
        Gap(start=at(hour=18), stop=at(hour=20)),
    ]
    assert find_gaps([], start=at(hour=8), stop=at(hour=20), zone=COPENHAGEN) == [
        Gap(start=at(hour=8), stop=at(hour=20))
    ]


_HOURS = st.builds(
    lambda account, weekday, minutes, place: DutyHours(
        account_id=UUID(int=account), weekday=weekday, from_minute=min(minutes), to_minute=max(minutes), place=place
    ),
    st.integers(1, 4),
    st.integers(1, 7),
    st.tuples(st.integers(0, 1440), st.integers(0, 1440)).filter(lambda both: both[0] != both[1]),
    st.integers(0, 3),
)
_NOW = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)) | st.datetimes(  # noqa: DTZ001
    datetime(2026, 10, 24, 20),  # noqa: DTZ001
    datetime(2026, 10, 25, 6),  # noqa: DTZ001
)


@given(st.lists(_HOURS, max_size=12), _NOW)
def test_the_line_is_what_the_clock_on_the_wall_says(hours: list[DutyHours], naive: datetime) -> None:
    now = naive.replace(tzinfo=UTC, second=0, microsecond=0)
    assume(not is_shown_twice(now, COPENHAGEN))
    assert _line(hours, now) == slow_line_at(hours, now=now, zone=COPENHAGEN)


@given(st.lists(_HOURS, max_size=12), _NOW, st.integers(1, 3 * 1440))
def test_a_minute_is_in_a_gap_when_nobody_is_in_line(hours: list[DutyHours], naive: datetime, minutes: int) -> None:
    start = naive.replace(tzinfo=UTC, second=0, microsecond=0)
    gaps = find_gaps(hours, start=start, stop=start + timedelta(minutes=minutes), zone=COPENHAGEN)
    assert all(gap.start < gap.stop for gap in gaps)
    for minute in {0, minutes // 3, minutes // 2, minutes - 1}:
        now = start + timedelta(minutes=minute)
        assert any(gap.start <= now < gap.stop for gap in gaps) == (not _line(hours, now))
