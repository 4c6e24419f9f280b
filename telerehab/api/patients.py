"""Patients."""

from fastapi import APIRouter

from telerehab.api.dependencies import Patients
from telerehab.api.models import PatientRead
from telerehab.auth.policies import THERAPIST, declares

router = APIRouter(prefix="/api/patients", tags=["patients"])


@router.get("", response_model=list[PatientRead])
@declares(THERAPIST)
def list_patients(patients: Patients) -> object:
    """List the therapist's own patients."""
    return [
        PatientRead(
            id=opened.patient.id,
            display_name=opened.identity.name,
            birth_date=opened.identity.birth_date,
            language=opened.patient.language,
        )
        for opened in patients.list()
    ]
