"""Messages between a patient and those who treat the patient."""

from fastapi import APIRouter

router = APIRouter(prefix="/api", tags=["messages"])
