"""Calendar feeds: secret addresses under which a calendar reads the appointments of a therapist or a patient."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlmodel import Session, col, func, select
from sqlmodel.sql.expression import SelectOfScalar

from telerehab.auth.audit import record
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.auth.tokens import hash_token, is_token, new_token
from telerehab.care.calendar import CalendarEntry, initials, write_calendar
from telerehab.db.repositories.appointments import AppointmentRepository, AppointmentRow
from telerehab.db.tables import Account, CalendarFeed, Patient
from telerehab.errors import ConflictError, NotFoundError
from telerehab.texts import text

FEEDS_MAX: Final = 5
ENTRIES_MAX: Final = 1_000
_PAST: Final = timedelta(days=60)
_FUTURE: Final = timedelta(days=366)


@dataclass(kw_only=True, frozen=True, slots=True)
class NewFeed:
    """A feed and its token, shown this once."""

    id: UUID
    token: str


class CalendarFeedRepository:
    """The feeds of one reader: a therapist, or a patient's tablet."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime) -> None:
        self._db = db
        self._reader = reader
        self._now = now

    def list(self) -> Sequence[CalendarFeed]:
        """Return the reader's feeds that are read, the newest first."""
        return self._db.exec(self._own().order_by(col(CalendarFeed.created_at).desc())).all()

    def create(self) -> NewFeed:
        """Make a feed.

        Raises
        ------
        ConflictError
            There are `FEEDS_MAX` already (`too_many_feeds`).
        """
        if self._db.exec(select(func.count()).select_from(self._own().subquery())).one() >= FEEDS_MAX:
            raise ConflictError("end another feed first", code="too_many_feeds")
        token = new_token()
        feed = CalendarFeed(
            account_id=self._reader.account_id,
            patient_id=self._reader.patient_id,
            token_hash=hash_token(token),
            created_at=self._now,
        )
        self._db.add(feed)
        self._db.flush()
        self._record("create_calendar_feed", feed)
        return NewFeed(id=feed.id, token=token)

    def end(self, feed_id: UUID) -> None:
        """Let nobody read a feed any more; NotFoundError for another's."""
        feed = self._db.exec(self._own().where(col(CalendarFeed.id) == feed_id)).first()
        if feed is None:
            raise NotFoundError("no such calendar feed")
        feed.revoked_at = self._now
        self._db.add(feed)
        self._record("end_calendar_feed", feed)

    def _own(self) -> SelectOfScalar[CalendarFeed]:
        statement = select(CalendarFeed).where(col(CalendarFeed.revoked_at).is_(None))
        if self._reader.role == "tablet":
            return statement.where(col(CalendarFeed.patient_id) == self._reader.patient_id)
        return statement.where(col(CalendarFeed.account_id) == self._reader.account_id)

    def _record(self, action: str, feed: CalendarFeed) -> None:
        record(
            self._db,
            actor=self._reader,
            action=action,
            patient_id=feed.patient_id,
            object=f"calendar_feed:{feed.id}",
            now=self._now,
        )


def read_feed(db: Session, token: str, *, now: datetime, key_ring: KeyRing) -> bytes:
    """Return what a calendar gets under a secret address: kinds and times, of a person at most the initials.

    Raises
    ------
    NotFoundError
        The address is unknown or ended, the account is disabled, or the patient's course is over.
    """
    if not is_token(token):
        raise NotFoundError("no such calendar")
    feed = db.exec(
        select(CalendarFeed).where(
            col(CalendarFeed.token_hash) == hash_token(token), col(CalendarFeed.revoked_at).is_(None)
        )
    ).first()
    reader = None if feed is None else _reader_of(db, feed)
    if reader is None:
        raise NotFoundError("no such calendar")
    appointments = AppointmentRepository(db, reader=reader, now=now, key_ring=key_ring)
    rows = appointments.between(now - _PAST, now + _FUTURE, limit=ENTRIES_MAX)
    own = [row for row in rows if reader.role == "tablet" or row.account_id == reader.account_id]
    return write_calendar([_entry(row, reader) for row in own], name=text("calendar.name", reader.language), now=now)


def _reader_of(db: Session, feed: CalendarFeed) -> Reader | None:
    """Return for whom a feed is read, None where nobody may read it any more."""
    if feed.account_id is not None:
        account = db.get_one(Account, feed.account_id)
        if account.disabled_at is not None or account.role != "therapist":
            return None
        return Reader(
            login_id=feed.id,
            role="therapist",
            organisation_id=account.organisation_id,
            account_id=account.id,
            language=account.language,
        )
    patient = db.get_one(Patient, feed.patient_id)
    if patient.ended_at is not None:
        return None
    return Reader(
        login_id=feed.id,
        role="tablet",
        organisation_id=patient.organisation_id,
        tablet_id=feed.id,
        patient_id=patient.id,
        language=patient.language,
    )


def _entry(row: AppointmentRow, reader: Reader) -> CalendarEntry:
    summary = text(f"calendar.{row.kind}", reader.language)
    who = text("calendar.group", reader.language) if row.group_id else ""
    if reader.role == "therapist" and row.patient is not None:
        who = initials(row.patient.name)
    if who:
        summary = text("calendar.with", reader.language, what=summary, who=who)
    return CalendarEntry(
        id=row.id,
        summary=summary,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        is_cancelled=row.state == "cancelled",
        change_count=row.version - 1,
    )
