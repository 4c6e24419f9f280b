"""The table of assignments as `telerehab.attribution` wants it: the only source for whose a measurement is."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlmodel import Session, col, select

from telerehab.attribution import Lending, Lendings
from telerehab.clock import to_us
from telerehab.db.tables import Assignment, Retraction, TrainingSession


class AssignmentColumns(NamedTuple):
    """As much of an assignment as tells whose a device is, and where it is worn."""

    id: UUID
    device_name: str
    patient_id: UUID
    body_site: str | None
    starts_at: datetime
    ends_at: datetime | None


def to_lending(assignment: Assignment | AssignmentColumns) -> Lending:
    """Return for whom and when an assignment holds."""
    ends_at = assignment.ends_at
    return Lending(assignment.patient_id, to_us(assignment.starts_at), None if ends_at is None else to_us(ends_at))


def read_lendings(db: Session, devices: Collection[str]) -> Lendings:
    """Return all lendings of these devices, by device; one that ended before it began is none."""
    found: dict[str, list[Lending]] = {device: [] for device in devices}
    statement = select(Assignment).where(col(Assignment.device_name).in_(list(devices)))
    for assignment in db.exec(statement.order_by(col(Assignment.starts_at))):
        lending = to_lending(assignment)
        if lending.stop_us is None or lending.stop_us > lending.start_us:
            found[assignment.device_name].append(lending)
    return found


def read_wearers(db: Session, training_sessions: Collection[UUID]) -> dict[UUID, set[UUID]]:
    """Return whose devices showed each of these training sessions, those that are gone left out.

    That is the patient whose it is, and also the one in whose name it was trained where it was handed to the right one
    (`telerehab.db.repositories.retractions`): the devices stay lent to whom they were lent.
    """
    ids = list(training_sessions)
    rows = db.exec(select(TrainingSession.id, TrainingSession.patient_id).where(col(TrainingSession.id).in_(ids)))
    wearers = {row_id: {patient_id} for row_id, patient_id in rows}
    handed_on = select(Retraction.row_id, Retraction.wrong_patient_id).where(
        Retraction.what == "training_session", col(Retraction.row_id).in_(ids)
    )
    for row_id, patient_id in db.exec(handed_on):
        if row_id in wearers:
            wearers[row_id].add(patient_id)
    return wearers
