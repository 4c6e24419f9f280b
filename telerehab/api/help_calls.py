"""Help calls."""

from fastapi import APIRouter

router = APIRouter(prefix="/api/help-calls", tags=["help calls"])
