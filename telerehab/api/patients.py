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
    return patients.list()
