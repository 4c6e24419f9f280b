"""Staff, teams, substitutes: who works here."""

from fastapi import APIRouter

router = APIRouter(prefix="/api/staff", tags=["staff"])
