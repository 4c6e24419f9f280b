"""The own organisation: how it is reached, what it uses."""

from fastapi import APIRouter

router = APIRouter(prefix="/api/organisation", tags=["organisations"])
