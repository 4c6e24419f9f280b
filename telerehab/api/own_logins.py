"""One's own logins: list, end."""

from fastapi import APIRouter

router = APIRouter(prefix="/api/my", tags=["own logins"])
