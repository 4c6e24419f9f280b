"""What a person is told."""

from fastapi import APIRouter

router = APIRouter(prefix="/api/notices", tags=["notices"])
