"""Groups of patients who train together."""

from fastapi import APIRouter

router = APIRouter(prefix="/api/groups", tags=["groups"])
