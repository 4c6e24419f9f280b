"""Access in an emergency, and its review."""

from fastapi import APIRouter

router = APIRouter(prefix="/api/break-glass", tags=["break glass"])
