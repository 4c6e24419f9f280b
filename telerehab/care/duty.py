"""Who is on duty: weekly hours on the wall clock of the organisation, as intervals of real time.

Hours are minutes of the local day ("Monday 22 to 24, Tuesday 0 to 6"). Each becomes a shift `[start, stop)` in UTC, so
on the night of the clock change a shift is an hour longer or shorter, and shifts that meet on the wall clock meet in
real time: no minute is without anybody or counted twice because of the change.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

LINE_MAX: Final = 5
"""At most so many people are told of one help call."""
MINUTES_A_DAY: Final = 1440
_DAY: Final = timedelta(days=1)


@dataclass(kw_only=True, frozen=True, slots=True)
class DutyHours:
    """One person's hours on one weekday, week after week."""

    account_id: UUID
    weekday: int
    """ISO, 1 is Monday."""
    from_minute: int
    to_minute: int
    """Minutes of the local day, `[from, to)`; 1440 is midnight."""
    place: int = 0
    """0 is first in line."""


@dataclass(kw_only=True, frozen=True, slots=True)
class Shift:
    """One person's duty during `[start, stop)`, in UTC."""

    account_id: UUID
    place: int
    start: datetime
    stop: datetime


@dataclass(kw_only=True, frozen=True, slots=True)
class Gap:
    """Nobody is on duty during `[start, stop)`, in UTC."""

    start: datetime
    stop: datetime


def line_at(hours: Iterable[DutyHours], *, now: datetime, zone: ZoneInfo) -> list[UUID]:
    """Return who is on duty now, the first in line first, each once, at most `LINE_MAX`; empty outside hours."""
    present = [shift for shift in shifts_between(hours, start=now, stop=now, zone=zone) if shift.start <= now]
    present.sort(key=lambda shift: (shift.place, shift.start, shift.account_id.hex))
    return list(dict.fromkeys(shift.account_id for shift in present))[:LINE_MAX]


def shifts_between(hours: Iterable[DutyHours], *, start: datetime, stop: datetime, zone: ZoneInfo) -> list[Shift]:
    """Return the shifts that touch `[start, stop]`, by their start; with `start` equal to `stop`, those of that moment.

    A shift that ends at `start` does not touch it.
    """
    first, last = start.astimezone(zone).date(), stop.astimezone(zone).date()
    days = [first + _DAY * n for n in range((last - first).days + 1)]
    found = [shift for each in hours for shift in _shifts_on(each, days, zone)]
    touching = [shift for shift in found if shift.stop > start and shift.start <= stop]
    return sorted(touching, key=lambda shift: (shift.start, shift.place))


def find_gaps(hours: Iterable[DutyHours], *, start: datetime, stop: datetime, zone: ZoneInfo) -> list[Gap]:
    """Return when nobody is on duty within `[start, stop)`, in order: what the duty list shows in red."""
    gaps = []
    covered_until = start.astimezone(UTC)
    for shift in shifts_between(hours, start=start, stop=stop, zone=zone):
        if shift.start >= stop:
            break
        if shift.start > covered_until:
            gaps.append(Gap(start=covered_until, stop=shift.start))
        covered_until = max(covered_until, shift.stop)
    if covered_until < stop:
        gaps.append(Gap(start=covered_until, stop=stop.astimezone(UTC)))
    return gaps


def _shifts_on(hours: DutyHours, days: Sequence[date], zone: ZoneInfo) -> Iterator[Shift]:
    """Return the shifts of these hours on these days; one that the clock change swallows is left out."""
    for day in days:
        if day.isoweekday() == hours.weekday:
            start = _moment(day, hours.from_minute, zone)
            stop = _moment(day, hours.to_minute, zone)
            if stop > start:
                yield Shift(account_id=hours.account_id, place=hours.place, start=start, stop=stop)


def _moment(day: date, minute: int, zone: ZoneInfo) -> datetime:
    """Return the moment of a minute on the wall clock; an hour that comes twice counts from its first coming."""
    days, minute = divmod(minute, MINUTES_A_DAY)
    wall = datetime.combine(day + _DAY * days, time(minute // 60, minute % 60), zone)
    return wall.astimezone(UTC)
