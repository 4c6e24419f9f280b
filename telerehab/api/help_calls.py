"""Help calls: pressed on a tablet, answered by whoever is on duty, open until somebody closes them."""

from datetime import date, datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import StringConstraints

from telerehab.api.dependencies import CurrentReader, Keys, Now, ReadingDb, WritingDb
from telerehab.api.models import Answer, Body, LooseUuid
from telerehab.auth.policies import TABLET, THERAPIST, THERAPIST_OR_TABLET, declares
from telerehab.care.help_calls import Unanswered
from telerehab.db.repositories.help_calls import HelpCallRepository, HelpCallRows

router = APIRouter(prefix="/api/help-calls", tags=["help calls"])

EMERGENCY_TEXT_KEY: Final = "help.emergency"


def get_help_calls(db: ReadingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> HelpCallRepository:
    """Return the help calls that the reader may see."""
    return HelpCallRepository(db, reader=reader, now=now, key_ring=key_ring)


def get_writable_help_calls(db: WritingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> HelpCallRepository:
    """Return the help calls that the reader may see, to change them."""
    return HelpCallRepository(db, reader=reader, now=now, key_ring=key_ring)


HelpCalls = Annotated[HelpCallRepository, Depends(get_help_calls)]
WritableHelpCalls = Annotated[HelpCallRepository, Depends(get_writable_help_calls)]
Note = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000, pattern=r"^[^\x00]*$")]


class NewHelpCall(Body):
    """A press on the button; the id is the tablet's."""

    id: LooseUuid
    live_session_id: LooseUuid | None = None


class HelpCallClosing(Body):
    """What came of a call."""

    outcome: Literal["helped", "called_back", "not_reached", "emergency", "mistake"]
    note: Note | None = None


class HelpCallRead(Answer):
    """A help call."""

    id: UUID
    patient_id: UUID
    display_name: str | None
    birth_date: date | None
    patient_telephone: str | None
    """For staff."""
    live_session_id: UUID | None
    state: str
    called_at: datetime
    rang_at: datetime
    told_name: str | None
    is_unanswered: bool
    """The tablet shows `telephone` and the emergency sentence."""
    is_out_of_hours: bool
    unanswered_at: datetime | None
    telephone: str | None
    emergency_text_key: str
    press_count: int
    answered_name: str | None
    answered_at: datetime | None
    withdrawn_at: datetime | None
    closed_at: datetime | None
    outcome: str | None
    note: str | None
    """For staff."""
    version: int


@router.post("", response_model=HelpCallRead)
@declares(TABLET)
def call_for_help(body: NewHelpCall, help_calls: WritableHelpCalls) -> object:
    """Call for help; where a call is open already, it rings anew and is answered with."""
    return _read(help_calls.call(body.id, live_session_id=body.live_session_id))


@router.get("", response_model=list[HelpCallRead])
@declares(THERAPIST_OR_TABLET)
def list_help_calls(help_calls: HelpCalls, is_open: Annotated[Literal["true"], Query(alias="open")] = "true") -> object:
    """List the open calls that the reader may see, the oldest first."""
    del is_open
    return [_read(rows) for rows in help_calls.list_open()]


@router.get("/{help_call_id}", response_model=HelpCallRead)
@declares(THERAPIST_OR_TABLET)
def get_help_call(help_call_id: UUID, help_calls: HelpCalls) -> object:
    """Show one call."""
    return _read(help_calls.get(help_call_id))


@router.post("/{help_call_id}/answer", response_model=HelpCallRead)
@declares(THERAPIST)
def answer_help_call(help_call_id: UUID, help_calls: WritableHelpCalls) -> object:
    """Take a call."""
    return _read(help_calls.answer(help_call_id))


@router.post("/{help_call_id}/close", response_model=HelpCallRead)
@declares(THERAPIST)
def close_help_call(help_call_id: UUID, body: HelpCallClosing, help_calls: WritableHelpCalls) -> object:
    """Close a call with what came of it."""
    return _read(help_calls.close(help_call_id, outcome=body.outcome, note=body.note))


@router.post("/{help_call_id}/withdraw", response_model=HelpCallRead)
@declares(TABLET)
def withdraw_help_call(help_call_id: UUID, help_calls: WritableHelpCalls) -> object:
    """Take one's own call back; staff still closes it."""
    return _read(help_calls.withdraw(help_call_id))


def _read(rows: HelpCallRows) -> HelpCallRead:
    row, call = rows.row, rows.call
    return HelpCallRead(
        id=row.id,
        patient_id=row.patient_id,
        display_name=rows.identity.name,
        birth_date=rows.identity.birth_date,
        patient_telephone=rows.patient_telephone,
        live_session_id=row.live_session_id,
        state=call.state.value,
        called_at=call.called_at,
        rang_at=call.rang_at,
        told_name=rows.told_name,
        is_unanswered=call.is_ringing and call.unanswered is not None,
        is_out_of_hours=call.unanswered is Unanswered.OUTSIDE_HOURS,
        unanswered_at=call.unanswered_at,
        telephone=rows.organisation_telephone,
        emergency_text_key=EMERGENCY_TEXT_KEY,
        press_count=call.press_count,
        answered_name=rows.answered_name,
        answered_at=call.answered_at,
        withdrawn_at=call.withdrawn_at,
        closed_at=call.closed_at,
        outcome=call.outcome,
        note=rows.note,
        version=row.version,
    )
