"""The duty list: who answers help calls when."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import Field, StringConstraints, model_validator

from telerehab.api.dependencies import CurrentReader, Now, ReadingDb, WritingDb
from telerehab.api.models import Answer, Body, LooseUuid
from telerehab.auth.policies import MANAGER_OR_ADMIN, STAFF, declares
from telerehab.care.duty import LINE_MAX, MINUTES_A_DAY
from telerehab.db.repositories.duties import DutyRepository, DutyRows, DutyWish

router = APIRouter(prefix="/api/duties", tags=["duties"])


def get_duties(db: ReadingDb, reader: CurrentReader, now: Now) -> DutyRepository:
    """Return the duty list of the reader's organisation."""
    return DutyRepository(db, reader=reader, now=now)


def get_writable_duties(db: WritingDb, reader: CurrentReader, now: Now) -> DutyRepository:
    """Return the duty list of the reader's organisation, to change it."""
    return DutyRepository(db, reader=reader, now=now)


Duties = Annotated[DutyRepository, Depends(get_duties)]
WritableDuties = Annotated[DutyRepository, Depends(get_writable_duties)]
Telephone = Annotated[str, StringConstraints(min_length=3, max_length=30, pattern=r"^[0-9+ ()-]+$")]


class NewDuty(Body):
    """Weekly hours of one member of staff; hours over midnight are two."""

    id: LooseUuid
    account_id: LooseUuid
    weekday: Annotated[int, Field(ge=1, le=7)]
    """ISO, 1 is Monday."""
    from_minute: Annotated[int, Field(ge=0, lt=MINUTES_A_DAY)]
    to_minute: Annotated[int, Field(gt=0, le=MINUTES_A_DAY)]
    line: Annotated[int, Field(ge=0, lt=LINE_MAX)] = 0
    telephone: Telephone | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.from_minute >= self.to_minute:
            raise ValueError("hours end after they begin")
        return self


class DutyRead(Answer):
    """Weekly hours of one member of staff."""

    id: UUID
    account_id: UUID
    name: str
    weekday: int
    from_minute: int
    to_minute: int
    line: int
    telephone: str | None


class GapRead(Answer):
    """When nobody is on duty, `[start, stop)`."""

    start: datetime
    stop: datetime


class OnDutyRead(Answer):
    """Who is on duty now."""

    on_duty: list[str]
    """The first in line first; empty outside hours."""
    next: str | None
    """Who comes on duty next, within a week."""
    next_at: datetime | None
    gaps: list[GapRead]
    """Of the coming week."""


@router.get("", response_model=list[DutyRead])
@declares(STAFF)
def list_duties(duties: Duties) -> object:
    """List the weekly hours, by weekday and time."""
    return [_read(rows) for rows in duties.list()]


@router.get("/now", response_model=OnDutyRead)
@declares(STAFF)
def get_on_duty(duties: Duties) -> object:
    """Say who is on duty now, who comes next, and when in the coming week nobody is."""
    found = duties.now()
    return OnDutyRead(
        on_duty=list(found.line),
        next=found.next_name,
        next_at=found.next_at,
        gaps=[GapRead(start=gap.start, stop=gap.stop) for gap in found.gaps],
    )


@router.post("", response_model=DutyRead)
@declares(MANAGER_OR_ADMIN)
def add_duty(body: NewDuty, duties: WritableDuties) -> object:
    """Give a therapist weekly hours."""
    wish = DutyWish(
        account_id=body.account_id,
        weekday=body.weekday,
        from_minute=body.from_minute,
        to_minute=body.to_minute,
        line=body.line,
        telephone=body.telephone,
    )
    return _read(duties.add(body.id, wish))


@router.delete("/{duty_id}", status_code=204)
@declares(MANAGER_OR_ADMIN)
def end_duty(duty_id: UUID, duties: WritableDuties) -> None:
    """Take hours off the list."""
    duties.end(duty_id)


def _read(rows: DutyRows) -> DutyRead:
    duty = rows.duty
    return DutyRead(
        id=duty.id,
        account_id=duty.account_id,
        name=rows.name,
        weekday=duty.weekday,
        from_minute=duty.from_minute,
        to_minute=duty.to_minute,
        line=duty.line,
        telephone=duty.telephone,
    )
