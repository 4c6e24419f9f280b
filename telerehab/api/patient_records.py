"""One patient: identity, who treats, what is lent, the whole record."""

from fastapi import APIRouter

router = APIRouter(prefix="/api/patients", tags=["patient records"])
