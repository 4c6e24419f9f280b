"""Appointments of patients and groups with therapists, as far as one reader takes part in them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Final
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, or_
from sqlmodel import Session, col, select

from telerehab.auth.access import Scope
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.db.changes import note_change
from telerehab.db.locks import lock_patient
from telerehab.db.repositories.groups import GroupRepository, is_member_now, is_own_group
from telerehab.db.repositories.organisations import organisation_zone
from telerehab.db.repositories.patients import PatientRepository, is_visible_patient
from telerehab.db.repositories.teams import account_names
from telerehab.db.sealing import Identity, PatientSeal
from telerehab.db.tables import Appointment, GroupMembership, Patient, PatientGroup
from telerehab.errors import ConflictError, InvalidContentError, NotFoundError

LIST_MAX: Final = 500
LENGTH_MAX: Final = timedelta(hours=12)
AHEAD_MAX: Final = timedelta(days=730)
SPAN: Final = timedelta(days=60)
SPAN_MAX: Final = timedelta(days=400)
Edge = date | datetime
_TABLE: Final = "appointment"


@dataclass(kw_only=True, frozen=True, slots=True)
class AppointmentWish:
    """When and what an appointment shall be."""

    kind: str
    title: str
    starts_at: datetime
    ends_at: datetime


@dataclass(kw_only=True, frozen=True, slots=True)
class AppointmentRow:
    """An appointment, with the name of whom it is with."""

    id: UUID
    kind: str
    title: str
    state: str
    starts_at: datetime
    ends_at: datetime
    account_id: UUID
    therapist_name: str
    patient_id: UUID | None
    patient: Identity | None
    """None where the reader may not see the patient, and in a group."""
    group_id: UUID | None
    group_name: str | None
    live_session_id: UUID | None
    version: int


class AppointmentRepository:
    """The appointments of one reader."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime, key_ring: KeyRing) -> None:
        self._db = db
        self._reader = reader
        self._now = now
        self._key_ring = key_ring
        self._patients = PatientRepository(db, reader=reader, now=now, key_ring=key_ring)
        self._groups = GroupRepository(db, reader=reader, now=now, key_ring=key_ring)

    def list(self, edges: tuple[Edge | None, Edge | None]) -> Sequence[AppointmentRow]:
        """Return the reader's appointments that begin in `[from, to)`, in their order, at most `LIST_MAX`.

        Days are those of the organisation's time zone; from today, and for `SPAN`, where nothing else is said.

        Raises
        ------
        InvalidContentError
            It is no span, or too long a one.
        """
        zone = organisation_zone(self._db, self._reader)
        begin = _moment_of(edges[0] or self._now.astimezone(zone).date(), zone)
        end = begin + SPAN if edges[1] is None else _moment_of(edges[1], zone)
        if not timedelta(0) <= end - begin <= SPAN_MAX:
            raise InvalidContentError("no such span", faults=[{"at": "query.to", "kind": "out_of_range"}])
        return self.between(begin, end, limit=LIST_MAX)

    def between(self, starts_from: datetime, starts_before: datetime, *, limit: int) -> Sequence[AppointmentRow]:
        """Return the reader's appointments that begin in `[starts_from, starts_before)`, in their order."""
        statement = select(Appointment).where(
            col(Appointment.organisation_id) == self._reader.organisation_id,
            col(Appointment.starts_at) >= starts_from,
            col(Appointment.starts_at) < starts_before,
            self._is_own(),
        )
        rows = self._db.exec(statement.order_by(col(Appointment.starts_at), col(Appointment.id)).limit(limit)).all()
        return self._shown(rows)

    def get(self, appointment_id: UUID) -> AppointmentRow:
        """Return one appointment; NotFoundError where the reader takes no part in it."""
        row = self._db.exec(select(Appointment).where(col(Appointment.id) == appointment_id, self._is_own())).first()
        if row is None or row.organisation_id != self._reader.organisation_id:
            raise NotFoundError("no such appointment")
        return self._shown([row])[0]

    def create(
        self, wish: AppointmentWish, *, appointment_id: UUID | None, patient_id: UUID | None, group_id: UUID | None
    ) -> AppointmentRow:
        """Make an appointment of the reader with a patient or a group; the same one again adds nothing.

        Raises
        ------
        NotFoundError
            The patient is not in the reader's care, or the reader does not lead the group.
        ConflictError
            The id is that of another appointment.
        InvalidContentError
            It is over already, too long or too far ahead; both or none of patient and group are named.
        """
        known = None if appointment_id is None else self._db.get(Appointment, appointment_id)
        if known is not None:
            shown = self.get(known.id)
            if (known.patient_id, known.group_id, _wish_of(known)) != (patient_id, group_id, wish):
                raise ConflictError("this appointment is another one")
            return shown
        if (patient_id is None) == (group_id is None):
            raise InvalidContentError(
                "a patient or a group", faults=[{"at": "body.patient_id", "kind": "one_of_patient_and_group"}]
            )
        if patient_id is not None:
            opened = self._patients.require(patient_id, Scope.WRITE_CARE)
            lock_patient(self._db, patient_id)
            self._db.refresh(opened.patient)  # the course may have ended while we waited
            if opened.patient.ended_at is not None:
                raise ConflictError("the patient's course is over", code="course_ended")
        if group_id is not None:
            self._groups.require(group_id)
        self._refuse_odd_times(wish)
        assert self._reader.account_id is not None
        row = Appointment(
            id=appointment_id or uuid4(),
            organisation_id=self._reader.organisation_id,
            kind=wish.kind,
            title=wish.title,
            account_id=self._reader.account_id,
            patient_id=patient_id,
            group_id=group_id,
            starts_at=wish.starts_at,
            ends_at=wish.ends_at,
            created_at=self._now,
        )
        self._db.add(row)
        self._db.flush()
        note_change(self._db, _TABLE, row.id, version=row.version)
        return self._shown([row])[0]

    def change(self, appointment_id: UUID, wish: AppointmentWish, *, state: str, version: int) -> AppointmentRow:
        """Change an appointment, or say how it went; what is so already stays as it is.

        Raises
        ------
        NotFoundError
            There is none that the reader may change.
        ConflictError
            Somebody else has changed it meanwhile (`appointment_moved`), it is cancelled (`appointment_cancelled`), or
            it cannot have gone somehow before it began (`appointment_to_come`).
        InvalidContentError
            The times cannot be.
        """
        row = self._require_writable(appointment_id)
        if (_wish_of(row), row.state) == (wish, state):
            return self._shown([row])[0]
        if row.version != version:
            raise ConflictError("the appointment was changed meanwhile", code="appointment_moved")
        if row.state == "cancelled":
            raise ConflictError("the appointment is cancelled", code="appointment_cancelled")
        if state != "planned" and wish.starts_at > self._now:
            raise ConflictError("the appointment is still to come", code="appointment_to_come")
        if (row.starts_at, row.ends_at) != (wish.starts_at, wish.ends_at):
            self._refuse_odd_times(wish)
        row.kind, row.title = wish.kind, wish.title
        row.starts_at, row.ends_at = wish.starts_at, wish.ends_at
        row.state = state
        return self._changed(row)

    def cancel(self, appointment_id: UUID) -> AppointmentRow:
        """Cancel an appointment; one that is cancelled stays so.

        Raises
        ------
        NotFoundError
            There is none that the reader may change.
        ConflictError
            It has taken place (`appointment_over`).
        """
        row = self._require_writable(appointment_id)
        if row.state == "cancelled":
            return self._shown([row])[0]
        if row.state != "planned":
            raise ConflictError("the appointment is over", code="appointment_over")
        row.state = "cancelled"
        return self._changed(row)

    def _changed(self, row: Appointment) -> AppointmentRow:
        row.version += 1
        self._db.add(row)
        self._db.flush()
        note_change(self._db, _TABLE, row.id, version=row.version)
        return self._shown([row])[0]

    def _require_writable(self, appointment_id: UUID) -> Appointment:
        """Return a row that the reader may change: of the own patient, or of a group that the reader leads."""
        row = self._db.exec(select(Appointment).where(col(Appointment.id) == appointment_id).with_for_update()).first()
        if row is None or row.organisation_id != self._reader.organisation_id:
            raise NotFoundError("no such appointment")
        try:
            if row.patient_id is not None:
                self._patients.require(row.patient_id, Scope.WRITE_CARE)
            elif row.group_id is not None:
                self._groups.require(row.group_id)
        except NotFoundError:
            raise NotFoundError("no such appointment") from None
        return row

    def _refuse_odd_times(self, wish: AppointmentWish) -> None:
        """Raise InvalidContentError where an appointment cannot be at such times."""
        kind = None
        if not timedelta(0) < wish.ends_at - wish.starts_at <= LENGTH_MAX:
            kind = "out_of_range"
        elif wish.ends_at <= self._now:
            kind = "in_the_past"
        elif wish.starts_at > self._now + AHEAD_MAX:
            kind = "too_far_ahead"
        if kind is not None:
            raise InvalidContentError("no such time", faults=[{"at": "body.ends_at", "kind": kind}])

    def _is_own(self) -> ColumnElement[bool]:
        """Return the condition that the reader takes part: for a tablet its patient, for a therapist also own patients.

        A therapist keeps the time of an own appointment also when the patient has gone elsewhere, without the name.
        """
        if self._reader.role == "tablet":
            groups = select(GroupMembership.group_id).where(
                col(GroupMembership.patient_id) == self._reader.patient_id, is_member_now(self._now)
            )
            return or_(col(Appointment.patient_id) == self._reader.patient_id, col(Appointment.group_id).in_(groups))
        patients = select(Patient.id).where(is_visible_patient(self._reader, self._now, Scope.CONVERSE))
        led = select(PatientGroup.id).where(is_own_group(self._reader, self._now))
        return or_(
            col(Appointment.account_id) == self._reader.account_id,
            col(Appointment.patient_id).in_(patients),
            col(Appointment.group_id).in_(led),
        )

    def _shown(self, rows: Sequence[Appointment]) -> Sequence[AppointmentRow]:
        names = account_names(self._db, [row.account_id for row in rows])
        seen = self._identities([row.patient_id for row in rows if row.patient_id is not None])
        group_ids = {row.group_id for row in rows if row.group_id is not None}
        statement = select(PatientGroup.id, PatientGroup.name).where(col(PatientGroup.id).in_(group_ids))
        groups = dict(self._db.exec(statement).all()) if group_ids else {}
        shown = [
            AppointmentRow(
                id=row.id,
                kind=row.kind,
                title=row.title,
                state=row.state,
                starts_at=row.starts_at,
                ends_at=row.ends_at,
                account_id=row.account_id,
                therapist_name=names[row.account_id],
                patient_id=row.patient_id,
                patient=None if row.patient_id is None else seen.get(row.patient_id),
                group_id=row.group_id,
                group_name=None if row.group_id is None else groups.get(row.group_id),
                live_session_id=row.live_session_id,
                version=row.version,
            )
            for row in rows
        ]
        return [row if row.patient or row.group_id else replace(row, patient_id=None) for row in shown]

    def _identities(self, patient_ids: Sequence[UUID]) -> dict[UUID, Identity]:
        if not patient_ids:
            return {}
        statement = select(Patient).where(
            col(Patient.id).in_(set(patient_ids)), is_visible_patient(self._reader, self._now, Scope.IDENTIFY)
        )
        return {patient.id: PatientSeal(patient, self._key_ring).identity() for patient in self._db.exec(statement)}


def _wish_of(row: Appointment) -> AppointmentWish:
    return AppointmentWish(kind=row.kind, title=row.title, starts_at=row.starts_at, ends_at=row.ends_at)


def _moment_of(edge: Edge, zone: ZoneInfo) -> datetime:
    """Return a moment, or the one at which a day begins."""
    return edge if isinstance(edge, datetime) else datetime.combine(edge, time.min, tzinfo=zone)
