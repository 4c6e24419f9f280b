"""Who looked at what."""

from fastapi import APIRouter

router = APIRouter(prefix="/api", tags=["access log"])
