"""Patients, as far as one reader may see them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, exists, false, or_
from sqlmodel import Session, col, select

from telerehab.auth.policies import may_see_patient
from telerehab.auth.reader import Reader
from telerehab.db.tables import CareRelation, Patient
from telerehab.errors import NotFoundError


class PatientRepository:
    """The patients of one reader."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime) -> None:
        self._db = db
        self._reader = reader
        self._now = now

    def list(self) -> list[Patient]:
        """Return all patients that the reader may see, by name."""
        statement = select(Patient).where(is_visible_patient(self._reader, self._now))
        return list(self._db.exec(statement.order_by(col(Patient.display_name), col(Patient.id))))

    def get(self, patient_id: UUID) -> Patient:
        """Return one patient.

        Raises
        ------
        NotFoundError
            There is none, or the reader may not see this one.
        """
        patient = self._db.get(Patient, patient_id)
        if patient is None:
            raise NotFoundError("no such patient")
        relations = self._db.exec(
            select(CareRelation).where(
                col(CareRelation.account_id) == self._reader.account_id, col(CareRelation.patient_id) == patient_id
            )
        ).all()
        if not may_see_patient(self._reader, patient, relations, now=self._now):
            raise NotFoundError("no such patient")
        return patient


def is_visible_patient(reader: Reader, now: datetime) -> ColumnElement[bool]:
    """Return `policies.may_see_patient` as a condition on rows of `Patient`, for lists."""
    same_organisation = col(Patient.organisation_id) == reader.organisation_id
    if reader.role == "tablet":
        return same_organisation & (col(Patient.id) == reader.patient_id)
    if reader.role != "therapist":
        return false()
    treats = exists().where(
        col(CareRelation.account_id) == reader.account_id,
        col(CareRelation.patient_id) == col(Patient.id),
        col(CareRelation.starts_at) <= now,
        or_(col(CareRelation.ends_at).is_(None), col(CareRelation.ends_at) > now),
    )
    return same_organisation & treats
