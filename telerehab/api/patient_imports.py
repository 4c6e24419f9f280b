"""Patients from a file, with a trial run and a way back."""

from fastapi import APIRouter

router = APIRouter(prefix="/api/patient-imports", tags=["patient imports"])
