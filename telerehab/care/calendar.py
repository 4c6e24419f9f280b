"""Appointments as an iCalendar feed (RFC 5545), for the calendar of a therapist or of a patient.

A calendar lies with somebody else: it gets what kind of meeting it is, when, and of a person at most the initials.
Times are written in UTC, which every calendar shows in its own zone, on both sides of a clock change. `SEQUENCE` counts
the changes of an appointment, and a cancelled one stays in the feed as `CANCELLED`, so that calendars follow.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from icalendar import Calendar, Event

PRODUCT: Final = "-//telerehab//appointments//EN"
REFRESH_INTERVAL: Final = timedelta(minutes=30)
INITIALS_MAX: Final = 2


@dataclass(kw_only=True, frozen=True, slots=True)
class CalendarEntry:
    """One appointment as a calendar shows it."""

    id: UUID
    summary: str
    """Names nobody."""
    starts_at: datetime
    ends_at: datetime
    is_cancelled: bool
    change_count: int
    """How often it was changed since it was made."""


def write_calendar(entries: Iterable[CalendarEntry], *, name: str, now: datetime) -> bytes:
    """Return the feed.

    Examples
    --------
    >>> b"METHOD:PUBLISH" in write_calendar([], name="Appointments", now=datetime(2026, 11, 22, tzinfo=UTC))
    True
    """
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", _line(name))
    calendar.add("refresh-interval", REFRESH_INTERVAL, parameters={"VALUE": "DURATION"})
    for entry in entries:
        calendar.add_component(_event(entry, now))
    feed: bytes = calendar.to_ical()
    return feed


def initials(name: str | None) -> str:
    """Return the first letters of the first and the last name.

    Examples
    --------
    >>> initials("karen  Margrethe Østergård"), initials("Karen"), initials(None)
    ('KØ', 'K', '')
    """
    letters = [next((letter for letter in part if letter.isalpha()), "") for part in (name or "").split()]
    found = [letter.upper() for letter in letters if letter]
    return "".join(found if len(found) < INITIALS_MAX else (found[0], found[-1]))


def _event(entry: CalendarEntry, now: datetime) -> Event:
    event = Event()
    event.add("uid", str(entry.id))
    event.add("dtstamp", now.astimezone(UTC))
    event.add("dtstart", entry.starts_at.astimezone(UTC))
    event.add("dtend", entry.ends_at.astimezone(UTC))
    event.add("summary", _line(entry.summary))
    event.add("sequence", entry.change_count)
    event.add("status", "CANCELLED" if entry.is_cancelled else "CONFIRMED")
    event.add("class", "PRIVATE")
    return event


def _line(text: str) -> str:
    """Return a text as one line: what would end or hide it becomes a blank."""
    return "".join(" " if unicodedata.category(character)[0] in "CZ" else character for character in text)
