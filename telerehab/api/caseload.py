"""All of a therapist's patients on one page, those in need on top."""

from fastapi import APIRouter

router = APIRouter(prefix="/api/caseload", tags=["caseload"])
