"""Results, corrections, adherence, pauses, retraction."""

from fastapi import APIRouter

router = APIRouter(prefix="/api", tags=["training results"])
