"""Patients: the list to choose from, and new ones."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import StringConstraints

from telerehab.api.dependencies import CurrentReader, Keys, Now, Patients, ReadingDb, WritingDb
from telerehab.api.models import Body, LooseBirthDate, LooseUuid, PatientRead, Title
from telerehab.auth.policies import THERAPIST_OR_MANAGER, declares
from telerehab.db.repositories.patient_records import IdentityWish, PatientRecordRepository

router = APIRouter(prefix="/api/patients", tags=["patients"])

Cpr = Annotated[str, StringConstraints(min_length=10, max_length=16, pattern=r"^[0-9 -]*$")]
PatientTelephone = Annotated[str, StringConstraints(max_length=24, pattern=r"^\+?[0-9][0-9 ()-]{3,22}[0-9]$")]


def get_patient_records(db: ReadingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> PatientRecordRepository:
    """Return the records that the reader may see."""
    return PatientRecordRepository(db, reader=reader, now=now, key_ring=key_ring)


def get_writable_patient_records(
    db: WritingDb, reader: CurrentReader, now: Now, key_ring: Keys
) -> PatientRecordRepository:
    """Return the records that the reader may see, to change them."""
    return PatientRecordRepository(db, reader=reader, now=now, key_ring=key_ring)


PatientRecords = Annotated[PatientRecordRepository, Depends(get_patient_records)]
WritablePatientRecords = Annotated[PatientRecordRepository, Depends(get_writable_patient_records)]


class IdentityBody(Body):
    """Who a patient is. Where `cpr` or `has_protected_address` is left out, it stays as it is; null takes it away."""

    name: Title
    birth_date: LooseBirthDate | None = None
    """Left out: as the CPR number tells it."""
    cpr: Cpr | None = None
    telephone: PatientTelephone | None = None
    has_protected_address: bool | None = None
    language: Literal["da", "en"] = "da"

    def wish(self) -> IdentityWish:
        """Return the wish."""
        return IdentityWish(
            name=self.name,
            birth_date=self.birth_date,
            cpr=self.cpr,
            telephone=self.telephone,
            has_protected_address=self.has_protected_address,
            language=self.language,
        )


class NewPatientBody(IdentityBody):
    """A new patient and who treats the patient; a therapist who names nobody does."""

    id: LooseUuid | None = None
    therapist_id: LooseUuid | None = None
    team_id: LooseUuid | None = None


@router.get("", response_model=list[PatientRead])
@declares(THERAPIST_OR_MANAGER)
def list_patients(patients: Patients) -> object:
    """List the patients in the reader's care; for a team manager all of the organisation."""
    return [
        PatientRead(
            id=opened.patient.id,
            display_name=opened.identity.name,
            birth_date=opened.identity.birth_date,
            language=opened.patient.language,
        )
        for opened in patients.list()
    ]


@router.post("", status_code=201, response_model=PatientRead)
@declares(THERAPIST_OR_MANAGER)
def create_patient(body: NewPatientBody, records: WritablePatientRecords) -> object:
    """Make a patient."""
    return records.create(body.wish(), patient_id=body.id, therapist_id=body.therapist_id, team_id=body.team_id)
