"""Appointments."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from telerehab.api import calendar_feeds
from telerehab.api.dependencies import CurrentReader, Keys, Now, ReadingDb, WritingDb
from telerehab.api.models import Answer, Body, LooseDay, LooseMoment, LooseUuid, Title
from telerehab.api.organisations import Version
from telerehab.auth.policies import THERAPIST, THERAPIST_OR_TABLET, declares
from telerehab.db.repositories.appointments import AppointmentRepository, AppointmentRow, AppointmentWish

router = APIRouter(prefix="/api", tags=["appointments"])
router.include_router(calendar_feeds.router)

Kind = Literal["live_session", "visit", "telephone"]


def get_appointments(db: ReadingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> AppointmentRepository:
    """Return the appointments in which the reader takes part."""
    return AppointmentRepository(db, reader=reader, now=now, key_ring=key_ring)


def get_writable_appointments(db: WritingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> AppointmentRepository:
    """Return the appointments in which the reader takes part, to change them."""
    return AppointmentRepository(db, reader=reader, now=now, key_ring=key_ring)


Appointments = Annotated[AppointmentRepository, Depends(get_appointments)]
WritableAppointments = Annotated[AppointmentRepository, Depends(get_writable_appointments)]


class AppointmentBody(Body):
    """When and what an appointment shall be; the title names no person."""

    kind: Kind
    title: Title
    starts_at: LooseMoment
    ends_at: LooseMoment

    def wish(self) -> AppointmentWish:
        """Return the wish."""
        return AppointmentWish(kind=self.kind, title=self.title, starts_at=self.starts_at, ends_at=self.ends_at)


class NewAppointmentBody(AppointmentBody):
    """A new appointment with a patient or a group."""

    id: LooseUuid | None = None
    patient_id: LooseUuid | None = None
    group_id: LooseUuid | None = None


class ChangedAppointmentBody(AppointmentBody):
    """A changed appointment, or how it went; `version` is the one that the page showed."""

    version: Version
    state: Literal["planned", "done", "no_show"] = "planned"


class AppointmentRead(Answer):
    """An appointment; name and birth date are shown to those who treat the patient."""

    id: UUID
    kind: str
    title: str
    state: str
    starts_at: datetime
    ends_at: datetime
    account_id: UUID
    therapist_name: str
    patient_id: UUID | None
    display_name: str | None
    birth_date: date | None
    group_id: UUID | None
    group_name: str | None
    live_session_id: UUID | None
    version: int


@router.get("/appointments", response_model=list[AppointmentRead])
@declares(THERAPIST_OR_TABLET)
def list_appointments(
    appointments: Appointments,
    starts_from: Annotated[LooseDay | LooseMoment | None, Query(alias="from")] = None,
    starts_before: Annotated[LooseDay | LooseMoment | None, Query(alias="to")] = None,
) -> object:
    """List the reader's appointments that begin in `[from, to)`: days, or moments with their zone."""
    return [_shown(row) for row in appointments.list((starts_from, starts_before))]


@router.post("/appointments", status_code=201, response_model=AppointmentRead)
@declares(THERAPIST)
def create_appointment(body: NewAppointmentBody, appointments: WritableAppointments) -> object:
    """Make an appointment with a patient or a group."""
    row = appointments.create(body.wish(), appointment_id=body.id, patient_id=body.patient_id, group_id=body.group_id)
    return _shown(row)


@router.put("/appointments/{appointment_id}", response_model=AppointmentRead)
@declares(THERAPIST)
def put_appointment(appointment_id: UUID, body: ChangedAppointmentBody, appointments: WritableAppointments) -> object:
    """Change an appointment, or say how it went."""
    return _shown(appointments.change(appointment_id, body.wish(), state=body.state, version=body.version))


@router.post("/appointments/{appointment_id}/cancel", response_model=AppointmentRead)
@declares(THERAPIST)
def cancel_appointment(appointment_id: UUID, appointments: WritableAppointments) -> object:
    """Cancel an appointment."""
    return _shown(appointments.cancel(appointment_id))


def _shown(row: AppointmentRow) -> AppointmentRead:
    return AppointmentRead(
        id=row.id,
        kind=row.kind,
        title=row.title,
        state=row.state,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        account_id=row.account_id,
        therapist_name=row.therapist_name,
        patient_id=row.patient_id,
        display_name=None if row.patient is None else row.patient.name,
        birth_date=None if row.patient is None else row.patient.birth_date,
        group_id=row.group_id,
        group_name=row.group_name,
        live_session_id=row.live_session_id,
        version=row.version,
    )
