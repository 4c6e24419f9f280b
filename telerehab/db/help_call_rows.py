"""Help calls and duty hours as rows: read into values, advanced by the rules, written back.

Time's own steps (`advance_ringing_calls`) are done by every web process; a call's row is locked while it changes, so
each step happens once.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from telerehab.care.duty import DutyHours, line_at
from telerehab.care.help_calls import HelpCall as Call
from telerehab.care.help_calls import HelpCallState, Told, Unanswered, advance
from telerehab.db.changes import note_change
from telerehab.db.tables import Account, Duty, HelpCall, Organisation

RINGING: Final = (HelpCallState.CALLED.value, HelpCallState.TOLD.value, HelpCallState.ESCALATED.value)
CALLS_MAX: Final = 1_000
"""Calls that are advanced in one step."""
TABLE: Final = "help_call"


def read_call(row: HelpCall) -> Call:
    """Return a row's call as a value."""
    return Call(
        called_at=row.called_at,
        rang_at=row.rang_at,
        state=HelpCallState(row.state),
        told=tuple(
            Told(account_id=UUID(each["account_id"]), at=datetime.fromisoformat(each["at"])) for each in row.told
        ),
        unanswered=None if row.unanswered is None else Unanswered(row.unanswered),
        unanswered_at=row.unanswered_at,
        press_count=row.press_count,
        answered_by=row.answered_by,
        answered_at=row.answered_at,
        withdrawn_at=row.withdrawn_at,
        closed_by=row.closed_by,
        closed_at=row.closed_at,
        outcome=row.outcome,
    )


def write_call(db: Session, row: HelpCall, call: Call, *, is_new: bool = False) -> None:
    """Write a call's value into its row, where it differs, and have it announced."""
    if not is_new and call == read_call(row):
        return
    row.rang_at = call.rang_at
    row.state = call.state.value
    row.told = [{"account_id": str(told.account_id), "at": told.at.isoformat()} for told in call.told]
    row.unanswered = None if call.unanswered is None else call.unanswered.value
    row.unanswered_at = call.unanswered_at
    row.press_count = call.press_count
    row.answered_by, row.answered_at = call.answered_by, call.answered_at
    row.withdrawn_at = call.withdrawn_at
    row.closed_by, row.closed_at, row.outcome = call.closed_by, call.closed_at, call.outcome
    row.version += not is_new
    db.add(row)
    note_change(db, TABLE, row.id, version=row.version)


def read_lines(db: Session, organisation_ids: Collection[UUID], *, now: datetime) -> Mapping[UUID, list[UUID]]:
    """Return who is on duty now in each organisation, the first in line first."""
    hours: dict[UUID, list[DutyHours]] = {}
    zones: dict[UUID, ZoneInfo] = {}
    for organisation in db.exec(select(Organisation).where(col(Organisation.id).in_(organisation_ids))):
        zones[organisation.id] = ZoneInfo(organisation.time_zone)
    for duty in read_duties(db, organisation_ids):
        hours.setdefault(duty.organisation_id, []).append(as_hours(duty))
    return {each: line_at(hours.get(each, ()), now=now, zone=zone) for each, zone in zones.items()}


def read_duties(db: Session, organisation_ids: Collection[UUID]) -> Sequence[Duty]:
    """Return the duty hours in force of organisations, of those who may log in and answer."""
    statement = (
        select(Duty)
        .join(Account, col(Account.id) == col(Duty.account_id))
        .where(
            col(Duty.organisation_id).in_(organisation_ids),
            col(Duty.ended_at).is_(None),
            col(Account.disabled_at).is_(None),
            col(Account.role) == "therapist",
        )
    )
    ordered = statement.order_by(col(Duty.weekday), col(Duty.from_minute), col(Duty.line), col(Duty.id))
    return db.exec(ordered).all()


def as_hours(duty: Duty) -> DutyHours:
    """Return a row's hours as a value."""
    return DutyHours(
        account_id=duty.account_id,
        weekday=duty.weekday,
        from_minute=duty.from_minute,
        to_minute=duty.to_minute,
        place=duty.line,
    )


def find_ringing(db: Session) -> Iterable[UUID]:
    """Return the calls that nobody has answered, the oldest first."""
    statement = select(HelpCall.id).where(col(HelpCall.closed_at).is_(None), col(HelpCall.state).in_(RINGING))
    return db.exec(statement.order_by(col(HelpCall.called_at)).limit(CALLS_MAX)).all()


def find_due(db: Session, *, now: datetime) -> list[UUID]:
    """Return the ringing calls for which time has something to do now. Writes nothing."""
    rows = _ringing_rows(db, find_ringing(db), is_locked=False)
    lines = read_lines(db, {row.organisation_id for row in rows}, now=now) if rows else {}
    return [
        row.id for row in rows if advance(read_call(row), now=now, line=lines[row.organisation_id]) != read_call(row)
    ]


def advance_calls(db: Session, help_call_ids: Iterable[UUID], *, now: datetime) -> None:
    """Do what time has to do with these calls, each step once also when several processes ask at once."""
    rows = _ringing_rows(db, help_call_ids, is_locked=True)
    lines = read_lines(db, {row.organisation_id for row in rows}, now=now) if rows else {}
    for row in rows:
        write_call(db, row, advance(read_call(row), now=now, line=lines[row.organisation_id]))


def _ringing_rows(db: Session, help_call_ids: Iterable[UUID], *, is_locked: bool) -> Sequence[HelpCall]:
    """Return those of the calls that still ring."""
    statement = select(HelpCall).where(col(HelpCall.id).in_(list(help_call_ids)), col(HelpCall.state).in_(RINGING))
    if is_locked:
        statement = statement.order_by(col(HelpCall.id)).with_for_update()
    return db.exec(statement).all()
