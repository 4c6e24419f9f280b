"""Goals in the patient's own words."""

from fastapi import APIRouter

router = APIRouter(prefix="/api", tags=["goals"])
