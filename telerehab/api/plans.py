"""Plans: versions, differences, templates."""

from fastapi import APIRouter

router = APIRouter(prefix="/api", tags=["plans"])
