"""Who answers help calls when."""

from fastapi import APIRouter

router = APIRouter(prefix="/api/duties", tags=["duties"])
