"""The reader's own organisation: its settings, and its days."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from telerehab.auth.audit import record
from telerehab.auth.reader import Reader
from telerehab.db.changes import note_change
from telerehab.db.tables import Organisation
from telerehab.errors import ConflictError

_TABLE: Final = "organisation"
_A_DAY: Final = timedelta(days=1)


@dataclass(kw_only=True, frozen=True, slots=True)
class OrganisationWish:
    """What the organisation's settings shall be."""

    version: int
    """The version that the wish was made from."""
    name: str
    service: str
    help_telephone: str | None
    time_zone: str


class OrganisationRepository:
    """The organisation of one reader; no other can be reached."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime) -> None:
        self._db = db
        self._reader = reader
        self._now = now

    def get(self) -> Organisation:
        """Return the settings."""
        return self._db.get_one(Organisation, self._reader.organisation_id)

    def change(self, wish: OrganisationWish) -> Organisation:
        """Change the settings; what is so already stays as it is.

        Raises
        ------
        ConflictError
            Somebody else has changed them meanwhile (`organisation_moved`).
        """
        statement = select(Organisation).where(col(Organisation.id) == self._reader.organisation_id).with_for_update()
        row = self._db.exec(statement).one()
        wanted = (wish.name, wish.service, wish.help_telephone, wish.time_zone)
        if wanted == (row.name, row.service, row.help_telephone, row.time_zone):
            return row
        if wish.version != row.version:
            raise ConflictError("the organisation was changed meanwhile", code="organisation_moved")
        is_other_service = wish.service != row.service
        row.name, row.service, row.help_telephone, row.time_zone = wanted
        row.version += 1
        self._db.add(row)
        note_change(self._db, _TABLE, row.id, version=row.version)
        record(
            self._db,
            actor=self._reader,
            action="change_service" if is_other_service else "change_organisation",
            object=f"{_TABLE}:{row.id}",
            reason_code=wish.service if is_other_service else None,
            now=self._now,
        )
        return row


def lock_organisation(db: Session, organisation_id: UUID) -> None:
    """Let one transaction at a time go on with what counts over a whole organisation; others' rows do not wait."""
    this = select(Organisation.id).where(col(Organisation.id) == organisation_id)
    db.exec(this.with_for_update(key_share=True)).one()


def organisation_zone(db: Session, reader: Reader) -> ZoneInfo:
    """Return the time zone in which the reader's organisation counts days."""
    return zone_of(db, reader.organisation_id)


def zone_of(db: Session, organisation_id: UUID) -> ZoneInfo:
    """Return the time zone in which an organisation counts days."""
    return ZoneInfo(db.get_one(Organisation, organisation_id).time_zone)


def moments_of(first_on: date, last_on: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return `[start, end)` of days, both included.

    >>> day = date(2026, 10, 25)
    >>> [moment.isoformat() for moment in moments_of(day, day, ZoneInfo("Europe/Copenhagen"))]
    ['2026-10-25T00:00:00+02:00', '2026-10-26T00:00:00+01:00']
    """
    return (
        datetime.combine(first_on, time.min, tzinfo=zone),
        datetime.combine(last_on + _A_DAY, time.min, tzinfo=zone),
    )


def days_of(starts_at: datetime, ends_at: datetime, zone: ZoneInfo) -> tuple[date, date]:
    """Return the first and the last day that `[starts_at, ends_at)` touches."""
    first_on = starts_at.astimezone(zone).date()
    last_on = (ends_at - timedelta(microseconds=1)).astimezone(zone).date()
    return first_on, max(first_on, last_on)
