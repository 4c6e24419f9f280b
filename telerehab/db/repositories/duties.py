"""The duty list of the reader's organisation: who answers help calls when, and when nobody does."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from telerehab.auth.audit import record
from telerehab.auth.reader import Reader
from telerehab.care.duty import Gap, find_gaps, line_at, shifts_between
from telerehab.db.help_call_rows import as_hours, read_duties
from telerehab.db.tables import Account, Duty, Organisation
from telerehab.errors import ConflictError, NotFoundError

GAPS_AHEAD: Final = timedelta(days=7)
DUTIES_MAX: Final = 500
"""Rows of one organisation: ten people with a row for each shift of a week are 210."""


@dataclass(kw_only=True, frozen=True, slots=True)
class DutyWish:
    """Hours that somebody shall have."""

    account_id: UUID
    weekday: int
    from_minute: int
    to_minute: int
    line: int
    telephone: str | None


@dataclass(kw_only=True, frozen=True, slots=True)
class DutyRows:
    """Hours, and whose they are."""

    duty: Duty
    name: str


@dataclass(kw_only=True, frozen=True, slots=True)
class OnDuty:
    """Who is on duty now, and what is missing."""

    line: Sequence[str]
    """Names, the first in line first."""
    next_at: datetime | None
    """When somebody comes on duty next, within a week."""
    next_name: str | None
    gaps: Sequence[Gap]
    """Of the coming week."""


class DutyRepository:
    """The duty list of one reader's organisation."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime) -> None:
        self._db = db
        self._reader = reader
        self._now = now

    def list(self) -> list[DutyRows]:
        """Return the hours in force, by weekday and time."""
        duties = read_duties(self._db, [self._reader.organisation_id])
        names = self._names({duty.account_id for duty in duties})
        return [DutyRows(duty=duty, name=names[duty.account_id]) for duty in duties]

    def now(self) -> OnDuty:
        """Return who is on duty, who comes next, and the gaps of the coming week."""
        zone = ZoneInfo(self._db.get_one(Organisation, self._reader.organisation_id).time_zone)
        duties = read_duties(self._db, [self._reader.organisation_id])
        hours = [as_hours(duty) for duty in duties]
        names = self._names({duty.account_id for duty in duties})
        until = self._now + GAPS_AHEAD
        coming = (
            shift for shift in shifts_between(hours, start=self._now, stop=until, zone=zone) if shift.start > self._now
        )
        following = next(coming, None)
        return OnDuty(
            line=[names[account_id] for account_id in line_at(hours, now=self._now, zone=zone)],
            next_at=following.start if following else None,
            next_name=names[following.account_id] if following else None,
            gaps=find_gaps(hours, start=self._now, stop=until, zone=zone),
        )

    def add(self, duty_id: UUID, wish: DutyWish) -> DutyRows:
        """Give somebody hours; the same twice is the same.

        Raises
        ------
        NotFoundError
            There is no such member of staff, or the id is another organisation's.
        ConflictError
            The id has other hours, or there are too many.
        """
        account = self._db.get(Account, wish.account_id)
        is_staff = account is not None and account.organisation_id == self._reader.organisation_id
        if account is None or not is_staff or account.disabled_at is not None or account.role != "therapist":
            raise NotFoundError("no such member of staff")
        same = self._db.get(Duty, duty_id)
        if same is not None:
            return self._same(same, wish, account)
        if len(read_duties(self._db, [self._reader.organisation_id])) >= DUTIES_MAX:
            raise ConflictError("too many hours", code="too_many")
        duty = Duty(
            id=duty_id,
            organisation_id=self._reader.organisation_id,
            account_id=wish.account_id,
            weekday=wish.weekday,
            from_minute=wish.from_minute,
            to_minute=wish.to_minute,
            line=wish.line,
            telephone=wish.telephone,
        )
        self._db.add(duty)
        self._db.flush()
        self._record("add_duty", duty)
        return DutyRows(duty=duty, name=account.display_name)

    def end(self, duty_id: UUID) -> None:
        """Take hours off the list; twice is the same.

        Raises
        ------
        NotFoundError
            There are none of this id.
        """
        duty = self._db.get(Duty, duty_id)
        if duty is None or duty.organisation_id != self._reader.organisation_id:
            raise NotFoundError("no such duty")
        if duty.ended_at is None:
            duty.ended_at = self._now
            self._db.add(duty)
            self._db.flush()
            self._record("end_duty", duty)

    def _same(self, duty: Duty, wish: DutyWish, account: Account) -> DutyRows:
        """Return the hours of an id that came before."""
        if duty.organisation_id != self._reader.organisation_id:
            raise NotFoundError("no such duty")
        is_same = duty.ended_at is None and wish == DutyWish(
            account_id=duty.account_id,
            weekday=duty.weekday,
            from_minute=duty.from_minute,
            to_minute=duty.to_minute,
            line=duty.line,
            telephone=duty.telephone,
        )
        if not is_same:
            raise ConflictError("these hours are different already")
        return DutyRows(duty=duty, name=account.display_name)

    def _names(self, account_ids: set[UUID]) -> dict[UUID, str]:
        statement = select(Account).where(
            col(Account.id).in_(account_ids), col(Account.organisation_id) == self._reader.organisation_id
        )
        return {account.id: account.display_name for account in self._db.exec(statement)}

    def _record(self, action: str, duty: Duty) -> None:
        record(self._db, actor=self._reader, action=action, object=f"duty:{duty.id}", now=self._now)
