"""Pain, effort and stops, as the patient says."""

from fastapi import APIRouter

router = APIRouter(prefix="/api", tags=["self reports"])
