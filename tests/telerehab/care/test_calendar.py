import uuid
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar

from telerehab.care.calendar import CalendarEntry, initials, write_calendar

COPENHAGEN = ZoneInfo("Europe/Copenhagen")
NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)


def entry(starts_at: datetime, **chosen: object) -> CalendarEntry:
    values = {
        "id": uuid.uuid4(),
        "summary": "Træning på skærm, KH",
        "starts_at": starts_at,
        "ends_at": starts_at + timedelta(minutes=30),
        "is_cancelled": False,
        "change_count": 0,
    }
    return CalendarEntry(**{**values, **chosen})  # type: ignore[arg-type]


@pytest.mark.parametrize("day", [24, 25, 26])  # clocks go back in the night to 25 October 2026
def test_ten_in_the_morning_is_ten_in_the_morning_on_both_sides_of_a_clock_change(day: int) -> None:
    at_ten = datetime(2026, 10, day, 10, tzinfo=COPENHAGEN)
    read = Calendar.from_ical(write_calendar([entry(at_ten)], name="Aftaler", now=NOW))
    (event,) = read.events
    assert isinstance(event.start, datetime)
    assert event.start.astimezone(COPENHAGEN).strftime("%d %H:%M") == f"{day} 10:00"
    assert event.end - event.start == timedelta(minutes=30)


def test_the_hour_that_comes_twice_keeps_its_two_meanings() -> None:
    first = datetime(2026, 10, 25, 2, 30, tzinfo=COPENHAGEN, fold=0)
    second = datetime(2026, 10, 25, 2, 30, tzinfo=COPENHAGEN, fold=1)
    read = Calendar.from_ical(write_calendar([entry(first), entry(second)], name="Aftaler", now=NOW))
    one, other = (event.start for event in read.events)
    assert other - one == timedelta(hours=1)


def test_a_cancelled_one_stays_and_counts_its_changes() -> None:
    made = entry(NOW, is_cancelled=True, change_count=3)
    (event,) = Calendar.from_ical(write_calendar([made], name="Aftaler", now=NOW)).events
    assert (str(event["status"]), event.sequence, str(event["uid"])) == ("CANCELLED", 3, str(made.id))


@given(st.text(max_size=60))
def test_no_text_breaks_out_of_its_line(text: str) -> None:
    feed = write_calendar([entry(NOW, summary=text)], name=text, now=NOW)
    lines = feed.decode().split("\r\n")
    assert lines.count("BEGIN:VEVENT") == 1
    assert lines.count("END:VEVENT") == 1
    assert len(Calendar.from_ical(feed).events) == 1


@pytest.mark.parametrize(
    ("name", "letters"),
    [("Karen Margrethe Holm", "KH"), ("  åse ", "Å"), ("", ""), (None, ""), ("Bo-Erik Æbelø", "BÆ"), ("123 (!)", "")],
)
def test_of_a_person_only_initials_go_out(name: str | None, letters: str) -> None:
    assert initials(name) == letters
