"""Who is on duty, by looking at the clock on the wall: slow, obvious.

Wrong only in an hour that the wall shows twice.
"""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from telerehab.care.duty import DutyHours


def slow_line_at(hours: Sequence[DutyHours], *, now: datetime, zone: ZoneInfo) -> list[object]:
    wall = now.astimezone(zone)
    minute = wall.hour * 60 + wall.minute
    present = []
    for each in hours:
        if each.weekday == wall.isoweekday() and each.from_minute <= minute < each.to_minute:
            present.append((each.place, each.from_minute, each.account_id.hex, each.account_id))
    line: list[object] = []
    for *_, account_id in sorted(present, key=lambda each: each[:3]):
        if account_id not in line:
            line.append(account_id)
    return line[:5]


def is_shown_twice(now: datetime, zone: ZoneInfo) -> bool:
    """Return whether the wall clock shows this minute twice, or has just skipped an hour."""
    wall = now.astimezone(zone)
    return wall.replace(fold=0).utcoffset() != wall.replace(fold=1).utcoffset()
